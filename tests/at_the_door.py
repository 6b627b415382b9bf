"""Who comes to the HTTP door of a pipeline under test: a key that it knows, tokens that it signs, and a request."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from harness import Pipeline
from jwt.algorithms import ECAlgorithm

_KEY = generate_private_key(SECP256R1())


def jwks() -> bytes:
    """The JWKS file that the door knows the key by."""
    key = ECAlgorithm.to_jwk(_KEY.public_key(), as_dict=True) | {"kid": "k1", "use": "sig", "alg": "ES256"}
    return orjson.dumps({"keys": [key]})


def token(**claims: Any) -> str:
    """A token of a sender, good for a day; `scope` and `source` are for the test to state."""
    stated = {"sub": "suppliers", "aud": "breachwatch", "exp": datetime.now(UTC) + timedelta(days=1)}
    return jwt.encode(stated | claims, _KEY, algorithm="ES256", headers={"kid": "k1"})


def post(pipeline: Pipeline, path: str, body: Any, **options: Any) -> httpx.Response:
    """The answer to a request below `/v1/`, as soon as the door is open."""
    address = f"http://127.0.0.1:{pipeline.settings.door_port}/v1/{path}"

    def tried() -> httpx.Response | None:
        try:
            return httpx.post(address, json=body, **options)
        except httpx.TransportError:
            return None

    return pipeline.until(tried, "the door answers")
