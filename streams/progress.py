"""How far the workers are with the orders, as far as an identifier index can tell.

An order is known here once a worker has committed past it in `orders`, another past what followed from it in
`subject-events`, and the index has read what that put into `identifiers`; a worker's commit waits for its sends.
"""

import asyncio
import contextlib
import math
import time

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.identifiers import IndexReader
from streams.kafka.cluster import Cluster
from streams.kafka.topics import full_name, topic_specs
from streams.settings import Settings

log = structlog.get_logger()

# Between two looks at the workers' commits, which are `commit_interval_s` apart.
POLL_S = 0.25


class WorkerProgress:
    """Follows the workers' group. `start`, then `stop`."""

    def __init__(self, settings: Settings, cluster: Cluster, reader: IndexReader) -> None:
        self.known_until = -math.inf
        """Of every order in the log by then (monotonic seconds) the identifiers are in the index."""
        self._group = f"{settings.topic_prefix}breachwatch"
        counts = {spec.name: spec.partitions for spec in topic_specs(settings)}
        self._partitions = {
            name: [TopicPartition(full, number) for number in range(counts[full])]
            for name, full in ((name, full_name(settings, name)) for name in ("orders", "subject-events"))
        }
        self._reader = reader
        self._offsets = AIOKafkaConsumer(**cluster.options(), enable_auto_commit=False)
        self._admin = AIOKafkaAdminClient(**cluster.options())
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._offsets.start()
        await self._admin.start()
        self.task = asyncio.create_task(self._run(), name="worker-progress")

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task
        await self._admin.close()
        await self._offsets.stop()

    async def _run(self) -> None:
        while True:
            try:
                await self._advance()
            except KafkaError as error:
                # Nothing is forgotten meanwhile: the reads wait for the next look.
                log.warning("worker_progress_unknown", error=type(error).__name__)
            await asyncio.sleep(POLL_S)

    async def _advance(self) -> None:
        asked = time.monotonic()
        for partitions in self._partitions.values():
            ends = await self._offsets.end_offsets(partitions)
            begins = await self._offsets.beginning_offsets(partitions)
            while not await self._is_committed(ends, begins):  # noqa: ASYNC110 - no event tells of their commits
                await asyncio.sleep(POLL_S)
        await self._reader.confirm_fresh()
        self.known_until = asked

    async def _is_committed(self, ends: dict[TopicPartition, int], begins: dict[TopicPartition, int]) -> bool:
        committed = await self._admin.list_consumer_group_offsets(self._group)
        return all(
            end <= max(begins[tp], committed[tp].offset if tp in committed else -1) for tp, end in ends.items()
        )
