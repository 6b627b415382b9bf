"""Bearer tokens: JSON Web Tokens (RFC 7519) signed by a key of a JWKS (RFC 7517), in a file or at an address."""

import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import jwt
import orjson
import structlog

from streams.errors import BreachwatchError

log = structlog.get_logger()

# Only signatures that a holder of the public key cannot make: never HS256, never "none".
ALGORITHMS = ["RS256", "ES256", "EdDSA"]
_FETCH_TIMEOUT_S = 5.0


class RefusedError(Exception):
    """The token is not one of ours; `str()` says why, without the token."""


class KeySource(Protocol):
    """Where keys come from."""

    def key(self, kid: str | None, /) -> Any:
        """The public key of that id; None: there is none."""


class KeyFile:
    """The keys of a JWKS file; it is read again when it has changed, so that keys can be replaced.

    One that has become unusable changes nothing, and the log says so: nobody must be shut out by a half written file.
    Raises BreachwatchError at first for a file without keys, or with one that nobody may have.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._read_at = self._changed_at()
        self._keys = _read(file)

    def _changed_at(self) -> float | None:
        try:
            return self._file.stat().st_mtime
        except OSError:
            return None

    def _refresh(self) -> None:
        changed_at = self._changed_at()
        if changed_at == self._read_at:
            return
        self._read_at = changed_at
        try:
            self._keys = _read(self._file)
        except BreachwatchError as error:
            log.warning("keys_kept", why=str(error))

    def key(self, kid: str | None) -> Any:
        self._refresh()
        return self._keys.get(kid)


def _read(file: Path) -> dict[str | None, Any]:
    try:
        return _public(orjson.loads(file.read_bytes()), str(file))
    except (OSError, ValueError) as error:
        raise BreachwatchError(f"{file}: no keys can be read from it: {type(error).__name__}") from None


def _public(body: Any, where: str) -> dict[str | None, Any]:
    """Key id -> public key. Raises BreachwatchError for a JWKS without keys, or with one that nobody may have."""
    try:
        if any(key.get("kty") == "oct" or "d" in key for key in body["keys"]):
            raise BreachwatchError(
                f"{where}: it holds a secret key, with which whoever reads it makes tokens of their own: it must "
                "have the public ones alone. Make new keys, and take the old out of every JWKS file"
            )
        return {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(body).keys}
    except (ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError) as error:
        raise BreachwatchError(f"{where}: no keys can be read from it: {type(error).__name__}") from None


class KeyAddress:
    """The keys of a JWKS at an address, fetched every five minutes, and within half a minute of an unknown key.

    While the address does not answer, or with no JWKS, what it said last holds: a control room must not be locked out
    because its identity provider is away. A thread fetches, so that nobody who asks waits for it.
    """

    def __init__(self, address: str, every_s: float = 300.0, again_after_s: float = 30.0) -> None:
        self._client = jwt.PyJWKClient(address, cache_jwk_set=False, timeout=_FETCH_TIMEOUT_S)
        self._every_s, self._again_after_s = every_s, again_after_s
        self._keys: dict[str | None, Any] = {}
        self._unknown, self._closed = threading.Event(), threading.Event()
        self._fetch()
        threading.Thread(target=self._keep_fetching, name="jwks", daemon=True).start()

    def _keep_fetching(self) -> None:
        while not self._closed.wait(self._again_after_s):
            self._unknown.wait(self._every_s - self._again_after_s)
            self._unknown.clear()
            self._fetch()

    def close(self) -> None:
        """Fetch no more."""
        self._closed.set()
        self._unknown.set()

    def _fetch(self) -> None:
        try:
            self._keys = _public(self._client.fetch_data(), self._client.uri)
        except (BreachwatchError, jwt.PyJWTError, ValueError, OSError) as error:
            log.warning("keys_kept", why=f"{self._client.uri}: {type(error).__name__}")

    def key(self, kid: str | None) -> Any:
        found = self._keys.get(kid)
        if found is None:
            self._unknown.set()
        return found


class Tokens:
    """Tells whose a token is: by its signature, time, audience and, where one is set, its issuer."""

    def __init__(self, keys: KeySource, audience: str, issuer: str | None) -> None:
        self._keys, self._audience, self._issuer = keys, audience, issuer

    def claims(self, token: str, required: Iterable[str]) -> dict[str, Any]:
        """What a valid token states; it expires, and has each of the `required` claims. Raises RefusedError."""
        try:
            key = self._keys.key(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise RefusedError("the token is signed by a key that is not in the JWKS")
            return jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["exp", *required], "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise RefusedError(f"the token is not valid: {type(error).__name__}") from None
