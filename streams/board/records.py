"""What workers keep beside a subject's row, for a task that somebody looks at: order versions and evidence.

It is in the changelog of the records' table (`streams.core.records` has its keys), which one consumer reads from the
beginning and then follows. Kept of it is where each order version lies, some 200 bytes each, and of subjects whose
map was looked at the evidence itself. An order version is then one read of the log (some 10 ms); a map of a subject
that nobody has looked at is one read of a day of that subject's partition.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any, NamedTuple

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.partitioner import DefaultPartitioner
from pydantic import TypeAdapter, ValidationError

from schemas.orders import OrderData
from streams import metrics
from streams.core.records import Observation
from streams.kafka.admin import cluster_of
from streams.kafka.topics import full_name
from streams.problems import not_now
from streams.settings import Settings

log = structlog.get_logger()

CHANGELOG = "breachwatch-records-changelog"
TRACK_H = 24.0
"""How much of a subject's evidence a map has, hours."""
_MINUTE_S = 60
# Subjects whose evidence of a day is kept: a tag that reports each minute has 1,440 slices of some 300 bytes.
_MOST_TRACKS = 100
_BATCH = 1000
_READ_TIMEOUT_S = 10.0
_SLICE: TypeAdapter[list[Observation]] = TypeAdapter(list[Observation])


class OrderName(NamedTuple):
    """A version of an order."""

    order_id: str
    version: int


class Slice(NamedTuple):
    """A minute of evidence as the newest message has it; None: it was deleted."""

    offset: int
    value: bytes | None


def parts(key: bytes) -> tuple[str, str, str] | None:
    """Subject, kind (`e` evidence, `o` order, `x` effects) and the rest of a record's key; None for no such key."""
    found = key.decode(errors="replace").split("|", 2)
    return (found[0], found[1], found[2]) if len(found) == 3 else None


def order_name(rest: str) -> OrderName | None:
    order_id, _, version = rest.rpartition("|")
    return OrderName(order_id, int(version)) if order_id and version.isdigit() else None


class Index:
    """Where each order version lies, and the evidence of subjects whose map was looked at. Pure.

    Messages of a key count by their offset: what is read back may be older than what the follower has told.
    """

    def __init__(self) -> None:
        self.orders: dict[str, dict[OrderName, tuple[int, int]]] = {}
        """Subject -> order version -> partition and offset."""
        self.tracks: OrderedDict[str, dict[int, Slice]] = OrderedDict()
        """Subject -> minute since 1970 -> evidence; the one that was looked at last is the last."""

    def apply(self, partition: int, offset: int, key: bytes, value: bytes | None) -> None:
        """Take in a message of the changelog."""
        named = parts(key)
        if named is None:
            return
        subject, kind, rest = named
        if kind == "o" and (order := order_name(rest)) is not None:
            self._order(subject, order, partition, offset, value is None)
        elif kind == "e" and subject in self.tracks and rest.isdigit():
            self.add(self.tracks[subject], int(rest), Slice(offset, value))

    def _order(self, subject: str, order: OrderName, partition: int, offset: int, deleted: bool) -> None:
        known = self.orders.setdefault(subject, {})
        if deleted:
            known.pop(order, None)
        elif known.get(order, (partition, -1))[1] < offset:
            known[order] = (partition, offset)
        if not known:
            del self.orders[subject]

    @staticmethod
    def add(track: dict[int, Slice], minute: int, found: Slice) -> None:
        if minute not in track or track[minute].offset < found.offset:
            track[minute] = found

    def look_at(self, subject: str) -> dict[int, Slice]:
        """The evidence of a subject, kept from now on; those that were looked at longest ago are let go."""
        track = self.tracks.setdefault(subject, {})
        self.tracks.move_to_end(subject)
        while len(self.tracks) > _MOST_TRACKS:
            self.tracks.popitem(last=False)
        return track

    def forget(self, before_minute: int) -> None:
        """Forget evidence of before that minute."""
        for track in self.tracks.values():
            for minute in [minute for minute in track if minute < before_minute]:
                del track[minute]


def observations(track: dict[int, Slice], since_minute: int) -> Iterator[Observation]:
    """What a track holds from that minute on, by time; of what cannot be read, nothing."""
    for minute in sorted(minute for minute in track if minute >= since_minute):
        raw = track[minute].value
        if raw is None:
            continue
        try:
            yield from _SLICE.validate_json(raw)
        except ValidationError:
            metrics.UNREADABLE.labels(CHANGELOG).inc()
            log.error("record_unreadable", minute=minute)


def _order(raw: bytes) -> OrderData | None:
    try:
        return OrderData.model_validate_json(raw)
    except ValidationError:
        metrics.UNREADABLE.labels(CHANGELOG).inc()
        log.error("record_unreadable", what="an order")
        return None


