"""`breachwatch demo`: a whole pipeline, a short story, and tasks arriving live."""

import sys
import tempfile
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from streams.demo.screen import Screen
    from streams.demo.teller import Told
    from streams.settings import Settings

PAUSE_S = 2.5
INTERRUPTED = 130  # what a shell says of a command that Ctrl-C ended
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def command(
    once: Annotated[bool, typer.Option("--once", help="End when the story is told.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object of what came out.")] = False,
    pause: Annotated[
        float | None, typer.Option(min=0, help="Seconds between steps [default: 2.5 at a terminal, else 0].")
    ] = None,
) -> None:
    """Start Kafka, gate, worker and board, play a breach from order to arrest, and show the tasks as they arrive."""
    from streams.demo.screen import Screen
    from streams.demo.stage import stage
    from streams.demo.teller import Teller

    settings = load_settings()
    screen = Screen()
    if pause is None:
        pause = PAUSE_S if sys.stdout.isatty() and not as_json else 0.0
    told = None
    try:
        with (
            tempfile.TemporaryDirectory(prefix="breachwatch-policy-") as folder,
            stage(settings, demo_policy(Path(folder)), _say, with_board=not once) as running,
            closing(Teller(running, _quiet if as_json else screen.show)) as teller,
        ):
            if running.board is not None:
                _say(f"see it on the board, with a token for this machine and this demonstration: {running.board}\n")
            told = teller.tell(pause)
            if not as_json:
                _closing(told, screen)
            if not once:
                _invite(running.settings, screen)
                teller.watch()
    except KeyboardInterrupt:
        if told is None:
            raise typer.Exit(INTERRUPTED) from None
    except (BreachwatchError, typer.Exit):
        raise
    except Exception as error:
        # Whatever it is, the person who tries this out is told in a line.
        raise BreachwatchError(f"the demonstration failed: {type(error).__name__}: {error}") from error
    if as_json and told is not None:
        _print_json(summary(told))


def demo_policy(folder: Path) -> Path:
    """The default policy, but a new position reaches the task at once: a story does not wait a minute."""
    text = resources.files("streams.core").joinpath("policy.toml").read_text("utf-8")
    for default, ours in (
        ("last_seen_interval_s = 60\n", "last_seen_interval_s = 0.001\n"),
        ('"default-1"', '"demo"'),
    ):
        assert text.count(default) == 1, default
        text = text.replace(default, ours)
    file = folder / "demo-policy.toml"
    file.write_text(text, "utf-8")
    return file


def percentile(values: list[float], share: float) -> float:
    """The smallest of `values` that at least `share` of them do not exceed (nearest rank), to one decimal."""
    ranked = sorted(values)
    return round(ranked[max(0, -(-len(ranked) * round(share * 100) // 100) - 1)], 1)


def summary(told: "Told") -> dict[str, Any]:
    """`tasks` as they are in the end, `events_in`, `dead_letters` (a count), `alerts`, and `latency_ms` from the
    broker's acknowledgement of an event to its task at a reader, p50, p95 and p99."""
    return {
        "tasks": [task.model_dump(mode="json") for task in told.tasks.values()],
        "events_in": told.events_in,
        "dead_letters": len(told.dead_letters),
        "alerts": [alert.model_dump(mode="json") for alert in told.alerts.values()],
        "latency_ms": {name: percentile(told.latencies_ms, share) for name, share in SHARES.items()},
    }


def _print_json(value: dict[str, Any]) -> None:
    import orjson

    typer.echo(orjson.dumps(value).decode())


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _quiet(_: object) -> None:
    """With --json only the object is printed."""


def _closing(told: "Told", screen: "Screen") -> None:
    latency = summary(told)["latency_ms"]
    screen.line(
        f"\n{told.events_in} events in, {len(told.tasks)} task, {len(told.alerts)} alerts, "
        f"{len(told.dead_letters)} dead letter"
    )
    screen.line(
        "from the broker's acknowledgement of an event to its task at a reader: "
        + ", ".join(f"{name} {value:.0f} ms" for name, value in latency.items())
    )


def _invite(settings: "Settings", screen: "Screen") -> None:
    screen.line("\nThe pipeline goes on until Ctrl-C. Look around from another terminal:\n")
    for name, value in settings.as_variables().items():
        screen.line(f"  export {name}={value}")
    # As it was called, by a path that another terminal finds too.
    name = str(Path(sys.argv[0]).absolute()) if Path(sys.argv[0]).name == "breachwatch" else "breachwatch"
    for words in ("tail arrest-tasks --from-beginning", "dead-letters list", "doctor"):
        screen.line(f"  {name} {words}")
