"""`breachwatch reports add`: a breach that somebody reports, entered by hand."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.cli.by_hand import publish
from streams.entered import by_hand, moment, place
from streams.errors import BreachwatchError

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _reports() -> None:
    """Breach reports, by hand."""


@app.command()
def add(
    nature: Annotated[
        str, typer.Option(help="contact, entered_zone, approach, social_media, surveillance, other ...")
    ],
    reported_by: Annotated[str, typer.Option(help="protected_person, police, staff or witness.")],
    subject: Annotated[str | None, typer.Option(help="The respondent's reference.")] = None,
    order: Annotated[str | None, typer.Option(help="The order's number.")] = None,
    plate: Annotated[str | None, typer.Option(help="A vehicle.")] = None,
    phone: Annotated[str | None, typer.Option(help="The number that called.")] = None,
    when: Annotated[str | None, typer.Option(help="When it happened, London time; without, now.")] = None,
    at: Annotated[str | None, typer.Option(help="Where: LAT,LON.")] = None,
    description: Annotated[str | None, typer.Option(help="What happened.")] = None,
    force: Annotated[str | None, typer.Option(help="The force that takes the report.")] = None,
    wishes: Annotated[str | None, typer.Option(help="What the protected person wishes; it changes no grade.")] = None,
    exercise: Annotated[bool, typer.Option("--exercise", help="An exercise: it never dispatches.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the event; send nothing.")] = False,
) -> None:
    """Enter a breach report by hand."""
    if not (subject or order or plate or phone):
        raise BreachwatchError("say who is meant: --subject, --order, --plate or --phone")
    now = datetime.now(UTC)
    happened = moment(when, "--when") if when else now
    if happened > now:
        raise BreachwatchError("--when is in the future")
    position = None
    if at is not None:
        latitude, longitude = place(at, "--at", 2)
        position = {"latitude": latitude, "longitude": longitude}
    named = [("plate", plate), ("phone", phone)]
    data = {
        "nature": nature,
        "subject_id": subject,
        "order_id": order,
        "identifiers": [{"kind": kind, "value": value} for kind, value in named if value],
        "position": position,
        "description": description,
        "force": force,
        "wishes": wishes,
        "reported_by": reported_by,
    }
    typer.echo(
        publish("breach-reports", by_hand("breach_report", data, happened, exercise=exercise), dry_run=dry_run)
    )
