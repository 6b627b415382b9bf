"""Who is at the door, by their bearer token (`streams.tokens`)."""

from dataclasses import dataclass
from pathlib import Path

from streams.tokens import KeyFile, RefusedError, Tokens


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
    """The keys of the JWKS file that open the door."""

    def __init__(self, file: Path, audience: str, issuer: str | None) -> None:
        self._tokens = Tokens(KeyFile(file), audience, issuer)

    def sender(self, token: str) -> Sender:
        """Raises RefusedError."""
        claims = self._tokens.claims(token, ["sub", "scope", "source"])
        name, scope, source = (claims[claim] for claim in ("sub", "scope", "source"))
        if not all(isinstance(claim, str) and claim for claim in (name, scope, source)):
            raise RefusedError("the token's sub, scope and source must be texts")
        return Sender(name, frozenset(scope.split()), source)
