"""How every long-running process of ours runs: its event loop, and its garbage collector."""

import gc

import uvloop


def prepare() -> None:
    """Call once, before a loop is made."""
    # Of an event, more than half the time is the loop's: callbacks and sockets of the Kafka clients.
    uvloop.install()
    # Decoded rows and remembered reads live for minutes, which Python's collector takes for a heap that grows, and
    # walks again and again: a fifth to a third of all time, and pauses. They are in no cycles.
    gc.set_threshold(100_000, 50, 100)
