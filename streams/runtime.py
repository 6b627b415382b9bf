"""How every long-running process of ours runs: its event loop, its garbage collector, its log, and where it is asked
how it is."""

import gc

import uvloop

from streams.health import Health, serve
from streams.logs import configure_logging
from streams.settings import Settings


def begin(settings: Settings, process: str) -> Health:
    """Call once, before a loop is made. Metrics are served from now on; the health is for the process to fill."""
    configure_logging()
    # Of an event, more than half the time is the loop's: callbacks and sockets of the Kafka clients.
    uvloop.install()
    # Decoded rows and remembered reads live for minutes, which Python's collector takes for a heap that grows, and
    # walks again and again: a fifth to a third of all time, and pauses. They are in no cycles.
    gc.set_threshold(100_000, 50, 100)
    health = Health(process)
    serve(settings.metrics_host, settings.metrics_port, health)
    return health
