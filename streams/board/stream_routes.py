"""The live stream."""

from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Response
from sse_starlette.sse import EventSourceResponse, SendTimeoutError
from starlette.types import Receive, Scope, Send

from streams import metrics
from streams.board.requests import PREFIX, Here, Who, World, problems
from streams.board.stream import Asked, events
from streams.problems import not_now, too_many

log = structlog.get_logger()

routes = APIRouter(prefix=PREFIX, tags=["stream"])


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
            "again, from this event's id on nothing is missed. `heartbeat`: {at, data_age_s, unreadable}, every few "
            "seconds; without one for three times as long the connection is dead. `evicted`: you read too slowly; "
            "come back with the last id. `expired`: your token has ended; come back with a new one. "
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


@routes.get("/stream", response_class=EventSourceResponse, responses={**_STREAM, **problems()})
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
        raise not_now("Too many clients", "the stream has as many clients as it takes: try again", 5)
    if board.hub.of_person(who.name) >= board.settings.board_clients_each:
        board.too_much(who, "streams at a time")
        raise too_many(f"no more than {board.settings.board_clients_each} streams of one person at a time", 5)
    board.listed(who, f"the stream of tasks, exercises: {exercises}")
    settings = board.settings
    asked = Asked(who, exercises, last_event_id, settings.board_queue)
    made = events(board.hub, asked, settings.board_heartbeat_s, board.state)
    return _Stream(made, ping=0, send_timeout=settings.board_stuck_s)
