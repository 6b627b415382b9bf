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
from collections import defaultdict, deque
from datetime import UTC, datetime
from typing import Any

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition

from schemas.inbound import BadMessageError, decode
from schemas.orders import IdentifierKind, IdentifierRecord
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


def plate_of(value: bytes | None) -> str | None:
    """The plate of what looks like a read, cheaply; None when only `decode` can say what it is."""
    try:
        body = orjson.loads(value or b"")
        plate = body["data"]["vrm"]
        return plate if body["type"] == "plate_read" and isinstance(plate, str) else None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None


class LookBack:
    """Reads on no order that an order may still come for, by what their plates look like.

    A read is remembered until every order that was in the log `seconds` after it is known here, but never more
    reads than `most`. Where each partition may be committed to follows from what is remembered.
    """

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds, self._most = seconds, most
        self._reads: deque[tuple[float, str, TopicPartition]] = deque()
        self._by_skeleton: defaultdict[str, deque[Any]] = defaultdict(deque)
        self._offsets: defaultdict[TopicPartition, deque[int]] = defaultdict(deque)
        self._position: dict[TopicPartition, int] = {}

    def __len__(self) -> int:
        return len(self._reads)

    def seen(self, partition: TopicPartition, next_offset: int) -> None:
        self._position[partition] = next_offset

    def remember(self, now: float, plate: str, partition: TopicPartition, message: Any) -> None:
        """Keep a read's message, judged at `now` (monotonic seconds)."""
        key = skeleton(plate)
        self._reads.append((now, key, partition))
        self._by_skeleton[key].append(message)
        self._offsets[partition].append(message.offset)

    def recall(self, plate: str) -> list[Any]:
        """The messages of the remembered reads that a newly known plate may concern."""
        return [message for read in readings(plate) for message in self._by_skeleton.get(read, ())]

    def forget(self, known_until: float) -> int:
        """Forget what is settled; returns how many had to go before they were, since there are too many."""
        while self._reads and self._reads[0][0] + self._seconds <= known_until:
            self._pop()
        too_many = max(0, len(self._reads) - self._most)
        for _ in range(too_many):
            self._pop()
        return too_many

    def _pop(self) -> None:
        _, key, partition = self._reads.popleft()
        self._offsets[partition].popleft()
        self._by_skeleton[key].popleft()
        if not self._by_skeleton[key]:
            del self._by_skeleton[key]

    def committable(self) -> dict[TopicPartition, int]:
        """For each partition the offset below which no read is remembered any more."""
        return {
            partition: self._offsets[partition][0] if self._offsets[partition] else position
            for partition, position in self._position.items()
        }

    def drop(self, partitions: set[TopicPartition]) -> None:
        """Forget partitions that belong to another gate now."""
        kept = deque(read for read in self._reads if read[2] not in partitions)
        gone = {tp.partition for tp in partitions}
        for key, messages in list(self._by_skeleton.items()):
            self._by_skeleton[key] = deque(m for m in messages if m.partition not in gone)
            if not self._by_skeleton[key]:
                del self._by_skeleton[key]
        self._reads = kept
        for partition in partitions:
            self._position.pop(partition, None)
            self._offsets.pop(partition, None)


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
            for message in messages:
                plate = plate_of(message.value)
                if plate is not None and not self._reader.index.knows_plate(plate):
                    self._look_back.remember(now, plate, partition, message)
                    passed += 1
                    continue
                error = _fault_of(message.value, self._settings.max_message_bytes)
                if error is not None:
                    sends += await self._dead_letter(message, error)
                else:
                    matched += 1
                    sends.append(await self._forward(message))
            self._look_back.seen(partition, messages[-1].offset + 1)
        metrics.READS.labels("passed").inc(passed)
        metrics.READS.labels("forwarded").inc(matched)
        return sends

    async def _judge_late(self) -> list[Any]:
        """Reads that were on no order when they were judged, and are on one now."""
        plates, self._late_plates = self._late_plates, []
        sends = [
            await self._forward(message)
            for plate in plates
            for message in self._look_back.recall(plate)
            if _fault_of(message.value, self._settings.max_message_bytes) is None
        ]
        metrics.READS.labels("forwarded_late").inc(len(sends))
        return sends

    async def _forward(self, message: Any) -> Any:
        return await self._producer.send(self._sightings, message.value, key=None, headers=list(message.headers))

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


def _fault_of(value: bytes | None, max_bytes: int) -> BadMessageError | None:
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
