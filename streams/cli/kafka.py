"""`breachwatch kafka`: a local Apache Kafka for development."""

import json
from dataclasses import asdict
from pathlib import Path

import typer

from streams.cli import load_settings
from streams.kafka import local

app = typer.Typer(no_args_is_help=True)

_DATA = typer.Option(None, "--data", help="Where all of it is kept; unset means kafka/ in the data directory.")


def _data_dir(given: Path | None) -> Path:
    return given if given is not None else load_settings().data_dir / "kafka"


@app.command()
def start(
    nodes: int | None = typer.Option(None, help="1, or 3 with replication; unset means as it was, or 1."),
    data: Path | None = _DATA,
) -> None:
    """Start it, or what of it does not run, and print its bootstrap address once it answers."""
    kafka = local.start(_data_dir(data), nodes, java=load_settings().java)
    typer.echo(kafka.bootstrap_servers)


@app.command()
def stop(data: Path | None = _DATA) -> None:
    """Stop it; its data and its ports are kept."""
    data_dir = _data_dir(data)
    typer.echo("stopped" if local.stop(data_dir) else f"no local Kafka runs in {data_dir}")


@app.command()
def status(
    data: Path | None = _DATA,
    as_json: bool = typer.Option(False, "--json", help="Print JSON."),
) -> None:
    """Say what runs; exit code 1 when a node of it does not."""
    data_dir = _data_dir(data)
    found = local.status(data_dir)
    if as_json:
        facts = {"data_dir": str(data_dir), "complete": False, "running": [], "nodes": []}
        if found is not None:
            facts = asdict(found) | {"complete": found.complete}
        typer.echo(json.dumps(facts, indent=2))
    elif found is None:
        typer.echo(f"no local Kafka in {data_dir}")
    else:
        typer.echo(f"Apache Kafka {found.version} at {found.bootstrap_servers}, in {found.data_dir}")
        for node in found.nodes:
            state = f"runs, pid {node.pid}" if node.id in found.running else "does not run"
            typer.echo(f"  node {node.id}: port {node.port}, {state}")
    if found is None or not found.complete:
        raise typer.Exit(1)
