"""The gate: of the whole plate-read feed, only what may concern an order goes on to `sightings`.

It polls `anpr-reads` in batches, looks each plate up in the identifier index, forwards matches and look-alikes
unchanged, and counts and forgets the rest. Offsets are committed only after Kafka has acknowledged what was
forwarded, and trail by the look-back: an order published at the same moment as a read has its identifiers later than
the read, once workers have got to it. So reads on no order are remembered until then, and a crash reads them again.
"""

import asyncio
import contextlib
import math
import signal
import time
import uuid
from collections import Counter, deque
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition

from schemas.cloud_events import is_binary, structured
from schemas.inbound import BadMessageError, decode
from schemas.orders import IdentifierKind, IdentifierRecord
from schemas.plate_reads import NOT_A_READ, QuickRead, quick_read
from schemas.tasks import Alert
from streams import metrics
from streams.agents import measured
from streams.core.effects import cause_id
from streams.core.plates import readings, skeleton
from streams.dead_letters import Letters, Origin, ToTopic
from streams.health import Health
from streams.identifiers import IndexReader
from streams.kafka.admin import cluster_of
from streams.kafka.loop_producer import loop_producer
from streams.kafka.topics import MAX_REQUEST_BYTES, full_name
from streams.outbound import Outbound, outbound
from streams.progress import WorkerProgress
from streams.settings import Settings
from streams.source_status import SourceStatuses, source_of
from streams.watchdog import Progress, Pulse, Watchdog

log = structlog.get_logger()

TOPIC = "anpr-reads"
# Between two looks whether there is room again.
_FULL_S = 0.05
# What workers take at most, where they get on at all: a poll, a commit, and what was sent in between.
_WORKERS_MAY_LAG_S = 5.0


class Sifted(NamedTuple):
    """A batch of messages, of which those of `unknown` are reads on no order."""

    skeletons: list[str]
    """What the plates of `unknown` look like."""
    sources: list[str]
    """Who sent `unknown`."""
    unknown: list[Any]
    others: list[Any]
    """Reads that may be on an order, and what is no read."""


def sift(messages: Iterable[Any], known: Container[str]) -> Sifted:
    """`known` holds what plates on orders look like. Each read of the feed costs this much: written for speed."""
    skeletons, sources, unknown, others = sifted = Sifted([], [], [], [])
    for message in messages:
        try:
            read = quick_read(message.value)
        except NOT_A_READ:
            whole = _in_binary_mode(message)
            if whole is None:
                others.append(message)
                continue
            read = whole
        looks = skeleton(read.data.vrm)
        if looks in known:
            others.append(message)
        else:
            skeletons.append(looks)
            sources.append(read.source)
            unknown.append(message)
    return sifted


def _in_binary_mode(message: Any) -> QuickRead | None:
    """The read that is a CloudEvent in binary mode; None for anything else."""
    if not is_binary(message.headers):
        return None
    try:
        return quick_read(structured(message.value, message.headers) or b"")
    except NOT_A_READ:
        return None


class Read(NamedTuple):
    """Of a message what goes on."""

    value: bytes
    headers: Sequence[tuple[str, bytes]]


class _Batch(NamedTuple):
    """Reads of one batch and partition that are on no order, oldest first."""

    born: float
    """When they were in the log, at the latest (monotonic seconds)."""
    first_offset: int
    skeletons: list[str]
    reads: list[Read]


