"""`breachwatch rebuild`: a stopped worker's local tables, from the changelogs alone."""

import time

import typer

from streams.cli import load_settings


def command(name: str = typer.Option("worker-1", "--name", help="The worker, which must not run.")) -> None:
    """Delete the worker's local tables and make every partition of them anew."""
    from streams.rebuild import rebuild

    began = time.monotonic()
    for table, rows in rebuild(load_settings(), name).items():
        typer.echo(f"{table}: {rows} rows")
    typer.echo(f"rebuilt in {time.monotonic() - began:.1f} s; see `breachwatch verify --name {name}`")
