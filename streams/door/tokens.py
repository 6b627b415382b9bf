"""Who is at the door: bearer tokens, JSON Web Tokens (RFC 7519) signed by a key of the JWKS file (RFC 7517)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
import orjson

from streams.errors import BreachwatchError

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
    """The keys of the JWKS file; it is read again when it has changed, so that keys can be replaced."""

    def __init__(self, file: Path, audience: str, issuer: str | None) -> None:
        self._file, self._audience, self._issuer = file, audience, issuer
        self._read_at = -1.0
        self._keys: dict[str | None, Any] = {}
        self._refresh()

    def _refresh(self) -> None:
        try:
            changed_at = self._file.stat().st_mtime
            if changed_at != self._read_at:
                keys = jwt.PyJWKSet.from_dict(orjson.loads(self._file.read_bytes())).keys
                self._keys, self._read_at = {key.key_id: key.key for key in keys}, changed_at
        except (OSError, ValueError, TypeError, jwt.PyJWTError) as error:
            if not self._keys:
                raise BreachwatchError(f"{self._file}: no keys can be read from it: {type(error).__name__}") from None

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
                options={"require": ["exp", "sub", "scope", "source"]},
            )
        except (jwt.PyJWTError, TypeError, ValueError) as error:
            raise RefusedError(f"the token is not valid: {type(error).__name__}") from None
        name, scope, source = (claims[claim] for claim in ("sub", "scope", "source"))
        if not all(isinstance(claim, str) and claim for claim in (name, scope, source)):
            raise RefusedError("the token's sub, scope and source must be texts")
        return Sender(name, frozenset(scope.split()), source)
