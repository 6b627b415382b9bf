"""The reader that keeps a process's identifier index equal to the `identifiers` topic.

Each process reads the whole compacted `identifiers` topic into memory with a consumer that has no group, is
ready at its end, and then follows it. `confirm_fresh` tells when the index holds all that was in the topic
when it was called, so that nobody judges by an old index.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError

from schemas.orders import IdentifierRecord
from streams import metrics
from streams.core.index import IdentifierIndex
from streams.kafka.cluster import Cluster

log = structlog.get_logger()


class IndexReader:
    """Keeps an IdentifierIndex equal to the topic. `start`, then `stop`; `listeners` hear of each new record."""

    # Broker and worker clocks are kept by NTP; a second covers what they may differ by. It only spares a look
    # at the log for messages that are older than that, it never lets a younger one pass.
    CLOCK_SKEW_S = 1.0

    def __init__(self, cluster: Cluster, topic: str, freshness_timeout_s: float) -> None:
        self.index = IdentifierIndex()
        self.listeners: list[Callable[[IdentifierRecord], None]] = []
        self._cluster = cluster
        self._topic = topic
        self._timeout_s = freshness_timeout_s
        self._partitions: list[TopicPartition] = []
        self._applied: dict[TopicPartition, int] = {}
        self._progress = asyncio.Event()
        self._started = asyncio.Event()
        self._check: asyncio.Task[float] | None = None
        self._next_check: asyncio.Task[float] | None = None
        self._fresh_at = 0.0
        self._stale: str | None = "the identifier index has not been read yet"
        self.task: asyncio.Task[None] | None = None
        self._consumer: AIOKafkaConsumer | None = None
        # A connection answers in order, so a look at the log's end behind a waiting fetch waits as long as it
        # (up to 0.5 s): looks have a connection of their own.
        self._ends: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Read the topic to its end; returns when the index is complete."""
        self._consumer = AIOKafkaConsumer(
            **self._cluster.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=50,
        )
        await self._consumer.start()
        self._ends = AIOKafkaConsumer(**self._cluster.options(), enable_auto_commit=False)
        await self._ends.start()
        # The first answer may come before the metadata of a topic that nobody has asked for.
        await self._consumer._client.add_topic(self._topic)
        partitions = self._consumer.partitions_for_topic(self._topic) or set()
        self._partitions = [TopicPartition(self._topic, number) for number in sorted(partitions)]
        self._consumer.assign(self._partitions)
        await self._consumer.seek_to_beginning()
        self._applied = await self._consumer.beginning_offsets(self._partitions)
        self.task = asyncio.create_task(self._run(), name="identifier-index")
        metrics.INDEX_AGE.set_function(lambda: time.time() - self._fresh_at)
        self._started.set()
        await self.confirm_fresh()
        log.info("identifier_index_ready", identifiers=len(self.index))

    async def stop(self) -> None:
        for task in (self.task, self._check, self._next_check):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, Exception):
                    await task
        for consumer in (self._consumer, self._ends):
            if consumer is not None:
                await consumer.stop()

    def stale(self) -> str | None:
        """Why nothing can be judged by it now; None if it can."""
        return self._stale

    async def _run(self) -> None:
        await asyncio.gather(self._read(), self._keep_confirmed())

    async def _keep_confirmed(self) -> None:
        """Also while nothing needs it: that it has stopped is to be seen before the first event waits for it."""
        while True:
            await self.confirm_fresh()
            await asyncio.sleep(self._timeout_s / 2)

    async def _read(self) -> None:
        assert self._consumer is not None
        while True:
            batches = await self._consumer.getmany(timeout_ms=1000, max_records=5000)
            for partition, messages in batches.items():
                for message in messages:
                    self._apply(message.value)
                self._applied[partition] = messages[-1].offset + 1
            if batches:
                metrics.INDEX_IDENTIFIERS.set(len(self.index))
                self._progress.set()
                self._progress = asyncio.Event()

    def _apply(self, value: bytes | None) -> None:
        if value is None:
            return
        try:
            record = IdentifierRecord.model_validate_json(value)
        except ValidationError:
            # Only workers write this topic. One foreign message must not end every worker and gate, again and again;
            # an identifier that is missing for it is what `breachwatch verify` finds.
            metrics.UNREADABLE.labels("identifiers").inc()
            log.error("identifier_unreadable", what="passed over; see `breachwatch verify`")
            return
        self.index.add(record)
        for listener in self.listeners:
            listener(record)

    async def confirm_fresh(self, appended_at: float | None = None) -> None:
        """Return once the index holds everything that was in the topic when this was called.

        `appended_at` (seconds since 1970) is when the broker took the message to be judged: one older than
        the last confirmation needs no new one. While it cannot be confirmed this waits, and says so.
        """
        if appended_at is not None and appended_at < self._fresh_at - self.CLOCK_SKEW_S:
            return
        while True:
            try:
                await asyncio.wait_for(asyncio.shield(self._joined_check()), self._timeout_s)
                metrics.INDEX_FRESH.set(1)
                self._stale = None
                return
            except Exception as error:
                metrics.INDEX_FRESH.set(0)
                self._stale = "the identifier index cannot be confirmed fresh: events wait"
                if self.task is not None and self.task.done():
                    raise RuntimeError("the identifier index stopped reading") from self.task.exception()
                log.error(
                    "identifier_index_not_confirmed_fresh",
                    waited_s=self._timeout_s,
                    error=type(error).__name__,
                    what="events wait until the index is known to be complete; is the broker reachable?",
                )

    def _joined_check(self) -> asyncio.Task[float]:
        """A check that starts after this call: callers that come while one runs share the next one."""
        if self._check is None or self._check.done():
            self._check = asyncio.create_task(self._run_check(None))
            return self._check
        if self._next_check is None or self._next_check.done():
            self._next_check = asyncio.create_task(self._run_check(self._check))
            self._next_check.add_done_callback(lambda _: None)
        return self._next_check

    async def _run_check(self, after: "asyncio.Task[float] | None") -> float:
        if after is not None:
            with contextlib.suppress(Exception):
                await after
            self._check, self._next_check = self._next_check, None
        await self._started.wait()
        assert self._ends is not None
        started = time.time()
        ends = await self._ends.end_offsets(self._partitions)
        while any(self._applied[partition] < end for partition, end in ends.items()):
            await self._progress.wait()
        self._fresh_at = max(self._fresh_at, started)
        return started
