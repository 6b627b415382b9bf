"""`breachwatch gate`: one gate process, which filters the plate-read feed."""

import asyncio

from streams.cli import load_settings


def command() -> None:
    """Run one gate until it is told to stop; refuses to start when a topic is not as it must be."""
    from streams.gate import run_gate
    from streams.kafka import admin
    from streams.runtime import begin

    settings = load_settings()
    admin.require(settings, "gate")
    health = begin(settings, "gate")
    asyncio.run(run_gate(settings, health))
