"""`breachwatch verify`: do the topics agree, and the local store with them?"""

import typer

from streams.cli import load_settings

SHOWN = 50


def command(
    name: str | None = typer.Option(None, "--name", help="Also the local tables of this worker, which must not run."),
) -> None:
    """Read every row's log again and compare; exit code 1 when anything differs."""
    from streams.rebuild import differences
    from streams.verify import verify

    settings = load_settings()
    found = verify(settings)
    typer.echo(
        f"{found.subjects} subjects: {found.reread} read again from their whole log, {found.older} older than it, "
        f"{found.moved} moved meanwhile and not judged, {found.erased} erased"
    )
    typer.echo(f"{found.records} records, {found.identifiers} identifiers, {found.tasks} tasks compared")
    wrong = found.wrong
    if name is not None:
        compared, differing = differences(settings, name)
        typer.echo(f"{compared} rows of {name}'s local store compared with the changelogs")
        wrong = [*wrong, *differing]
    for text in wrong[:SHOWN]:
        typer.echo(f"WRONG: {text}", err=True)
    if len(wrong) > SHOWN:
        typer.echo(f"... and {len(wrong) - SHOWN} more", err=True)
    if wrong:
        raise typer.Exit(1)
    typer.echo("all agree")
