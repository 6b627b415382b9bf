"""What every route of the board has in common: who asks, what they may state, and how it is answered."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any

import orjson
from fastapi import Depends, Header, Query, Request, Response
from fastapi import Path as InPath
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel

from streams.board.people import Exercises, Person
from streams.board.service import Board
from streams.problems import MEDIA_TYPE, ProblemError

OPENAPI = "/api/v1/openapi.json"
PREFIX = "/api/v1"
NOT_YOURS = "There is no such task, or it is another force's"
MOST = 500
"""Of anything in one answer."""


def problems(**told: str) -> dict[int | str, dict[str, Any]]:
    every = {
        "400": "Not a valid request",
        "401": "No token, or one that is not valid here",
        "429": "Too many requests of this person; Retry-After says when",
        "503": "The board is starting, or the log cannot be written; Retry-After says when",
        **{code.removeprefix("on_"): text for code, text in told.items()},
    }
    return {
        int(code): {
            "description": text,
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for code, text in every.items()
    }


_bearer = HTTPBearer(auto_error=False, description="A JSON Web Token with the claims sub, role, forces, aud and exp.")


async def _who(request: Request, given: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Person:
    board: Board = request.app.state.board
    address = request.client.host if request.client is not None else "-"
    return board.admitted(None if given is None else given.credentials, address)


def _board(request: Request) -> Board:
    board: Board = request.app.state.board
    board.ready()
    return board


Who = Annotated[Person, Depends(_who)]
Here = Annotated[Board, Depends(_board)]
TaskId = Annotated[str, InPath(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:@+-]*$")]
Why = Annotated[
    str | None, Header(alias="Access-Reason", max_length=200, description="Why you look; it goes on the audit trail.")
]
World = Annotated[
    Exercises, Query(description="Exercises are left out, shown `with` the rest, or shown as the `only` ones.")
]
Force = Annotated[str | None, Query(max_length=200, description="The owning force, or that of an event.")]


def as_described(request: Request) -> None:
    """Refuse a parameter that the OpenAPI document does not have, or has once: a filter that is spelt wrongly would
    show more than was asked for. Raises ProblemError."""
    described = request.app.openapi()["paths"][request.scope["route"].path][request.method.lower()]
    many = {each["name"]: each["schema"].get("type") == "array" for each in described.get("parameters", ())}
    given = Counter(name for name, _ in request.query_params.multi_items())
    for name, times in given.items():
        if name not in many or (times > 1 and not many[name]):
            wrong = "there is no such parameter" if name not in many else "given more than once"
            raise ProblemError(400, "Not a valid request", f"query.{name[:40]}: {wrong}")


def json_answer(body: bytes | BaseModel, status: int = 200) -> Response:
    content = body.model_dump_json().encode() if isinstance(body, BaseModel) else body
    return Response(content, status, media_type="application/json")


def a_list(items: Iterable[bytes]) -> bytes:
    """Of items that are JSON already."""
    return b"[" + b",".join(items) + b"]"


def freshness(board: Board) -> dict[str, Any]:
    """How old the data is, and where a stream goes on from it."""
    return {**board.state(), "position": board.hub.position()}


def fresh_answer(board: Board, **parts: bytes) -> Response:
    """A JSON object of parts that are JSON already, and how fresh they are."""
    whole = parts | {name: orjson.dumps(value) for name, value in freshness(board).items()}
    return json_answer(b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in whole.items()) + b"}")
