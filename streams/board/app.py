"""The board's HTTP interface: tasks, updates and the live stream for dashboards, and the page that is one of them.

Every request but those for the page and for the OpenAPI document has a bearer token in its `Authorization` header,
the stream's too (by `fetch`; `EventSource` cannot set headers, and a token in an address is logged). No cookie is set
or read, so that no other site can act in a person's name. Errors are problem details (RFC 9457).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import Depends, FastAPI
from starlette.routing import Match, Mount
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from streams.board import shown
from streams.board.headers import headers
from streams.board.requests import OPENAPI, as_described
from streams.board.room_routes import routes as room
from streams.board.service import Board
from streams.board.stream_routes import routes as stream
from streams.board.task_routes import routes as tasks
from streams.board.update_routes import routes as updates
from streams.guard import Bounded, Guarded
from streams.problems import answer_with_problems
from streams.settings import Settings
from streams.tokens import Tokens

_PAGE = Path(__file__).with_name("page")
# The largest update has some 1,500 characters. A body is read before anybody is asked for a token.
_MOST_BYTES = 65_536


class _Page(Mount):
    """The page has every path but those of the interface, whose methods it must not answer for."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return (Match.NONE, {}) if scope["path"].startswith("/api/") else super().matches(scope)


def _described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: what FastAPI makes of the routes, with our problems in place of its own errors."""
    if app.openapi_schema is None:
        made = FastAPI.openapi(app)
        schemas = made["components"]["schemas"]
        schemas["Problem"] = shown.Problem.model_json_schema()
        schemas["TaskSummary"]["examples"] = [shown.TASK_EXAMPLE]
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
    app.add_middleware(Bounded, _MOST_BYTES)
    app.add_middleware(Guarded, "board", headers)
    answer_with_problems(app, OPENAPI)
    for routes in (tasks, updates, stream, room):
        app.include_router(routes, dependencies=[Depends(as_described)])
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    app.router.routes.append(_Page("/", StaticFiles(directory=_PAGE, html=True), name="page"))
    return app
