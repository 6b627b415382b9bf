"""`breachwatch adapters`: formats that are out there already, in and out."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from streams.adapters.routes import Route
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)
Names = Annotated[list[str] | None, typer.Argument(metavar="[NAME]...", help="As `adapters list` shows them.")]


@app.callback()
def _adapters() -> None:
    """Formats that are out there already."""


@app.command("list")
def list_adapters() -> None:
    """Name each adapter, the topics that it reads and those that it writes."""
    for name, route in _routes(load_settings()).items():
        typer.echo(f"{name:<18} {', '.join(route.reads)} -> {', '.join(route.writes)}")


@app.command()
def run(names: Names = None) -> None:
    """Run these adapters until told to stop; without a name those of raw messages."""
    from streams.adapters import running
    from streams.adapters.routes import FORMATS
    from streams.kafka import admin
    from streams.runtime import begin

    settings = load_settings()
    every = _routes(settings)
    chosen = {name: _one(every, name) for name in names or FORMATS}
    admin.require(settings, "adapters")
    health = begin(settings, "adapters")
    asyncio.run(running.run(settings, chosen, health))


@app.command()
def again(
    name: Annotated[str, typer.Argument(help="An adapter of raw messages, once it is mended.")],
    since: Annotated[str, typer.Option(help="From when on: 2026-11-25 03:10, London time.")],
    reason: Annotated[str, typer.Option(help="Why; it is audited.")],
) -> None:
    """Take the raw messages of a time again. What was right before becomes a duplicate, and changes nothing."""
    from streams.adapters import running
    from streams.cli.user import on_record
    from streams.entered import moment
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import send_all

    settings = load_settings()
    route = _one(_routes(settings), name)
    if not route.reads[0].startswith("raw-"):
        raise BreachwatchError(f"{name} makes nothing of raw messages")
    start = moment(since, "--since")
    about = f"{name} since {start:%Y-%m-%d %H:%M}Z"
    send_all(
        cluster_of(settings),
        [on_record(settings, "adapter_run_again", reason, about, "adapter", (route.reads[0], 0, 0))],
    )
    done = asyncio.run(running.again(settings, name, route, start, typer.echo))
    typer.echo(f"{done.made:,} events sent, {done.bad:,} could not be used: see `breachwatch dead-letters list`")


def _routes(settings: "Settings") -> "dict[str, Route]":
    from streams.adapters.cameras import read_cameras
    from streams.adapters.routes import routes

    return routes(settings, read_cameras(settings.cameras_file))


def _one(every: "dict[str, Route]", name: str) -> "Route":
    if name not in every:
        raise BreachwatchError(f"there is no adapter {name!r}: one of {', '.join(every)}")
    return every[name]