class SubjectRecords:
    """Reads and follows the changelog. `start`, then `stop`."""

    def __init__(self, settings: Settings) -> None:
        self.index = Index()
        self._cluster = cluster_of(settings)
        self._topic = full_name(settings, CHANGELOG)
        self._partition_of = DefaultPartitioner()
        self._consumer: AIOKafkaConsumer | None = None
        self._fetcher: AIOKafkaConsumer | None = None
        self._fetching = asyncio.Lock()
        # Of its own: terms, which are one message, must not wait for a day of a partition.
        self._back: AIOKafkaConsumer | None = None
        self._reading_back = asyncio.Lock()
        self._readings: dict[str, asyncio.Task[None]] = {}
        self._unread: set[TopicPartition] = set()
        self._partitions: list[TopicPartition] = []
        self._opened, self._whole = asyncio.Event(), asyncio.Event()
        self._read: set[str] = set()
        """Subjects whose track is whole."""
        self.task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self.task = asyncio.create_task(self._run(), name="board-records")

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task
        for reading in self._readings.values():
            reading.cancel()
        await asyncio.gather(*self._readings.values(), return_exceptions=True)
        for consumer in (self._consumer, self._fetcher, self._back):
            if consumer is not None:
                await consumer.stop()

    async def _consuming(self) -> AIOKafkaConsumer:
        consumer = AIOKafkaConsumer(
            **self._cluster.options(), enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=100
        )
        await consumer.start()
        # The first answer may come before the metadata of a topic that nobody has asked for.
        await consumer._client.add_topic(self._topic)
        return consumer

    async def _run(self) -> None:
        self._consumer = await self._consuming()
        self._fetcher = await self._consuming()
        self._back = await self._consuming()
        numbers = sorted(self._consumer.partitions_for_topic(self._topic) or ())
        self._partitions = [TopicPartition(self._topic, number) for number in numbers]
        self._opened.set()
        self._consumer.assign(self._partitions)
        await self._consumer.seek_to_beginning()
        ends = await self._consumer.end_offsets(self._partitions)
        starts = await self._consumer.beginning_offsets(self._partitions)
        self._unread = {tp for tp in self._partitions if starts[tp] < ends[tp]}
        began = forget_at = time.monotonic()
        while True:
            if not self._unread and not self._whole.is_set():
                self._whole.set()
                seconds = round(time.monotonic() - began, 1)
                log.info("records_known", subjects=len(self.index.orders), seconds=seconds)
            batches = await self._consumer.getmany(timeout_ms=1000, max_records=_BATCH)
            for tp, messages in batches.items():
                for message in messages:
                    self.index.apply(tp.partition, message.offset, message.key or b"", message.value)
            for tp in [tp for tp in self._unread if await self._consumer.position(tp) >= ends[tp]]:
                self._unread.discard(tp)
            if time.monotonic() >= forget_at:
                self.index.forget(int((time.time() - TRACK_H * 3600) // _MINUTE_S))
                forget_at = time.monotonic() + _MINUTE_S

    async def orders(self, subject_id: str) -> list[OrderData]:
        """Every version of every order of the subject that workers keep, by order and version.

        Raises ProblemError while where they lie is not known yet, or the log does not answer.
        """
        async with self._in_time():
            await self._whole.wait()
            found = []
            for name in sorted(self.index.orders.get(subject_id, {})):
                raw = None
                while raw is None and (at := self.index.orders.get(subject_id, {}).get(name)) is not None:
                    # None where it was compacted away: the follower is about to tell where it lies now.
                    raw = await self._one(*at)
                if raw is not None:
                    found.append(_order(raw))
            return [order for order in found if order is not None]

    async def track(self, subject_id: str, hours: float) -> list[Observation]:
        """The subject's evidence of the last hours, at most TRACK_H, by time. Raises ProblemError as `orders`."""
        since = time.time() - min(hours, TRACK_H) * 3600
        async with self._in_time():
            await self._opened.wait()
            if subject_id not in self.index.tracks or subject_id not in self._read:
                await asyncio.shield(self._reading(subject_id))
        return list(observations(self.index.look_at(subject_id), int(since // _MINUTE_S)))

    def _reading(self, subject_id: str) -> asyncio.Task[None]:
        """The read of the subject's day, for all who ask; it goes on when they wait no longer, or they would never
        have it where it takes longer than that."""
        if subject_id not in self._readings:
            reading = self._readings[subject_id] = asyncio.create_task(self._read_whole(subject_id))
            reading.add_done_callback(lambda _: self._readings.pop(subject_id))
        return self._readings[subject_id]

    async def _read_whole(self, subject_id: str) -> None:
        async with self._reading_back:
            # Half a track must not pass for a whole one.
            self._read.discard(subject_id)
            await self._read_back(subject_id)
            self._read.add(subject_id)
            self._read &= self.index.tracks.keys()

    @contextlib.asynccontextmanager
    async def _in_time(self) -> Any:
        try:
            async with asyncio.timeout(_READ_TIMEOUT_S):
                yield
        except TimeoutError:
            raise not_now("Not read yet", "orders and positions are still being read: try again", 5) from None

    async def _one(self, partition: int, offset: int) -> bytes | None:
        assert self._fetcher is not None
        tp = TopicPartition(self._topic, partition)
        async with self._fetching:
            self._fetcher.assign([tp])
            self._fetcher.seek(tp, offset)
            message = await self._fetcher.getone(tp)
        return message.value if message.offset == offset else None

    async def _read_back(self, subject_id: str) -> None:
        """Read a day of the subject's partition. The follower adds what comes meanwhile; the newer counts."""
        assert self._back is not None
        track = self.index.look_at(subject_id)
        prefix = f"{subject_id}|e|".encode()
        number = self._partition_of(subject_id.encode(), [tp.partition for tp in self._partitions], [])
        tp = TopicPartition(self._topic, number)
        self._back.assign([tp])
        since = int((time.time() - TRACK_H * 3600) * 1000)
        start = (await self._back.offsets_for_times({tp: since}))[tp]
        end = (await self._back.end_offsets([tp]))[tp]
        if start is None:
            return
        self._back.seek(tp, start.offset)
        while await self._back.position(tp) < end:
            for message in (await self._back.getmany(tp, timeout_ms=1000)).get(tp, ()):
                minute = message.key[len(prefix) :]
                if message.key.startswith(prefix) and minute.isdigit():
                    self.index.add(track, int(minute), Slice(message.offset, message.value))
