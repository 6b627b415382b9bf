"""`breachwatch erase`: a subject or a protected person, and what of them remains where and until when."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import load_settings
from streams.cli.answers import REFUSED, tell
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from streams.erase import Plan
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)

Reason = Annotated[str, typer.Option(help="Why: on the record, so without anybody's details.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Say what would be erased and what would remain.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for the worker that has the row.")]
Without = Annotated[
    list[str] | None, typer.Option(help="A topic that the scan leaves out, such as anpr-reads; may be repeated.")
]


@app.callback()
def _erase() -> None:
    """Erase somebody: deploy/runbook.md has what goes, what refuses, and what remains until when."""


@app.command()
def subject(
    subject_id: Annotated[str, typer.Argument(help="The police's reference; exercise/... in the exercise world.")],
    reason: Reason,
    wait: Wait = 60.0,
    without: Without = None,
    dry_run: Dry = False,
) -> None:
    """Erase a subject: row, records, identifiers, tasks. Exit code 1 when it is refused, 2 when nobody answered."""
    from streams.erase import plan_subject

    settings = load_settings()
    _carry_out(settings, plan_subject(settings, subject_id), subject_id, reason, wait, without, dry_run=dry_run)


@app.command("protected-person")
def protected_person(
    person_id: Annotated[str, typer.Argument(help="The reference that orders name the person by.")],
    reason: Reason,
    wait: Wait = 60.0,
    without: Without = None,
    dry_run: Dry = False,
) -> None:
    """Take a protected person out of every subject's row and out of orders that are over. Exit codes as above."""
    from streams.erase import plan_person

    settings = load_settings()
    _carry_out(settings, plan_person(settings, person_id), person_id, reason, wait, without, dry_run=dry_run)


@app.command()
def scan(
    name: Annotated[str, typer.Argument(help="The id of a subject or of a protected person.")],
    also: Annotated[
        list[str] | None, typer.Option(help="What else they are named by, such as a plate; may be repeated.")
    ] = None,
    store: Annotated[
        list[Path] | None, typer.Option(help="A directory of workers' local tables; may be repeated.")
    ] = None,
    without: Without = None,
) -> None:
    """Look for somebody in every message of every topic, and in local tables; nothing of what is found is shown."""
    from streams.erase import names_of_anybody

    settings = load_settings()
    _scan(settings, {*names_of_anybody(settings, name), *(also or ())}, without, store or [])


def _carry_out(
    settings: "Settings",
    plan: "Plan",
    name: str,
    reason: str,
    wait: float,
    without: list[str] | None,
    *,
    dry_run: bool,
) -> None:
    from schemas.erasure import digest
    from streams.cli.user import on_record
    from streams.erase import give
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import send_all

    if not plan.steps:
        typer.echo("nothing is known by this id in tables, tasks and identifiers")
    refusals = [why for step in plan.steps for why in step.refusals]
    for step in plan.steps:
        typer.echo(", ".join(f"{count} {what}" for what, count in step.counts.items()))
    for why in refusals:
        typer.echo(f"refused: {why}", err=True)
    if refusals:
        raise typer.Exit(REFUSED)
    if plan.steps and not dry_run:
        where = ("subject-events", 0, 0)
        kind = plan.steps[0].command.type
        send_all(cluster_of(settings), [on_record(settings, "erasure_ordered", reason, digest(name), kind, where)])
    for step in plan.steps if not dry_run else ():
        tell(
            give(settings, step.subject_id, step.command, wait),
            f"no answer within {wait:g} s: the command is in the log and will be carried out when a worker gets to "
            "it; then see `breachwatch erase scan`",
        )
    _scan(settings, plan.names, without, [settings.data_dir / "workers"])


def _scan(settings: "Settings", names: set[str], without: list[str] | None, workers: list[Path]) -> None:
    from streams.kafka.topics import BY_NAME
    from streams.remains import Names, stores
    from streams.remains import scan as read

    if unknown := set(without or ()) - BY_NAME.keys():
        raise BreachwatchError(f"--without {min(unknown)}: there is no such topic")
    looked_for = Names(names)
    found = read(settings, looked_for, without or (), lambda said: typer.echo(said, err=True))
    for one in found:
        where = f"{one.topic}/{one.partition}, offsets {one.first} to {one.last}: {one.count} messages"
        goes = [f"gone by {one.until:%Y-%m-%d %H:%M}Z"] if one.until else []
        stays = [f"{one.stays} stay until they are erased"] if one.stays else []
        typer.echo(f"{where}; {', '.join(goes + stays)}")
    for directory in workers:
        for stored in stores(directory, looked_for):
            typer.echo(f"{stored.path}: {stored.rows} rows, in the bytes of {stored.files} files")
    left = ", ".join(without or ())
    typer.echo(
        f"{sum(one.count for one in found)} messages remain, {sum(one.stays for one in found)} of them for good"
        + (f"; not looked at: {left}" if left else "")
    )
