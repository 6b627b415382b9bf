"""The `breachwatch` command.

A command is one line of ``COMMANDS`` and one module, which holds either ``app``, a typer.Typer with
subcommands, or ``command``, a function that typer makes a command of. Only the module of the command that
is run is imported, so that help is quick. A BreachwatchError ends any command with its text and exit code 1.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer

from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from streams.settings import Settings

# name: (module, help)
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("streams.cli.demo", "Start everything and watch a breach become an arrest task."),
    "kafka": ("streams.cli.kafka", "Run a local Apache Kafka for development."),
    "worker": ("streams.cli.worker", "Run one worker: ingest and assess."),
    "gate": ("streams.cli.gate", "Run one gate: filter the plate-read feed."),
    "lookout": ("streams.cli.lookout", "Watch the pipeline from outside: lag, tasks, dead letters, certificates."),
    "publish": ("streams.cli.publish", "Publish events from JSON lines, after checking every one."),
    "tail": ("streams.cli.tail", "Watch a topic, for people or as JSON."),
    "dead-letters": ("streams.cli.dead_letters", "See what could not be used, mend it, send it again."),
    "doctor": ("streams.cli.doctor", "Check what a pipeline stands on, and name the mend."),
    "chaos": ("streams.cli.chaos", "Break a pipeline on purpose, and see that nothing is lost."),
    "bench": ("streams.cli.bench", "Measure how fast the pipeline is, beside what its parts can do."),
    "simulate": ("streams.cli.simulate", "Invent traffic whose outcome is known."),
    "tasks": ("streams.cli.tasks", "See and move tasks, and hand the shift over."),
    "orders": ("streams.cli.orders", "Enter an order by hand, load an export, compare a snapshot."),
    "reports": ("streams.cli.reports", "Enter a breach report by hand."),
    "policy": ("streams.cli.policy", "Check a policy, and show what another would have decided."),
    "explain": ("streams.cli.explain", "Explain a task: its events, orders, rules and reasons."),
    "audit": ("streams.cli.audit", "Verify the audit's hash chains."),
    "erase": ("streams.cli.erase", "Erase a subject or a protected person, and show what remains until when."),
    "hold": ("streams.cli.hold", "Place and lift legal holds, which refuse erasure."),
    "rebuild": ("streams.cli.rebuild", "Make a stopped worker's local tables anew, from the changelogs alone."),
    "verify": ("streams.cli.verify", "Compare the topics with each other, and a local store with its changelogs."),
    "sources": ("streams.cli.sources", "Switch a source of events off and on."),
    "adapters": ("streams.cli.adapters", "Take and give formats that are out there already: Traccar, CAP ..."),
    "door": ("streams.cli.door", "Take events by HTTP, for systems that cannot speak Kafka."),
    "board": ("streams.cli.board", "Serve the control room's board, and its interface for other dashboards."),
    "rescan": ("streams.cli.rescan", "Search retained plate reads for orders that were known late."),
    "access": ("streams.cli.access", "Show and grant what each role may do on the cluster."),
    "topics": ("streams.cli.topics", "Plan, apply and check the topics of the pipeline."),
}


def load_settings(**given: Any) -> "Settings":
    """The settings from the environment, with those ``given`` that are not None in their place.

    Raises BreachwatchError that names each variable that is wrong.
    """
    from pydantic import ValidationError

    from streams.settings import Settings

    try:
        return Settings(**{key: value for key, value in given.items() if value is not None})
    except ValidationError as error:
        lines = [
            ": ".join([*(f"BREACHWATCH_{str(name).upper()}" for name in e["loc"][:1]), e["msg"]])
            for e in error.errors()
        ]
        raise BreachwatchError("the settings are not valid:\n" + "\n".join(lines)) from error


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("breachwatch"))
        raise typer.Exit


def _root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Turn breaches of Stalking Protection Orders into prioritised arrest tasks, on Apache Kafka."""


def _unloaded() -> None:
    """Stands for a command that is only listed."""


def build(chosen: str | None) -> typer.Typer:
    """The application, with every command listed and only ``chosen`` loaded."""
    app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)
    app.callback()(_root)
    for name, (module_name, help_text) in COMMANDS.items():
        if name != chosen:
            app.command(name, help=help_text)(_unloaded)
            continue
        module = import_module(module_name)
        if hasattr(module, "app"):
            app.add_typer(module.app, name=name, help=help_text)
        else:
            app.command(name)(module.command)
    return app


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line ``argv``, without the program's name; always raises SystemExit."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    try:
        build(chosen)(arguments, prog_name="breachwatch")
    except BreachwatchError as error:
        typer.echo(f"breachwatch: {error}", err=True)
        raise SystemExit(1) from None
