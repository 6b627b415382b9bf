"""A token of its own for a demonstration: made with a key that is thrown away, for a board on loopback alone."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from streams.errors import BreachwatchError
from streams.settings import Settings, is_loopback

_HOURS = 12
_KEY_ID = "demo"


def demo_token(settings: Settings, jwks_file: Path, role: str = "supervisor", name: str = "demo") -> str:
    """A token for twelve hours and all forces; its public key is written to `jwks_file`, its private key nowhere.

    Raises BreachwatchError for a board that others than this machine can reach.
    """
    if not is_loopback(settings.board_host):
        raise BreachwatchError(
            f"BREACHWATCH_BOARD_HOST is {settings.board_host}: a demonstration's token is for loopback only"
        )
    key = generate_private_key(SECP256R1())
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": _KEY_ID, "use": "sig", "alg": "ES256"}
    jwks_file.write_bytes(orjson.dumps({"keys": [public]}))
    claims = {
        "sub": name,
        "role": role,
        "forces": ["*"],
        "aud": settings.board_audience,
        "exp": datetime.now(UTC) + timedelta(hours=_HOURS),
        **({} if settings.board_issuer is None else {"iss": settings.board_issuer}),
    }
    return jwt.encode(claims, key, algorithm="ES256", headers={"kid": _KEY_ID})
