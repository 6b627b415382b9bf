"""`breachwatch demo`: a whole pipeline, a short story, and tasks arriving live."""

import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import load_settings


def command(
    once: Annotated[bool, typer.Option("--once", help="End when the story is told.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object of what came out.")] = False,
) -> None:
    """Start Kafka, gate and worker, play a breach from order to arrest, and show the tasks as they arrive."""
    import orjson

    from streams.demo.stage import stage
    from streams.demo.teller import Teller

    settings = load_settings()
    with tempfile.TemporaryDirectory(prefix="breachwatch-policy-") as folder:
        try:
            with stage(settings, _policy(Path(folder)), _say) as own:
                teller = Teller(own, _quiet if as_json else _show)
                try:
                    told = teller.tell()
                    if as_json:
                        typer.echo(orjson.dumps(summary(told)).decode())
                    elif once:
                        _closing(told)
                    else:
                        _closing(told)
                        _invite(own)
                        teller.watch()
                finally:
                    teller.close()
        except KeyboardInterrupt:
            _say("stopped")


def _policy(folder: Path) -> Path:
    """The default policy, but a new position reaches the task within a second: a story does not wait a minute."""
    from streams.core import policy

    default = Path(policy.__file__).with_name("policy.toml").read_text("utf-8")
    file = folder / "demo-policy.toml"
    file.write_text(
        default.replace("last_seen_interval_s = 60", "last_seen_interval_s = 0.001").replace(
            'version = "default-1"', 'version = "demo"'
        ),
        "utf-8",
    )
    return file


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed (nearest rank), ms to one decimal."""
    ranked = sorted(values)
    return round(ranked[max(0, -(-len(ranked) * int(share * 100) // 100) - 1)], 1)


def summary(told: Any) -> dict[str, Any]:
    """tasks, events_in, dead_letters, alerts and latency_ms with p50, p95, p99."""
    return {
        "tasks": [task.model_dump(mode="json") for task in told.tasks.values()],
        "events_in": told.events_in,
        "dead_letters": [letter.model_dump(mode="json") for letter in told.dead_letters],
        "alerts": [alert.model_dump(mode="json") for alert in told.alerts.values()],
        "latency_ms": {f"p{int(s * 100)}": percentile(told.latencies_ms, s) for s in (0.5, 0.95, 0.99)},
    }


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _quiet(_what: str, _thing: object, _took_ms: float | None) -> None:
    """With --json only the object is printed."""


def _show(what: str, thing: Any, took_ms: float | None) -> None:
    from streams.cli.tail import task_text

    if what == "step":
        typer.secho(f"\n> {thing}", bold=True)
    elif what == "task":
        took = "" if took_ms is None else f"   [{took_ms:.0f} ms after the broker had the event]"
        colour = typer.colors.RED if thing.grade == "immediate" and thing.state != "arrested" else None
        typer.secho(task_text(thing, datetime.now(UTC)) + took, fg=colour)
    elif what == "alert":
        typer.secho(f"  ALERT {thing.severity}: {thing.text}", fg=typer.colors.YELLOW)
    else:
        where = f"{thing.topic}/{thing.partition}/{thing.offset}"
        typer.secho(f"  DEAD LETTER {thing.reason} ({where}): {thing.detail}", fg=typer.colors.MAGENTA)


def _closing(told: Any) -> None:
    latency = summary(told)["latency_ms"]
    typer.echo(
        f"\n{told.events_in} events in, {len(told.tasks)} task, {len(told.alerts)} alerts, {len(told.dead_letters)} "
        f"dead letter; from event to task p50 {latency['p50']} ms, p95 {latency['p95']} ms, p99 {latency['p99']} ms"
    )


def _invite(settings: Any) -> None:
    from streams.demo.stage import environment

    command_name = Path(sys.argv[0])
    typer.echo("\nThe pipeline goes on until Ctrl-C. Look around from another terminal:")
    for name, value in environment(settings).items():
        typer.echo(f"  export {name}={value}")
    for words in ("tail arrest-tasks --from-beginning", "dead-letters list", "doctor"):
        typer.echo(f"  {command_name} {words}")
