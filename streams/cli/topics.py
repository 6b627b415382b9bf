"""`breachwatch topics`: bring the cluster's topics in line with the list, and check that they are."""

from typing import Annotated

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError
from streams.kafka import admin, assignment, topics

app = typer.Typer(no_args_is_help=True)


@app.command()
def plan() -> None:
    """Show what `apply` would do; exit code 2 when a change is refused."""
    settings = load_settings()
    access = assignment.plan(settings)
    found = admin.plan(settings)
    typer.echo(admin.render(found))
    if access is not None:
        typer.echo(assignment.render(access))
    if found.refused:
        raise typer.Exit(2)


@app.command()
def apply(
    prune: Annotated[
        bool, typer.Option("--prune", help="Also take the rights on our topics that the access file does not give.")
    ] = False,
) -> None:
    """Create the topics that are missing and set what differs: configuration, and rights where there is an access
    file."""
    settings = load_settings()
    if prune and settings.access_file is None:
        raise BreachwatchError("--prune: BREACHWATCH_ACCESS_FILE does not say who has which roles")
    access = assignment.plan(settings)
    found = admin.plan(settings)
    admin.apply(found)
    typer.echo(admin.render(found))
    if access is not None:
        assignment.apply(access, prune=prune)
        typer.echo(assignment.render(access, prune=prune))


@app.command()
def retention() -> None:
    """How long each topic is kept, whose data is in it and why, as a table in Markdown."""
    typer.echo(topics.retention_table(), nl=False)


@app.command()
def check() -> None:
    """Say what would keep a worker from starting; exit code 1 when something would."""
    found = admin.check(load_settings())
    for problem in found:
        typer.echo(str(problem), err=True)
    if found:
        typer.echo("see `breachwatch topics plan`", err=True)
        raise typer.Exit(1)
    typer.echo("every topic is as it must be")
