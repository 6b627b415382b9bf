"""`breachwatch lookout`: one process that watches the pipeline from outside."""

import asyncio

from streams.cli import load_settings


def command() -> None:
    """Watch lag, open tasks, dead letters and certificates until told to stop; what it sees is at /metrics."""
    from streams.kafka import admin
    from streams.lookout.running import run
    from streams.runtime import begin

    settings = load_settings()
    admin.require(settings, "lookout")
    health = begin(settings, "lookout")
    asyncio.run(run(settings, health))
