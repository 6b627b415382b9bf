"""`breachwatch lookout`: one process that watches the pipeline from outside."""

import asyncio

from streams.cli import load_settings


def command() -> None:
    """Watch lag, open tasks, dead letters and certificates until told to stop; what it sees is at /metrics."""
    from streams.health import Health, serve
    from streams.kafka import admin
    from streams.logs import configure_logging
    from streams.lookout.running import run
    from streams.runtime import prepare

    settings = load_settings()
    admin.require(settings, "lookout")
    configure_logging()
    prepare()
    health = Health("lookout")
    serve(settings.metrics_host, settings.metrics_port, health)
    asyncio.run(run(settings, health))
