"""`breachwatch hold`: legal holds on subjects, which refuse erasure until they are lifted."""

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import load_settings
from streams.cli.answers import tell

if TYPE_CHECKING:
    from schemas.erasure import LiftHold, PlaceHold
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True)

Subject = Annotated[str, typer.Argument(help="The police's reference; exercise/... in the exercise world.")]
Reference = Annotated[str, typer.Option(help="Of the case that needs what is held, such as its number.")]
Reason = Annotated[str, typer.Option(help="Why: shown to whoever would erase.")]
Wait = Annotated[float, typer.Option(min=0, help="Seconds to wait for the worker that has the row.")]


@app.callback()
def _hold() -> None:
    """Legal holds: nothing of a subject is erased while there is one. What topics delete by age goes all the same."""


@app.command()
def place(subject_id: Subject, reference: Reference, reason: Reason, wait: Wait = 30.0) -> None:
    """Place a hold. Exit code 1 when it is refused, 2 when nobody answered."""
    from streams.cli.user import user
    from streams.erase import hold_of

    _give(load_settings(), subject_id, hold_of(reference, user(), reason), wait)


@app.command()
def lift(subject_id: Subject, reference: Reference, reason: Reason, wait: Wait = 30.0) -> None:
    """Lift the hold of this reference; others stand. Exit codes as above."""
    from streams.cli.user import user
    from streams.erase import lifting_of

    _give(load_settings(), subject_id, lifting_of(reference, user(), reason), wait)


@app.command("list")
def list_() -> None:
    """Every hold that there is."""
    from streams.erase import holds

    for subject_id, reference, hold in sorted(holds(load_settings()), key=lambda one: one[:2]):
        typer.echo(f"{subject_id}: {reference}, by {hold.by} on {hold.at:%Y-%m-%d %H:%M}Z: {hold.reason}")


def _give(settings: "Settings", subject_id: str, command: "PlaceHold | LiftHold", wait: float) -> None:
    from streams.erase import give

    tell(
        give(settings, subject_id, command, wait),
        f"no answer within {wait:g} s: it is in the log and stands once a worker gets to it",
    )
