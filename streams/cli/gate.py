"""`breachwatch gate`: one gate process, which filters the plate-read feed."""

import asyncio

from streams.cli import load_settings
from streams.errors import BreachwatchError


def command() -> None:
    """Run one gate until it is told to stop; refuses to start when a topic is not as it must be."""
    from streams import metrics
    from streams.gate import run_gate
    from streams.kafka import admin
    from streams.logs import configure_logging

    settings = load_settings()
    problems = admin.check(settings)
    if problems:
        raise BreachwatchError(
            "the gate does not start:\n"
            + "\n".join(str(problem) for problem in problems)
            + "\nsee `breachwatch topics plan`, then `breachwatch topics apply`"
        )
    configure_logging()
    metrics.serve(settings.metrics_port)
    asyncio.run(run_gate(settings))
