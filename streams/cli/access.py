"""`breachwatch access`: who may publish, read and administer what, as the broker's access-control lists."""

import typer

from streams.cli import load_settings
from streams.kafka import access
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect

app = typer.Typer(no_args_is_help=True)


@app.command()
def roles() -> None:
    """The roles there are."""
    for name, role in access.ROLES.items():
        typer.echo(f"{name:28} {role.purpose}")


@app.command()
def show(role: str) -> None:
    """What a role may do, a line each."""
    for one in access.grants(role, load_settings()):
        typer.echo(f"{one.operation:16} {one.kind.lower():8} {one.name}")


@app.command()
def grant(role: str, user: str) -> None:
    """Let a user of the cluster do what the role may."""
    settings = load_settings()
    found = access.grants(role, settings)
    with connect(cluster_of(settings)) as client:
        access.grant(client, user, found)
    typer.echo(f"{user} may now do what a {role} may: {len(found)} grants")


@app.command()
def revoke(user: str) -> None:
    """Take everything from a user that was granted to them by name."""
    with connect(cluster_of(load_settings())) as client:
        taken = access.revoke(client, user)
    typer.echo(f"{taken} grants were taken from {user}")
