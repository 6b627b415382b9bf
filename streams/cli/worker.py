"""`breachwatch worker`: one worker process, with the ingest and assess agents."""

import typer

from streams.cli import load_settings


def command(
    name: str = typer.Option("worker-1", help="Names this worker's local store; one name, one process."),
) -> None:
    """Run one worker until it is told to stop; refuses to start when a topic is not as it must be."""
    import faust

    from streams.app import create_app, local_store
    from streams.kafka import admin
    from streams.runtime import begin
    from streams.tables import claim

    settings = load_settings()
    admin.require(settings, "worker")
    claim(local_store(settings, name), admin.pipeline_of(settings))
    health = begin(settings, "worker")
    app = create_app(settings, name, health)
    faust.Worker(app, quiet=True, override_logging=False, redirect_stdouts=False).execute_from_commandline()
