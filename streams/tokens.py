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
    """Key id -> public key. Raises BreachwatchError for a file without keys, or with one that nobody may have."""
    try:
        body = orjson.loads(file.read_bytes())
        if any(key.get("kty") == "oct" or "d" in key for key in body["keys"]):
            raise BreachwatchError(
                f"{file}: it holds a secret key, with which whoever reads it makes tokens of their own: it must have "
                "the public ones alone. Make new keys, and take the old out of every JWKS file"
            )
        return {key.key_id: key.key for key in jwt.PyJWKSet.from_dict(body).keys}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, jwt.PyJWTError) as error:
        raise BreachwatchError(f"{file}: no keys can be read from it: {type(error).__name__}") from None


class KeyAddress:
    """The keys of a JWKS that is fetched, at most once in five minutes, and for an unknown key once in half a minute.

    While the address does not answer, what it said last holds: a control room must not be locked out because its
    identity provider is away.
    """

    def __init__(self, address: str) -> None:
        self._client = jwt.PyJWKClient(address, timeout=_FETCH_TIMEOUT_S)
        self._known: dict[str, Any] = {}
        self._lock = threading.Lock()

    def key(self, kid: str | None) -> Any:
        """Blocks for up to five seconds where keys have to be fetched."""
        if kid is None:
            return None
        try:
            found = self._client.get_signing_key(kid).key
        except jwt.PyJWKClientConnectionError:
            with self._lock:
                return self._known.get(kid)
        except jwt.PyJWTError:
            return None
        with self._lock:
            self._known[kid] = found
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
