"""What holds for every answer of our HTTP interfaces, whatever becomes of a request."""

import traceback
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from streams.problems import ProblemError

log = structlog.get_logger()

UVICORN: dict[str, Any] = {
    "log_config": None,
    # It would have addresses with ids in it.
    "access_log": False,
    "server_header": False,
    # An address is that of the connection: no header of a client may state one.
    "proxy_headers": False,
    "ws": "none",
}
"""How each of them is served."""


class Guarded:
    """Middleware: answers have `headers` (of the path), and no fault of ours shows what it was about."""

    def __init__(self, app: ASGIApp, service: str, headers: Callable[[str], Mapping[str, str]]) -> None:
        self._app, self._service, self._headers = app, service, headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def guarded(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                MutableHeaders(scope=message).update(self._headers(scope["path"]))
            await send(message)

        try:
            await self._app(scope, receive, guarded)
        except ClientDisconnect:
            return
        except Exception as error:
            # Its text may hold what somebody sent; where it was raised is enough to find it.
            log.error(f"{self._service}_fault", error=type(error).__name__, at=_place(error))
            if not begun:
                problem = ProblemError(
                    500, f"A fault of the {self._service}", "nothing is known of what became of it: send it again"
                )
                await problem.response()(scope, receive, guarded)


class Bounded:
    """Middleware: no more than `most_bytes` of a body are read; then it is refused, as the framework refuses."""

    def __init__(self, app: ASGIApp, most_bytes: int) -> None:
        self._app, self._most = app, most_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        taken = 0

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > self._most:
                raise HTTPException(413)
            return message

        await self._app(scope, bounded, send)


def _place(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{frame.filename}:{frame.lineno}"
