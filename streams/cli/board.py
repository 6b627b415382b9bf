"""`breachwatch board`: the control room's live view, and the interface of other dashboards."""

import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from streams.settings import Settings
    from streams.tokens import KeySource


def command(
    demo: Annotated[
        bool,
        typer.Option(
            "--demo-token", help="Make a key and a token for this run alone, and print an address that has it."
        ),
    ] = False,
) -> None:
    """Serve the board until told to stop."""
    import uvicorn

    from streams.board.app import create
    from streams.guard import UVICORN
    from streams.kafka import admin
    from streams.runtime import begin
    from streams.tokens import Tokens

    settings = load_settings()
    keys = _demo_keys(settings) if demo else _keys(settings)
    admin.require(settings, "board")
    health = begin(settings, "board")
    app = create(settings, Tokens(keys, settings.board_audience, settings.board_issuer))
    board = app.state.board
    health.alive["event loop"] = board.watchdog.alive
    health.alive["topics"] = board.follower.alive
    health.ready["topics"] = board.follower.current
    server = uvicorn.Server(
        uvicorn.Config(
            app, host=settings.board_host, port=settings.board_port, timeout_graceful_shutdown=5, **UVICORN
        )
    )

    def ended() -> None:
        server.should_exit = True

    board.on_failure = ended
    # uvicorn ends in order, and then raises the signal again for whoever had it before: an exit that looks like none.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run()
    if board.failure is not None:
        raise BreachwatchError(f"the board does not read its topics any more: {board.failure}")


def _keys(settings: "Settings") -> "KeySource":
    from streams.tokens import KeyAddress, KeyFile

    if (settings.board_jwks_file is None) == (settings.board_jwks_url is None):
        raise BreachwatchError(
            "BREACHWATCH_BOARD_JWKS_FILE or BREACHWATCH_BOARD_JWKS_URL: say by one of the two whose tokens are valid "
            "at the board (for a look at it: --demo-token)"
        )
    if settings.board_jwks_file is not None:
        return KeyFile(settings.board_jwks_file)
    return KeyAddress(str(settings.board_jwks_url))


def _demo_keys(settings: "Settings") -> "KeySource":
    from streams.board.demo_token import demo_token
    from streams.tokens import KeyFile

    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "jwks.json"
        token = demo_token(settings, file)
        keys = KeyFile(file)
    # Behind the hash, which a browser sends to nobody; the page takes it out of its address.
    typer.echo(
        f"the board, for this machine alone: http://{settings.board_host}:{settings.board_port}/#token={token}"
    )
    return keys
