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
from collections import deque
from collections.abc import Container, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition

from schemas.inbound import BadMessageError, decode
from schemas.orders import IdentifierKind, IdentifierRecord
from schemas.plate_reads import NOT_A_READ, quick_read
from schemas.tasks import Alert
from streams import dead_letters, metrics
from streams.core.effects import cause_id
from streams.core.plates import readings, skeleton
from streams.dead_letters import Origin
from streams.health import Health
from streams.identifiers import IndexReader
from streams.kafka.admin import cluster_of
from streams.kafka.topics import MAX_REQUEST_BYTES, full_name
from streams.progress import WorkerProgress
from streams.settings import Settings
from streams.watchdog import Progress, Pulse, Watchdog

log = structlog.get_logger()

TOPIC = "anpr-reads"


def sift(messages: Iterable[Any], known: Container[str]) -> tuple[list[str], list[Any], list[Any]]:
    """Of a batch: what the plates of reads on no order look like, the messages of these reads, and all others, which
    are reads that may be on an order and what is no read.

    `known` holds what plates on orders look like. Each read of the feed costs this much: it is written for speed.
    """
    skeletons, unknown, others = [], [], []
    for message in messages:
        try:
            looks = skeleton(quick_read(message.value).data.vrm)
        except NOT_A_READ:
            others.append(message)
        else:
            if looks in known:
                others.append(message)
            else:
                skeletons.append(looks)
                unknown.append(message)
    return skeletons, unknown, others


Read = tuple[bytes, Sequence[tuple[str, bytes]]]
"""Of a message what goes on: its value and its headers."""


class _Batch(NamedTuple):
    """Reads of one batch and partition that are on no order, oldest first."""

    judged_at: float
    """Monotonic seconds."""
    partition: TopicPartition
    first_offset: int
    skeletons: list[str]
    reads: list[Read]


