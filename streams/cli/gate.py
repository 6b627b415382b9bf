"""`breachwatch gate`: one gate process, which filters the plate-read feed."""

import asyncio

from streams.cli import load_settings


def command() -> None:
    """Run one gate until it is told to stop; refuses to start when a topic is not as it must be."""
    from streams.gate import run_gate
    from streams.health import Health, serve
    from streams.kafka import admin
    from streams.logs import configure_logging
    from streams.runtime import prepare

    settings = load_settings()
    admin.require(settings, "gate")
    configure_logging()
    prepare()
    health = Health("gate")
    serve(settings.metrics_host, settings.metrics_port, health)
    asyncio.run(run_gate(settings, health))
