"""The board's OpenAPI document: whole, with examples that are true, and nothing that the framework made up."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import jsonschema
import pytest
import structlog

from streams.board.app import create
from streams.board.requests import OPENAPI, PREFIX
from streams.settings import Settings
from streams.tokens import Tokens


class NoKeys:
    def key(self, _: str | None) -> Any:
        return None


APP = create(Settings(bootstrap_servers="127.0.0.1:1"), Tokens(NoKeys(), "a", None))
DOCUMENT = APP.openapi()
OPERATIONS = [
    (path, method, operation) for path, methods in DOCUMENT["paths"].items() for method, operation in methods.items()
]


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS, ids=[f"{m} {p}" for p, m, _ in OPERATIONS])
def test_each_operation_needs_a_token_and_says_what_goes_wrong(path: str, method: str, operation: Any) -> None:
    assert path.startswith(PREFIX)
    assert operation["security"] == [{"HTTPBearer": []}]
    assert operation["description"]
    assert {"200", "400", "401", "429", "503"} <= operation["responses"].keys()
    assert ("409" in operation["responses"]) == ("updates" in path)
    for code, response in operation["responses"].items():
        assert response["description"]
        if code >= "400":
            assert list(response["content"]) == ["application/problem+json"]
    assert OPENAPI not in DOCUMENT["paths"]


def test_nothing_of_the_framework_is_in_it() -> None:
    text = json.dumps(DOCUMENT)
    assert "HTTPValidationError" not in text
    for name in set(DOCUMENT["components"]["schemas"]):
        assert f"#/components/schemas/{name}" in text, f"nothing refers to {name}"


@pytest.mark.parametrize("name", ["TaskSummary", "UpdateBody", "Problem"])
def test_its_examples_are_as_it_says(name: str) -> None:
    schema = DOCUMENT["components"]["schemas"][name]
    assert schema["examples"]
    for example in schema["examples"]:
        jsonschema.Draft202012Validator(schema | {"components": DOCUMENT["components"]}).validate(example)


@pytest.mark.parametrize("stated", [True, False])
def test_nobody_can_fill_its_memory_without_a_token(stated: bool) -> None:
    async def run() -> httpx.Response:
        async def much() -> AsyncIterator[bytes]:
            for _ in range(100):
                yield b"x" * 1000

        async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://board") as client:
            return await client.post(f"{PREFIX}/tasks/t/updates", content=b"x" * 100_000 if stated else much())

    answer = asyncio.run(run())
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
    assert answer.headers["X-Frame-Options"] == "DENY"


def test_a_fault_of_ours_shows_nothing_of_what_it_was_about(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise ValueError("the address is 4 Elm Road")

    monkeypatch.setattr(APP.state.board, "admitted", fails)

    async def run() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(APP), base_url="http://board") as client:
            return await client.get(f"{PREFIX}/me")

    with structlog.testing.capture_logs() as lines:
        answer = asyncio.run(run())
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.headers["Cache-Control"] == "no-store"
    assert [line["event"] for line in lines] == ["board_fault"]
    assert "Elm" not in answer.text + str(lines)


def test_a_link_without_a_number_is_no_update() -> None:
    schema = DOCUMENT["components"]["schemas"]["UpdateBody"] | {"components": DOCUMENT["components"]}
    fits = jsonschema.Draft202012Validator(schema).is_valid
    assert not fits({"action": "link", "revision": 1})
    assert fits({"action": "link", "revision": 1, "incident": "NC/2026/117"})
    assert not fits({"action": "assign"})