class LookBack:
    """Reads on no order that an order may still come for, batch by batch as they were judged.

    A batch is remembered until every order that was in the log `seconds` after it is known here, but never more
    reads than `most`. Where each partition may be committed to follows from what is remembered. Nothing is done for a
    single read: a newly known plate, which is rare, looks through them all (some 30 ns each).
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._batches: deque[_Batch] = deque()
        self._count = 0
        self._position: dict[TopicPartition, int] = {}

    def __len__(self) -> int:
        return self._count

    def seen(self, partition: TopicPartition, next_offset: int) -> None:
        self._position[partition] = next_offset

    def remember(self, now: float, partition: TopicPartition, skeletons: list[str], messages: list[Any]) -> None:
        """Keep reads, and what their plates look like, judged at `now` (monotonic seconds)."""
        if messages:
            reads = [(message.value, message.headers) for message in messages]
            self._batches.append(_Batch(now, partition, messages[0].offset, skeletons, reads))
            self._count += len(messages)

    def recall(self, plates: Iterable[str]) -> list[Read]:
        """The remembered reads that newly known plates may concern, each once."""
        wanted = {read for plate in plates for read in readings(plate)}
        if not wanted:
            return []
        return [
            read
            for batch in self._batches
            for looks, read in zip(batch.skeletons, batch.reads, strict=True)
            if looks in wanted
        ]

    def forget(self, known_until: float) -> int:
        """Forget what is settled; returns how many had to go before they were, since there are too many."""
        while self._batches and self._batches[0].judged_at + self._seconds <= known_until:
            self._pop()
        before = self._count
        while self._count > self._most:
            self._pop()
        return before - self._count

    def _pop(self) -> None:
        self._count -= len(self._batches.popleft().reads)

    def committable(self) -> dict[TopicPartition, int]:
        """For each partition the offset below which no read is remembered any more."""
        found = dict(self._position)
        for batch in reversed(self._batches):
            found[batch.partition] = batch.first_offset
        return found

    def drop(self, partitions: set[TopicPartition]) -> None:
        """Forget partitions that belong to another gate now."""
        self._batches = deque(batch for batch in self._batches if batch.partition not in partitions)
        self._count = sum(len(batch.reads) for batch in self._batches)
        for partition in partitions:
            self._position.pop(partition, None)


class Gate(ConsumerRebalanceListener):
    """One gate process. `run` until `stop`."""

    def __init__(self, settings: Settings, health: Health) -> None:
        self._settings = settings
        self._rounds = 0
        # A gate that was frozen may forward a read again, and that is all: no gap is too long for it to go on.
        self._watchdog = Watchdog(Pulse(math.inf), settings.stall_timeout_s, self._round)
        cluster = cluster_of(settings)
        self._topic = full_name(settings, TOPIC)
        self._sightings = full_name(settings, "sightings")
        self._reader = IndexReader(cluster, full_name(settings, "identifiers"), settings.freshness_timeout_s)
        health.alive["event loop"] = self._watchdog.alive
        health.ready |= {
            "partitions": self._has_partitions,
            "index": self._reader.stale,
            "progress": self._watchdog.committing,
        }
        self._progress = WorkerProgress(settings, cluster, self._reader)
        self._look_back = LookBack(settings.gate_lookback_s, settings.gate_lookback_reads)
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
        self._producer = AIOKafkaProducer(
            **cluster.options(),
            acks="all",
            enable_idempotence=True,
            max_request_size=MAX_REQUEST_BYTES,
            request_timeout_ms=int(settings.send_timeout_s * 1000),
        )

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        self._look_back.drop(set(revoked))

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        log.info("gate_partitions", partitions=sorted(tp.partition for tp in assigned))

    def _has_partitions(self) -> str | None:
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
            await self._consumer.start()
            stack.push_async_callback(self._consumer.stop)
            self._consumer.subscribe([self._topic], listener=self)
            log.info("gate_ready")
            committed = time.monotonic()
            while not self._stopping.is_set():
                batches = await self._consumer.getmany(timeout_ms=200, max_records=self._settings.gate_batch)
                sends = await self._judge(batches)
                sends += await self._judge_late()
                await asyncio.gather(*sends)
                await self._forget()
                self._rounds += 1
                now = time.monotonic()
                if now - committed >= self._settings.commit_interval_s:
                    await self._commit()
                    committed = now
            await self._commit()

    async def _forget(self) -> None:
        assert self._progress.task is not None
        if self._progress.task.done():
            raise RuntimeError("the workers' progress is not followed any more") from self._progress.task.exception()
        too_early = self._look_back.forget(self._progress.known_until)
        if not too_early:
            return
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
        alerts = full_name(self._settings, "alerts")
        value = overrun.model_dump_json().encode()
        await self._producer.send_and_wait(alerts, value, key=overrun.alert_id.encode())

    async def _commit(self) -> None:
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
        sends, now, passed, matched = [], time.monotonic(), 0, 0
        for partition, messages in batches.items():
            skeletons, unknown, others = sift(messages, self._reader.index.looks_known)
            self._look_back.remember(now, partition, skeletons, unknown)
            self._look_back.seen(partition, messages[-1].offset + 1)
            passed += len(unknown)
            for message in others:
                error = fault_of(message.value, self._settings.max_message_bytes)
                if error is not None:
                    sends += await self._dead_letter(message, error)
                else:
                    matched += 1
                    sends.append(await self._forward(message.value, message.headers))
        metrics.READS.labels("passed").inc(passed)
        metrics.READS.labels("forwarded").inc(matched)
        return sends

    async def _judge_late(self) -> list[Any]:
        """Reads that were on no order when they were judged, and are on one now."""
        plates, self._late_plates = self._late_plates, []
        sends = [
            await self._forward(value, headers)
            for value, headers in self._look_back.recall(plates)
            if fault_of(value, self._settings.max_message_bytes) is None
        ]
        metrics.READS.labels("forwarded_late").inc(len(sends))
        return sends

    async def _forward(self, value: bytes, headers: Sequence[tuple[str, bytes]]) -> Any:
        return await self._producer.send(self._sightings, value, key=None, headers=list(headers))

    async def _dead_letter(self, message, error: BadMessageError) -> list[Any]:  # type: ignore[no-untyped-def]
        appended_at = datetime.fromtimestamp(message.timestamp / 1000, tz=UTC)
        origin = Origin(TOPIC, message.partition, message.offset, appended_at)
        metrics.READS.labels("dead_letter").inc()
        metrics.DEAD_LETTERS.labels(TOPIC, error.reason).inc()
        letters, alerts = (full_name(self._settings, name) for name in ("dead-letters", "alerts"))
        key, headers = dead_letters.key(origin), dead_letters.headers(origin, error)
        sends = [await self._producer.send(letters, message.value or b"", key=key, headers=headers)]
        raised = dead_letters.alert(origin, error)
        if raised is not None:
            value = raised.model_dump_json().encode()
            sends.append(await self._producer.send(alerts, value, key=raised.alert_id.encode()))
        return sends


def fault_of(value: bytes | None, max_bytes: int) -> BadMessageError | None:
    """Why it is no read; None for a read."""
    try:
        decode(TOPIC, value, max_bytes)
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
