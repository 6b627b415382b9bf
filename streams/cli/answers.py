"""What became of a command to a subject's row, told in a terminal."""

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from streams.erase import Answer

REFUSED, NO_ANSWER = 1, 2


def tell(answer: "Answer | None", unanswered: str) -> None:
    """Print the answer, or what to know where none came. Raises typer.Exit unless the command was carried out."""
    if answer is None:
        typer.echo(unanswered, err=True)
        raise typer.Exit(NO_ANSWER)
    typer.echo(f"{answer.decision.replace('_', ' ')}: {'; '.join(answer.reasons)}", err=answer.refused)
    if answer.refused:
        raise typer.Exit(REFUSED)
