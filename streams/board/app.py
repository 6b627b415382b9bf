"""The board's HTTP interface: tasks, updates and the live stream for dashboards, and the page that is one of them.

Every request but those for the page and for the OpenAPI document has a bearer token in its `Authorization` header,
the stream's too (by `fetch`; `EventSource` cannot set headers, and a token in an address is logged). No cookie is set
or read, so that no other site can act in a person's name. Errors are problem details (RFC 9457).
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import orjson
import structlog
from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi import Path as InPath
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from schemas.tasks import ArrestTask, TaskState
from schemas.updates import TaskAnswer
from streams import metrics
from streams.board import shown
from streams.board.actions import possible
from streams.board.headers import StrictHeaders
from streams.board.listing import Wanted, page, wanted_by
from streams.board.people import Exercises, Person, for_viewers, of_world
from streams.board.service import Board
from streams.board.stream import events
from streams.board.updates import UpdateBody, UpdateResult, update_event, update_id_of
from streams.core import explanation
from streams.problems import MEDIA_TYPE, ProblemError, answer_with_problems
from streams.settings import Settings
from streams.tokens import Tokens

log = structlog.get_logger()

OPENAPI = "/api/v1/openapi.json"
_PAGE = Path(__file__).with_name("page")
_MOST = 500


def _problems(**told: str) -> dict[int | str, dict[str, Any]]:
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
    return await board.admitted(None if given is None else given.credentials, address)


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
api = APIRouter(prefix="/api/v1")


def _json(body: bytes | BaseModel, status: int = 200) -> Response:
    content = body.model_dump_json().encode() if isinstance(body, BaseModel) else body
    return Response(content, status, media_type="application/json")


def _list(items: Iterable[bytes]) -> bytes:
    return b"[" + b",".join(items) + b"]"


def _fresh(board: Board) -> dict[str, Any]:
    return {"data_age_s": board.follower.age_s(), "position": board.hub.position()}


def _with(board: Board, **parts: bytes) -> Response:
    """A JSON object of parts that are JSON already, and how fresh they are."""
    whole = parts | {name: orjson.dumps(value) for name, value in _fresh(board).items()}
    return _json(b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in whole.items()) + b"}")


@api.get("/me", response_model=shown.Me, responses=_problems())
async def me(request: Request, who: Who) -> shown.Me:
    """Who I am here, and what I may."""
    board: Board = request.app.state.board
    return shown.Me(
        name=who.name,
        role=who.role,
        forces=None if who.forces is None else sorted(who.forces),
        may_act=who.may_act,
        sees_protected=who.sees_protected,
        expires_at=datetime.fromtimestamp(who.expires_at, UTC),
        grades=[grade.name for grade in board.policy.grades],
    )


@api.get("/tasks", response_model=shown.TaskPage, responses=_problems())
async def tasks(
    who: Who,
    board: Here,
    state: Annotated[list[TaskState], Query(description="Any of these; none named: all that are not over.")] = [],  # noqa: B006
    grade: Annotated[list[str], Query(max_length=10, description="Any of these.")] = [],  # noqa: B006
    force: Annotated[str | None, Query(max_length=200, description="The owning force, or that of an event.")] = None,
    assigned: Annotated[bool | None, Query(description="Whether somebody has been sent.")] = None,
    overdue: Annotated[bool, Query(description="Past the deadline, and nobody has the subject.")] = False,
    text: Annotated[str, Query(max_length=100, description="Part of an id, a name or an incident's number.")] = "",
    exercises: World = "none",
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 200,
    cursor: Annotated[str | None, Query(max_length=400, description="`next` of the part before.")] = None,
) -> Response:
    """Arrest tasks, the most urgent first: by grade, then by deadline."""
    now = datetime.now(UTC)
    wanted = Wanted(frozenset(state), frozenset(grade), force, assigned, overdue, text, exercises)
    try:
        found = page(board.model.tasks.values(), wanted_by(who, wanted, now), board.policy, limit, cursor)
    except ValueError as error:
        raise ProblemError(400, "Not a valid request", str(error)) from None
    return _with(
        board,
        tasks=_list(kept.shown for kept in found.tasks),
        total=orjson.dumps(found.total),
        next=orjson.dumps(found.next),
    )


@api.get(
    "/tasks/{task_id}",
    response_model=shown.TaskInFull,
    responses=_problems(on_404="There is no such task, or it is another force's"),
)
async def task_in_full(task_id: TaskId, who: Who, board: Here, why: Why = None) -> shown.TaskInFull:
    """One task: its grounds with their evidence, its history, and why it is as it is. That you looked is audited."""
    kept = await board.task(who, task_id)
    await board.viewed(who, kept, "the task", why)
    task = ArrestTask.model_validate_json(kept.raw)
    if not who.sees_protected:
        task = for_viewers(task)
    beside = sorted(board.model.beside(kept.summary), key=lambda s: s.task.opened_at)
    return shown.TaskInFull(
        task=task,
        explanation=shown.Explanation(
            heading=explanation.heading(task),
            points=explanation.points(task),
            grounds=[explanation.ground(breach) for breach in task.breaches],
            alternatives=explanation.alternatives(task, board.policy),
        ),
        actions=[
            shown.PossibleAction(action=each.action, needs=list(each.needs))
            for each in possible(task.state, who.role)
        ],
        safeguarding=[each.task for each in beside] if who.sees_protected else None,
        alerts=[
            each.alert
            for each in board.model.alerts.values()
            if each.alert.task_id == task_id and (who.sees_protected or each.alert.to != "safeguarding")
        ],
        **_fresh(board),
    )


@api.post(
    "/tasks/{task_id}/updates",
    response_model=UpdateResult,
    responses={
        202: {
            "model": UpdateResult,
            "description": "No answer yet; Location says where to ask for it",
        },
        **_problems(
            on_403="Your role may not move tasks",
            on_404="There is no such task, or it is another force's",
            on_409="Refused, and why: in `detail`, for people",
            on_422="The Idempotency-Key was used for something else",
        ),
    },
)
async def update_task(
    task_id: TaskId,
    body: UpdateBody,
    who: Who,
    board: Here,
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="The same one for the same deed.")
    ] = None,
) -> Response:
    """Acknowledge, assign, move, close or note; answered once breachwatch has decided on it."""
    await board.must_act(who, task_id)
    kept = await board.task(who, task_id)
    task = kept.summary
    return await _update(board, who, task_id, task.subject_id, task.exercise, body, idempotency_key)


async def _update(
    board: Board, who: Person, task_id: str, subject_id: str, exercise: bool, body: UpdateBody, key: str | None
) -> Response:
    update_id = update_id_of(who, task_id, key)
    event = update_event(who, task_id, subject_id, exercise, body, update_id, datetime.now(UTC))
    answer = await board.sending.update(event, who)
    if answer is None:
        response = _json(UpdateResult(update_id=update_id, status="pending", task_id=task_id), 202)
        response.headers["Location"] = f"/api/v1/updates/{update_id}"
        return response
    return await _answered(board, update_id, answer)


async def _answered(board: Board, update_id: str, answer: TaskAnswer) -> Response:
    if not answer.accepted:
        raise ProblemError(409, "Refused", answer.reason or "", update_id=update_id, state=answer.state)
    task_id = answer.task_id or ""
    revision = await board.revision_with(task_id, answer.event_id)
    return _json(
        UpdateResult(update_id=update_id, status="accepted", task_id=task_id, state=answer.state, revision=revision)
    )


@api.get(
    "/updates/{update_id}",
    response_model=UpdateResult,
    responses=_problems(on_404="You made no such update in the last hour", on_409="Refused, and why"),
)
async def update_result(
    update_id: Annotated[str, InPath(max_length=36, pattern=r"^[0-9a-f-]{36}$")], who: Who, board: Here
) -> Response:
    """What became of an update of mine."""
    answer = board.sending.answer(update_id)
    if answer is not None and answer.actor == who.name:
        return await _answered(board, update_id, answer)
    if answer is None and (task_id := board.sending.asked_by(update_id, who.name)) is not None:
        return _json(UpdateResult(update_id=update_id, status="pending", task_id=task_id))
    raise ProblemError(404, "No such update", "you made no update of that id in the last hour")


class _Stream(EventSourceResponse):
    """A stream whose client may stop reading: that is no fault of ours."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except SendTimeoutError:
            metrics.BOARD_DROPPED.labels("stuck").inc()
            log.info("stream_client_dropped", why="it took nothing in time")


