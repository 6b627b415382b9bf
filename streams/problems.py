"""Errors of our HTTP interfaces, as problem details (RFC 9457)."""

from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from limits import RateLimitItem
from limits.strategies import RateLimiter
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class ProblemError(Exception):
    """An error that a client is told of; `more` are members of its own."""

    def __init__(self, status: int, title: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.title, self.detail, self.more = status, title, detail, more
        self.headers: dict[str, str] = {}

    def response(self) -> Response:
        body = {"type": "about:blank", "title": self.title, "status": self.status, "detail": self.detail, **self.more}
        return Response(orjson.dumps(body), self.status, self.headers, MEDIA_TYPE)


def unauthorised(why: str) -> ProblemError:
    error = ProblemError(401, "Not authenticated", why)
    error.headers["WWW-Authenticate"] = "Bearer"
    return error


def not_now(title: str, detail: str, after_s: int) -> ProblemError:
    """What can be had in a moment; `after_s`: seconds until it is worth trying again."""
    error = ProblemError(503, title, detail)
    error.headers["Retry-After"] = str(after_s)
    return error


def again_in_s(limiter: RateLimiter, rate: RateLimitItem, name: str) -> int:
    """Seconds until somebody who was at the limit may ask again."""
    reset_at, _ = limiter.get_window_stats(rate, name)
    return int(reset_at - datetime.now(UTC).timestamp()) + 1


def too_many(detail: str, after_s: int) -> ProblemError:
    """`after_s`: seconds until it is worth trying again."""
    error = ProblemError(429, "Too many", detail)
    error.headers["Retry-After"] = str(max(1, after_s))
    return error


def answer_with_problems(app: FastAPI, described_at: str) -> None:
    """Every error of the application is a problem, those of the framework too."""

    @app.exception_handler(ProblemError)
    async def _problem(_: Request, error: ProblemError) -> Response:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def _not_valid(_: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        return ProblemError(400, "Not a valid request", wrong).response()

    @app.exception_handler(HTTPException)
    async def _not_here(_: Request, error: HTTPException) -> Response:
        problem = ProblemError(error.status_code, str(error.detail), f"see {described_at}")
        problem.headers |= error.headers or {}
        return problem.response()
