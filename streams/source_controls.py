"""Sources that somebody has switched off: known to each worker from `source-controls`, read whole and followed.

One supplier's broken software must stop nobody else, and must not wait for a deployment. What a switched-off source
sends is a dead letter, with its bytes, so that it can be replayed once the source is well.
"""

import asyncio
import contextlib

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError

from schemas.inbound import BadMessageError, BadReason
from schemas.internal import SourceControl
from streams import metrics
from streams.kafka.cluster import Cluster

log = structlog.get_logger()


class SourceControls:
    """Which sources are off. `start` returns when all that the topic had then is known; then `stop`."""

    def __init__(self, cluster: Cluster, topic: str) -> None:
        self._off: dict[str, SourceControl] = {}
        self._cluster, self._topic = cluster, topic
        self._read = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._consumer = AIOKafkaConsumer(
            **self._cluster.options(), enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=500
        )
        await self._consumer.start()
        await self._consumer._client.add_topic(self._topic)
        numbers = self._consumer.partitions_for_topic(self._topic) or set()
        partitions = [TopicPartition(self._topic, number) for number in sorted(numbers)]
        self._consumer.assign(partitions)
        await self._consumer.seek_to_beginning()
        ends = await self._consumer.end_offsets(partitions)
        while [tp for tp in partitions if await self._consumer.position(tp) < ends[tp]]:
            await self._take()
        self.task = asyncio.create_task(self._follow(), name="source-controls")
        self._read.set()

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task
        await self._consumer.stop()

    async def check(self, source: str) -> None:
        """Raises BadMessageError when the source is switched off, or one that it is part of (`tags/x` of `tags/x/7`);
        waits until that is known at the start."""
        await self._read.wait()
        self.check_now(source)

    def check_now(self, source: str) -> None:
        """As `check`, by what is known now."""
        if not self._off:
            return
        steps = source.split("/")
        names = ("/".join(steps[:count]) for count in range(len(steps), 0, -1))
        off = next((self._off[name] for name in names if name in self._off), None)
        if off is not None:
            raise BadMessageError(
                BadReason.SOURCE_OFF,
                f"its source was switched off on {off.at:%Y-%m-%d %H:%M}Z: {off.reason}; replay it when that is over",
            )

    def take(self, value: bytes | None) -> None:
        """One message of the topic."""
        try:
            control = SourceControl.model_validate_json(value or b"")
        except ValidationError:
            metrics.UNREADABLE.labels("source-controls").inc()
            log.error("source_control_unreadable")
            return
        if control.off:
            self._off[control.source] = control
        else:
            self._off.pop(control.source, None)
        log.warning("source_switched", source=control.source, off=control.off)

    async def _take(self) -> None:
        for messages in (await self._consumer.getmany(timeout_ms=1000)).values():
            for message in messages:
                self.take(message.value)

    async def _follow(self) -> None:
        while True:
            await self._take()
