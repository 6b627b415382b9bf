"""`breachwatch simulate`: invented traffic whose outcome is known."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress

from streams.cli import load_settings
from streams.errors import BreachwatchError
from streams.simulator import Noise, SimulatedWorld, WorldConfig, simulate
from streams.simulator.output import publish, write


def _help(model: type[WorldConfig] | type[Noise], name: str) -> str:
    return str(model.model_fields[name].description or name)


def _world(name: str, *flags: str, text: str | None = None) -> Any:
    """An option that is a field of WorldConfig; not given means the field's default."""
    default = WorldConfig.model_fields[name].default
    shown = text or _help(WorldConfig, name)
    return typer.Option(None, *flags, help=shown, show_default=False if default is None else str(default))


def _noise(name: str) -> Any:
    """An option that is a field of Noise; not given means that of the level."""
    return typer.Option(None, f"--{name.replace('_', '-')}", help=_help(Noise, name), show_default="by --noise")


def command(
    out: Path | None = typer.Option(None, help="Write the files, and truth.json, to this folder."),
    send: bool = typer.Option(False, "--publish", help="Send the messages to the cluster."),
    settle: float = typer.Option(0.0, min=0, help="With --publish: seconds to wait after the standing orders."),
    end: datetime | None = typer.Option(
        None,
        formats=["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%SZ"],
        help="When the world ends, with an offset.",
        show_default="now",
    ),
    seed: int | None = _world("seed", "--seed", text="names the world: the same seed, the same events"),
    hours: float | None = _world("hours", "--hours"),
    orders: int | None = _world("orders", "--orders", text="orders in all"),
    subjects: int | None = _world("subjects", "--subjects", text="persons under orders; eight for ten orders"),
    plates_per_subject: int | None = _world("plates_per_subject", "--plates-per-subject"),
    tags_per_subject: int | None = _world("tags_per_subject", "--tags"),
    visits: float | None = _world("visits", "--visit-rate", text="tag visits to zones, mean a subject"),
    plate_visits: float | None = _world("plate_visits", "--plate-rate", text="vehicle visits, mean a subject"),
    report_rate: float | None = _world("report_rate", "--report-rate", text="contact reports, mean a subject"),
    passes: float | None = _world("passes", "--pass-rate", text="passes near a zone, mean a subject"),
    arrest_share: float | None = _world("arrest_share", "--arrests"),
    new_order_share: float | None = _world("new_order_share", "--new-orders"),
    replaced_share: float | None = _world("replaced_share", "--replaced"),
    fix_interval_s: float | None = _world("fix_interval_s", "--fix-interval"),
    rest_interval_s: float | None = _world("rest_interval_s", "--rest-interval"),
    reads_per_second: float | None = _world("reads_per_second", "--reads-per-second"),
    exercise: bool = typer.Option(False, help=_help(WorldConfig, "exercise")),
    noise: str = typer.Option("low", help="What goes wrong on the way: none, low or high."),
    duplicates: float | None = _noise("duplicates"),
    disorder_minutes: float | None = _noise("disorder_minutes"),
    late_orders: float | None = _noise("late_orders"),
    misreads: float | None = _noise("misreads"),
    clock_errors: float | None = _noise("clock_errors"),
    future_fixes: int | None = _noise("future_fixes"),
    drift_m: float | None = _noise("drift_m"),
    straddling: float | None = _noise("straddling"),
    unusable: float | None = _noise("unusable"),
    bad_messages: int | None = _noise("bad_messages"),
) -> None:
    """Invent orders and traffic, with the breaches and tasks that must come of them."""
    given = {name: value for name, value in locals().items() if value is not None}
    if out is None and not send:
        raise BreachwatchError("nothing to do: give --out DIR, --publish, or both")
    world = simulate(configure(given, datetime.now(UTC)))
    if out is not None:
        write(world, out)
        typer.echo(f"wrote {len(world.events)} messages and truth.json to {out}")
    if send:
        typer.echo(f"published {_publish(world, settle)} messages")
    breaches, tasks = len(world.truth.breaches), len(world.truth.tasks)
    typer.echo(f"they must give {breaches} breaches in {tasks} tasks")


def configure(given: dict[str, Any], now: datetime) -> WorldConfig:
    """The world's configuration from the options that were `given`, where `now` is the default end.

    Raises BreachwatchError that names each wrong option.
    """
    end = given.get("end", now.replace(microsecond=0))
    end = end if end.tzinfo else end.replace(tzinfo=UTC)
    own = {name: value for name, value in given.items() if name in WorldConfig.model_fields}
    noises = {name: value for name, value in given.items() if name in Noise.model_fields}
    level = given.get("noise", "low")
    if level not in ("none", "low", "high"):
        raise BreachwatchError("noise: one of none, low, high")
    if given.get("send") and "future_fixes" not in noises and now - end > timedelta(hours=1):
        # A broker stamps with its own clock: what was the future at the world's end no longer is.
        noises["future_fixes"] = 0
    try:
        noise = Noise.model_validate(Noise.level(level).model_dump() | noises)
        return WorldConfig.model_validate(own | {"end": end, "noise": noise})
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc'])) or 'world'}: {e['msg']}" for e in error.errors()]
        raise BreachwatchError("this world cannot be made:\n" + "\n".join(lines)) from None


def _publish(world: SimulatedWorld, settle_s: float) -> int:
    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("publishing", total=len(world.events))
        return publish(world, load_settings(), settle_s, lambda sent: bar.update(task, completed=sent))
