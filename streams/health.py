"""What a process says of itself: /metrics, /healthz (alive) and /readyz (able to do its work now).

All on one port, from a thread of its own: a process whose event loop stands still must still be able to say so.
"""

import threading
from collections.abc import Callable, Iterable
from importlib.metadata import version
from platform import python_version
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import orjson
from prometheus_client import make_wsgi_app

from streams import metrics
from streams.errors import BreachwatchError

Check = Callable[[], str | None]
"""Why not, in words without personal data; None: it is well."""


class Health:
    """Named checks of one process: of being alive, and of being ready; `role` is what the process is."""

    def __init__(self, role: str) -> None:
        self.alive: dict[str, Check] = {}
        self.ready: dict[str, Check] = {}
        metrics.BUILD.info({"version": version("breachwatch"), "python": python_version(), "role": role})

    def show(self) -> None:
        """The checks as they are now, as metrics."""
        for gauge, wrong, checks in (
            (metrics.ALIVE, self.asked("/healthz"), self.alive),
            (metrics.READY, self.asked("/readyz"), self.alive | self.ready),
        ):
            gauge.clear()
            for name in {*checks, *(wrong or {})}:
                gauge.labels(name).set(name not in (wrong or {}))

    def asked(self, path: str) -> dict[str, str] | None:
        """What is wrong, by check; None for a path that is not one of health."""
        if path == "/healthz":
            return _wrong(self.alive)
        if path == "/readyz":
            # Served from the first moment: with nothing to ask yet, nothing is ready.
            return _wrong(self.alive | self.ready) if self.ready else {"start": "the process is starting"}
        return None


def _wrong(checks: dict[str, Check]) -> dict[str, str]:
    found = {name: check() for name, check in checks.items()}
    return {name: why for name, why in found.items() if why is not None}


def serve(host: str, port: int, health: Health) -> None:
    """Serve on this address; port 0: not at all. Raises BreachwatchError when it cannot be had."""
    if not port:
        return
    exposition = make_wsgi_app()

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        wrong = health.asked(environ["PATH_INFO"])
        if wrong is None:
            health.show()
            found: Iterable[bytes] = exposition(environ, start_response)
            return found
        start_response(
            "503 Service Unavailable" if wrong else "200 OK",
            [("Content-Type", "application/json"), ("Cache-Control", "no-store")],
        )
        return [orjson.dumps({"ok": not wrong, "wrong": wrong})]

    try:
        server = make_server(host, port, answer, server_class=_Server, handler_class=_Quiet)
    except OSError as error:
        raise BreachwatchError(
            f"metrics port {port} of {host} cannot be used ({error.strerror}): each process needs one of its own"
        ) from None
    threading.Thread(target=server.serve_forever, name="health", daemon=True).start()


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, *_: Any) -> None:
        """A scrape is no news."""
