"""Who is at the door: bearer tokens, JSON Web Tokens (RFC 7519) signed by a key of the JWKS file (RFC 7517)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson
import structlog

from streams.errors import BreachwatchError

log = structlog.get_logger()
# Only signatures that a holder of the public key cannot make: never HS256, never "none".
ALGORITHMS = ["RS256", "ES256", "EdDSA"]


class RefusedError(Exception):
    """The token is not one that opens the door; `str()` says why, without the token."""


@dataclass(frozen=True)
class Sender:
    """Who sends, and what their token lets them do."""

    name: str
    """Claim `sub`."""
    scopes: frozenset[str]
    """Claim `scope` (RFC 8693 section 4.2): `publish:TOPIC`, `adapt:FORMAT`."""
    source: str
    """Claim `source`: what the `source` of their events must be, or begin with before a slash."""

    def may(self, scope: str) -> bool:
        return scope in self.scopes

    def speaks_for(self, source: str) -> bool:
        return source == self.source or source.startswith(f"{self.source}/")


class Keys:
    """The keys of the JWKS file; it is read again when it has changed, so that keys can be replaced.

    One that has become unusable changes nothing, and the log says so: those who send must not be shut out by a half
    written file.
    """

    def __init__(self, file: Path, audience: str, issuer: str | None) -> None:
        self._file, self._audience, self._issuer = file, audience, issuer
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
            log.warning("door_keys_kept", why=str(error))

    def sender(self, token: str) -> Sender:
        """Raises RefusedError."""
        self._refresh()
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid"))
            if key is None:
                raise RefusedError("the token is signed by a key that is not in the JWKS file")
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._audience,
                issuer=self._issuer,
                options={"require": ["exp", "sub", "scope", "source"], "enforce_minimum_key_length": True},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise RefusedError(f"the token is not valid: {type(error).__name__}") from None
        name, scope, source = (claims[claim] for claim in ("sub", "scope", "source"))
        if not all(isinstance(claim, str) and claim for claim in (name, scope, source)):
            raise RefusedError("the token's sub, scope and source must be texts")
        return Sender(name, frozenset(scope.split()), source)


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