_STREAM: dict[int | str, dict[str, Any]] = {
    200: {
        "description": (
            "Server-sent events, each with `event`, `data` (JSON) and, but for `evicted` and `expired`, an `id`. "
            "`task`: a TaskSummary, new or changed. `task_removed`: {task_id}, gone or no longer yours. "
            "`safeguarding`: a SafeguardingTask; `safeguarding_removed`: {safeguarding_id}. `alert`: an Alert. "
            "`start`: what was missed has been sent. `reset`: the id is too old, or not of this log: load the lists "
            "again, from this event's id on nothing is missed. `heartbeat`: {at, data_age_s}, every few seconds; "
            "without one for three times as long the connection is dead. `evicted`: you read too slowly; come back "
            "with the last id. `expired`: your token has ended; come back with a new one. "
            "Send the last id as `Last-Event-ID`, at first the `position` of a list: nothing is missed then. "
            "An event may come twice; the higher `revision` counts, and `alert_id` tells alerts apart."
        ),
        "content": {
            "text/event-stream": {
                "schema": {"type": "string"},
                "example": 'id: k5MAAgCT\r\nevent: heartbeat\r\ndata: {"at":"2026-11-25T08:30:00Z"}\r\n\r\n',
            }
        },
    }
}


@api.get("/stream", response_class=EventSourceResponse, responses={**_STREAM, **_problems()})
async def stream(
    who: Who,
    board: Here,
    exercises: World = "none",
    last_event_id: Annotated[
        str | None, Header(max_length=8000, description="Of the last event that you have.")
    ] = None,
) -> Response:
    """What changes, as it does."""
    if len(board.hub.clients) >= board.settings.board_clients:
        problem = ProblemError(503, "Too many clients", "the stream has as many clients as it takes: try again")
        problem.headers["Retry-After"] = "5"
        raise problem
    settings = board.settings
    client, missed = board.hub.open(who, exercises, last_event_id, settings.board_queue)
    made = events(board.hub, client, missed, settings.board_heartbeat_s, board.follower.age_s)
    return _Stream(made, ping=0, send_timeout=settings.board_stuck_s)


