"""The process of the lookout: everything that it does, started and ended in order."""

import asyncio
import logging
import math
import signal
from contextlib import AsyncExitStack
from typing import Any, Protocol

import structlog
from aiokafka import TopicPartition

from streams.broker_clock import BrokerClock
from streams.core.policy import load_policy
from streams.health import Health
from streams.kafka.admin import cluster_of
from streams.kafka.topics import full_name, topic_specs
from streams.lookout.canary import Canary
from streams.lookout.certificates import Certificates
from streams.lookout.lag import Lag
from streams.lookout.letters import DeadLetters
from streams.lookout.rows import Rows
from streams.lookout.tasks import Tasks
from streams.lookout.watch import Watch
from streams.settings import Settings
from streams.watchdog import Pulse, Watchdog

log = structlog.get_logger()


class Service(Protocol):
    """What runs beside the others. `start` waits for no broker; `task` ends only where it is a fault of ours, and is
    None where nothing is to be done."""

    @property
    def task(self) -> asyncio.Task[None] | None: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


def services(settings: Settings, health: Health) -> list[Service]:
    """All that a lookout does."""
    # The canary's sends tell it where the broker's clock stands, and the watches reckon ages by it.
    cluster, clock = cluster_of(settings), BrokerClock()
    tasks, letters, rows = (
        _partitions(settings, name) for name in ("arrest-tasks", "dead-letters", "breachwatch-subjects-changelog")
    )
    watches = [
        Watch("lag", Lag(settings, cluster, clock).looks),
        Watch("tasks", Tasks(cluster, tasks, load_policy(settings.policy_file), clock).looks),
        Watch("dead_letters", DeadLetters(cluster, letters, clock).looks),
        Watch("rows", Rows(cluster, rows, clock).looks),
        Watch("certificates", Certificates(cluster, {"ca": cluster.ca_file, "client": cluster.cert_file}).looks),
    ]
    # It has no partitions, and nothing to commit.
    watchdog = Watchdog(Pulse(math.inf), settings.stall_timeout_s, dict)
    health.alive["event loop"] = watchdog.alive
    health.ready |= {watch.what: watch.old for watch in watches}
    return [watchdog, *watches, Canary(settings, clock)]


async def run(settings: Settings, health: Health) -> None:
    """Run until SIGTERM or SIGINT; a fault of ours ends it, a broker that is away does not."""
    # Each of its attempts to reach a broker that is away is an error there; we say once that we are blind.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    made = services(settings, health)
    # Behind the watches: until there is one there is nothing to be ready.
    health.ready["running"] = lambda: "the lookout is stopping" if stopping.is_set() else None
    async with AsyncExitStack() as stack:
        until = asyncio.create_task(stopping.wait(), name="stopping")
        running: list[asyncio.Task[Any]] = [until]
        for service in made:
            await service.start()
            stack.push_async_callback(service.stop)
            if service.task is not None:
                running.append(service.task)
        log.info("lookout_started")
        ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if until not in ended:
            until.cancel()
            one = ended.pop()
            raise RuntimeError(f"{one.get_name()} ended") from one.exception()


def _partitions(settings: Settings, topic: str) -> list[TopicPartition]:
    full = full_name(settings, topic)
    [count] = [spec.partitions for spec in topic_specs(settings) if spec.name == full]
    return [TopicPartition(full, number) for number in range(count)]
