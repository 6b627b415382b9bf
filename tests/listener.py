"""Whoever looks at a board in a test: tokens, requests, and a client of its stream."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from streams.settings import Settings

KEY = generate_private_key(SECP256R1())
FORCE = "Test Force"


def write_jwks(file: Path, key: Any = KEY, kid: str = "k1") -> Path:
    public = ECAlgorithm.to_jwk(key.public_key(), as_dict=True) | {"kid": kid, "use": "sig", "alg": "ES256"}
    file.write_bytes(orjson.dumps({"keys": [public]}))
    return file


def board_settings(pipeline: Settings, folder: Path, **more: Any) -> Settings:
    """Of a board on this pipeline, on ports of its own, whose tokens are those of `token`."""
    own = {
        "board_jwks_file": write_jwks(folder / "jwks.json"),
        "board_port": free_port(),
        "metrics_port": free_port(),
    }
    return pipeline.model_copy(update=own | more)


def token(
    role: str = "controller", *forces: str, name: str | None = None, key: Any = KEY, kid: str = "k1", **claims: Any
) -> str:
    """A token of somebody of these forces, of all where none is named."""
    stated = {
        "sub": name or f"{role}-1",
        "role": role,
        "forces": list(forces) or ["*"],
        "aud": "breachwatch-board",
        "exp": datetime.now(UTC) + timedelta(hours=1),
        **claims,
    }
    stated = {claim: value for claim, value in stated.items() if value is not None}
    return jwt.encode(stated, key, algorithm="ES256", headers={"kid": kid})


def bearer(given: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {given}"}


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def is_ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{settings.metrics_port}/readyz").status_code == 200
    except httpx.TransportError:
        return False


class Heard(NamedTuple):
    """An event of the stream."""

    id: str | None
    event: str
    data: Any


def parse(lines: Iterator[str]) -> Iterator[Heard]:
    """The events in lines of a stream (the WHATWG standard, section 9.2.6)."""
    fields: dict[str, str] = {}
    for line in lines:
        if not line:
            if "data" in fields:
                yield Heard(fields.get("id"), fields.get("event", "message"), orjson.loads(fields["data"]))
            fields = {}
        elif not line.startswith(":"):
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")


class Listener:
    """A client of the stream: what it has heard, and the last id."""

    def __init__(self) -> None:
        self.heard: list[Heard] = []
        self.last_id: str | None = None
        self.changed = asyncio.Event()

    async def follow(self, response: httpx.Response) -> None:
        pending: list[str] = []
        async for line in response.aiter_lines():
            pending.append(line)
            if line:
                continue
            for heard in parse(iter(pending)):
                self.heard.append(heard)
                self.last_id = heard.id or self.last_id
                self.changed.set()
            pending = []

    async def until(self, condition: Callable[[Heard], object], within_s: float = 30.0) -> Heard:
        """The first event of which it holds, heard already or to come."""
        async with asyncio.timeout(within_s):
            while True:
                found = next((heard for heard in self.heard if condition(heard)), None)
                if found is not None:
                    return found
                self.changed.clear()
                await self.changed.wait()

    def named(self, event: str) -> list[Any]:
        return [heard.data for heard in self.heard if heard.event == event]


@asynccontextmanager
async def listening(
    client: httpx.AsyncClient, given: str, last_id: str | None = None, **query: str
) -> AsyncIterator[Listener]:
    """A listener for the length of a block."""
    listener = Listener()
    headers = bearer(given) | ({} if last_id is None else {"Last-Event-ID": last_id})
    async with client.stream("GET", "/api/v1/stream", headers=headers, params=query, timeout=60) as response:
        assert response.status_code == 200, await response.aread()
        task = asyncio.create_task(listener.follow(response))
        try:
            yield listener
        finally:
            task.cancel()