@api.get("/alerts", response_model=shown.AlertList, responses=_problems())
async def alerts(
    who: Who,
    board: Here,
    exercises: World = "none",
    limit: Annotated[int, Query(ge=1, le=_MOST)] = 200,
) -> Response:
    """The newest alerts of my forces."""
    found = [
        kept
        for kept in board.model.alerts.values()
        if who.sees(kept.forces)
        and of_world(kept.alert.exercise, exercises)
        and (who.sees_protected or kept.alert.to != "safeguarding")
    ]
    newest = sorted(found, key=lambda kept: kept.alert.at, reverse=True)[:limit]
    return _with(board, alerts=_list(kept.raw for kept in newest))


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: what FastAPI makes of the routes, with our problems in place of its own errors."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        schemas = made["components"]["schemas"]
        schemas["Problem"] = shown.Problem.model_json_schema()
        for name in ("HTTPValidationError", "ValidationError"):
            schemas.pop(name, None)
        for operations in made["paths"].values():
            for operation in operations.values():
                if "HTTPValidationError" in str(operation["responses"].get("422")):
                    del operation["responses"]["422"]
    assert app.openapi_schema is not None
    return app.openapi_schema


def create(settings: Settings, tokens: Tokens) -> FastAPI:
    """The application. It takes requests at once, and shows tasks once it has read them."""
    board = Board(settings, tokens)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await board.start()
        try:
            yield
        finally:
            await board.stop()

    app = FastAPI(
        title="breachwatch: the board",
        version="1",
        description=__doc__,
        lifespan=lifespan,
        openapi_url=OPENAPI,
        docs_url=None,
        redoc_url=None,
    )
    app.state.board = board
    app.add_middleware(StrictHeaders)
    answer_with_problems(app, OPENAPI)
    app.include_router(api)
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    app.mount("/", StaticFiles(directory=_PAGE, html=True), name="page")
    return app