class LookBack:
    """Reads on no order that an order may still come for, batch by batch.

    A batch is remembered until every order that was in the log `seconds` after it is known here. Where each partition
    may be committed to follows from what is remembered. Nothing is done for a single read: a newly known plate, which
    is rare, looks through them all (some 30 ns each).
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._batches: dict[TopicPartition, deque[_Batch]] = {}
        self._count = 0
        self._position: dict[TopicPartition, int] = {}

    def __len__(self) -> int:
        return self._count

    @property
    def full(self) -> bool:
        """There is no room for more."""
        return self._count >= self._most

    def seen(self, partition: TopicPartition, next_offset: int) -> None:
        self._position[partition] = next_offset

    def remember(self, born: float, partition: TopicPartition, skeletons: list[str], messages: list[Any]) -> None:
        """Keep reads that were in the log by `born` (monotonic seconds), and what their plates look like."""
        if messages:
            reads = [Read(message.value, message.headers) for message in messages]
            batches = self._batches.setdefault(partition, deque())
            batches.append(_Batch(born, messages[0].offset, skeletons, reads))
            self._count += len(messages)

    def recall(self, plates: Iterable[str]) -> list[Read]:
        """The remembered reads that newly known plates may concern, each once."""
        wanted = {read for plate in plates for read in readings(plate)}
        if not wanted:
            return []
        return [
            read
            for batches in self._batches.values()
            for batch in batches
            for looks, read in zip(batch.skeletons, batch.reads, strict=True)
            if looks in wanted
        ]

    def forget(self, known_until: float) -> None:
        """Forget what is settled: of every order in the log by then (monotonic seconds) the identifiers are known."""
        for partition, batches in self._batches.items():
            while batches and batches[0].born + self._seconds <= known_until:
                self._pop(partition)

    def shed(self) -> int:
        """Forget what is oldest until there is room, settled or not; returns how many reads that were."""
        before = self._count
        while self.full:
            self._pop(min((batches[0].born, partition) for partition, batches in self._batches.items() if batches)[1])
        return before - self._count

    def _pop(self, partition: TopicPartition) -> None:
        self._count -= len(self._batches[partition].popleft().reads)

    def committable(self) -> dict[TopicPartition, int]:
        """For each partition the offset below which no read is remembered any more."""
        first = {partition: batches[0].first_offset for partition, batches in self._batches.items() if batches}
        return self._position | first

    def drop(self, partitions: set[TopicPartition]) -> None:
        """Forget partitions that belong to another gate now."""
        for partition in partitions:
            self._count -= sum(len(batch.reads) for batch in self._batches.pop(partition, ()))
            self._position.pop(partition, None)


class Ages:
    """By when a read was in the log, by the gate's own monotonic clock: no other clock is asked.

    Where a partition ended at a moment tells of all reads before that end that they are no younger.
    """

    # What a gate that is an hour behind keeps of that hour: 3,600 pairs for a partition.
    EVERY_S = 1.0

    def __init__(self) -> None:
        self._ends: dict[TopicPartition, deque[tuple[float, int]]] = {}

    def ended(self, now: float, partition: TopicPartition, end: int) -> None:
        """At `now` the partition went up to `end` at least."""
        ends = self._ends.setdefault(partition, deque())
        if not ends or (end > ends[-1][1] and now >= ends[-1][0] + self.EVERY_S):
            ends.append((now, end))

    def born(self, now: float, partition: TopicPartition, offset: int) -> float:
        """The first moment at which this offset is known to have been in the log; offsets are asked for in order."""
        ends = self._ends.setdefault(partition, deque())
        while ends and ends[0][1] <= offset:
            ends.popleft()
        return ends[0][0] if ends else now

    def drop(self, partitions: set[TopicPartition]) -> None:
        for partition in partitions:
            self._ends.pop(partition, None)


class Gate(ConsumerRebalanceListener):
    """One gate process. `run` until `stop`."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._rounds = 0
        self._began = time.monotonic()
        # A gate that was frozen may forward a read again, and that is all: no gap is too long for it to go on.
        self._watchdog = Watchdog(Pulse(math.inf), settings.stall_timeout_s, self._round)
        cluster = cluster_of(settings)
        self._topic = full_name(settings, TOPIC)
        self._reader = IndexReader(cluster, full_name(settings, "identifiers"), settings.freshness_timeout_s)
        health.alive["event loop"] = self._watchdog.alive
        health.ready |= {
            "partitions": self._has_partitions,
            "index": self._reader.stale,
            "progress": self._watchdog.committing,
        }
        self._progress = WorkerProgress(settings, cluster, self._reader)
        self._look_back = LookBack(settings.gate_lookback_s, settings.gate_lookback_reads)
        self._ages = Ages()
        self._letters = Letters(settings.dead_letters_per_minute)
        self._statuses = SourceStatuses(f"gate-{uuid.uuid4()}", self._send_status)
        self._late_plates: list[str] = []
        self._told: str | None = None
        """The hour of the last alert of an overrun."""
        self._stopping = asyncio.Event()
        self._consumer = AIOKafkaConsumer(
            **cluster.options(),
            group_id=f"{settings.topic_prefix}breachwatch-gate",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_s * 250),
            max_partition_fetch_bytes=MAX_REQUEST_BYTES,
            fetch_max_wait_ms=50,
        )
        self._producer = loop_producer(settings)

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._look_back.drop(set(revoked))
        self._ages.drop(set(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        log.info("gate_partitions", partitions=sorted(tp.partition for tp in assigned))

    def _has_partitions(self) -> str | None:
        if self._stopping.is_set():
            return "the gate is stopping"
        return None if self._consumer.assignment() else "the gate has no partitions yet"

    def _round(self) -> dict[object, Progress]:
        """A gate commits late on purpose, by its look-back: its progress is that it goes round."""
        return {"round": Progress(self._rounds, self._rounds + 1)}

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        """Forward until stopped; any fault of ours ends it without a commit."""
        self._reader.listeners.append(self._on_identifier)
        async with contextlib.AsyncExitStack() as stack:
            await self._watchdog.start()
            stack.push_async_callback(self._watchdog.stop)
            await self._producer.start()
            stack.push_async_callback(self._producer.stop)
            await self._reader.start()
            stack.push_async_callback(self._reader.stop)
            await self._progress.start()
            stack.push_async_callback(self._progress.stop)
            await self._statuses.start()
            stack.push_async_callback(self._statuses.stop)
            await self._consumer.start()
            stack.push_async_callback(self._consumer.stop)
            self._consumer.subscribe([self._topic], listener=self)
            log.info("gate_ready")
            committed = time.monotonic()
            while not self._stopping.is_set():
                sends = await self._judge(await self._next())
                sends += await self._judge_late()
                await asyncio.gather(*sends)
                await self._forget()
                self._rounds += 1
                now = time.monotonic()
                if now - committed >= self._settings.commit_interval_s:
                    await self._commit()
                    committed = now
            await self._commit()

    async def _next(self) -> dict[TopicPartition, list]:
        """The next reads; none while too many are remembered.

        A gate that comes back to many reads takes 50,000 a second, and remembers each of them until the orders of the
        half minute since it came back are known. Then it goes on, and remembers none that is older than that.
        """
        if self._look_back.full:
            await asyncio.sleep(_FULL_S)
            return {}
        batches: dict[TopicPartition, list] = await self._consumer.getmany(
            timeout_ms=200, max_records=self._settings.gate_batch
        )
        now = time.monotonic()
        for partition, messages in batches.items():
            end = self._consumer.highwater(partition) or 0
            self._ages.ended(now, partition, max(end, messages[-1].offset + 1))
        return batches

    async def _forget(self) -> None:
        assert self._progress.task is not None
        if self._progress.task.done():
            raise RuntimeError("the workers' progress is not followed any more") from self._progress.task.exception()
        known_until = self._progress.known_until
        self._look_back.forget(known_until)
        # Reads of now must not wait for workers that do not get on: they may be on an order that is known.
        waited = time.monotonic() - max(known_until, self._began)
        stuck = waited > self._settings.gate_lookback_s + _WORKERS_MAY_LAG_S
        if not (stuck and self._look_back.full):
            return
        too_early = self._look_back.shed()
        metrics.READS.labels("forgotten_early").inc(too_early)
        hour = f"{datetime.now(UTC):%Y-%m-%dT%H}"
        if hour == self._told:
            return
        self._told = hour
        log.error("look_back_overrun", forgotten=too_early, remembered=len(self._look_back))
        overrun = Alert(
            alert_id=cause_id("alert", "look_back_overrun", hour),
            kind="look_back_overrun",
            severity="high",
            at=datetime.now(UTC),
            text="workers are so far behind that plate reads are passed over before the orders of their time are "
            "known: a sighting on a new order may be missed; the reads stay in anpr-reads until they expire",
        )
        await asyncio.gather(*await self._send_out([("alerts", outbound("alerts", overrun))]))

    async def _commit(self) -> None:
        await asyncio.gather(*await self._send_out(self._letters.kept_back()))
        assigned = self._consumer.assignment()
        offsets = {tp: offset for tp, offset in self._look_back.committable().items() if tp in assigned}
        if offsets:
            await self._consumer.commit(offsets)

    def _on_identifier(self, record: IdentifierRecord) -> None:
        if record.kind is IdentifierKind.PLATE:
            self._late_plates.append(record.value)

    async def _judge(self, batches: dict[TopicPartition, list]) -> list[Any]:
        if not batches:
            return []
        # One look for the whole batch: it was all in the log before this moment.
        await self._reader.confirm_fresh()
        taken_at = time.time()
        sends, now, passed, matched = [], time.monotonic(), 0, 0
        for partition, messages in batches.items():
            found = sift(messages, self._reader.index.looks_known)
            born = self._ages.born(now, partition, messages[-1].offset)
            self._look_back.remember(born, partition, found.skeletons, found.unknown)
            self._look_back.seen(partition, messages[-1].offset + 1)
            passed += len(found.unknown)
            for source, reads in Counter(found.sources).items():
                self._statuses.count(source, "passed", reads)
            for message in found.others:
                error = fault_of(message, self._settings.max_message_bytes)
                if error is not None:
                    sends += await self._dead_letter(message, error)
                else:
                    matched += 1
                    sends.append(await self._forward(message.value, message.headers))
        metrics.READS.labels("passed").inc(passed)
        metrics.READS.labels("forwarded").inc(matched)
        oldest_ms = min(messages[0].timestamp for messages in batches.values())
        measured.filtered(oldest_ms / 1000, taken_at, time.time())
        return sends

    async def _judge_late(self) -> list[Any]:
        """Reads that were on no order when they were judged, and are on one now."""
        plates, self._late_plates = self._late_plates, []
        sends = [
            await self._forward(read.value, read.headers)
            for read in self._look_back.recall(plates)
            if fault_of(read, self._settings.max_message_bytes) is None
        ]
        metrics.READS.labels("forwarded_late").inc(len(sends))
        return sends

    async def _forward(self, value: bytes, headers: Sequence[tuple[str, bytes]]) -> Any:
        return await self._send("sightings", value, None, list(headers))

    async def _send(self, topic: str, value: bytes, key: bytes | None, headers: list[tuple[str, bytes]]) -> Any:
        metrics.MESSAGES_OUT.labels(topic).inc()
        return await self._producer.send(full_name(self._settings, topic), value, key=key, headers=headers)

    async def _dead_letter(self, message: Any, error: BadMessageError) -> list[Any]:
        appended_at = datetime.fromtimestamp(message.timestamp / 1000, tz=UTC)
        origin = Origin(TOPIC, message.partition, message.offset, appended_at)
        metrics.READS.labels("dead_letter").inc()
        metrics.DEAD_LETTERS.labels(TOPIC, error.reason).inc()
        source = source_of(structured(message.value, message.headers))
        self._statuses.dead_letter(source, origin, error)
        return await self._send_out(self._letters.take(origin, message.value, message.headers, source, error))

    async def _send_status(self, topic: str, status: Outbound) -> None:
        await self._send_out([(topic, status)])

    async def _send_out(self, messages: Iterable[ToTopic]) -> list[Any]:
        return [await self._send(topic, value, key, headers) for topic, (key, value, headers) in messages]


def fault_of(message: Any, max_bytes: int) -> BadMessageError | None:
    """Why it is no read; None for a read."""
    try:
        decode(TOPIC, structured(message.value, message.headers), max_bytes)
    except BadMessageError as error:
        return error
    return None


async def run_gate(settings: Settings, health: Health) -> None:
    """Run one gate until SIGTERM or SIGINT."""
    gate = Gate(settings, health)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, gate.stop)
    await gate.run()
