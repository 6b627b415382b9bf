"""`breachwatch topics`: bring the cluster's topics in line with the list, and check that they are."""

import typer

from streams.cli import load_settings
from streams.kafka import admin

app = typer.Typer(no_args_is_help=True)


@app.command()
def plan() -> None:
    """Show what `apply` would do; exit code 2 when a change is refused."""
    found = admin.plan(load_settings())
    typer.echo(admin.render(found))
    if found.refused:
        raise typer.Exit(2)


@app.command()
def apply() -> None:
    """Create the topics that are missing and set the configuration that differs."""
    found = admin.plan(load_settings())
    admin.apply(found)
    typer.echo(admin.render(found))


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
