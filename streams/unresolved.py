"""The re-drive: events that named nobody are driven on when an identifier for them appears.

`unresolved` is state: compacted by a hash of the event id, and a null value says that the event was driven on.
Each worker reads the whole topic into memory and drives those of the partitions of `subject-events` that it
owns. An event may be driven twice around a rebalance; the subject's row knows its id.
"""

import asyncio
import contextlib
from collections import defaultdict
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from pydantic import ValidationError

from schemas.internal import Held, SubjectEvent
from schemas.orders import IdentifierKind, IdentifierRecord
from streams import metrics
from streams.core.plates import canonical
from streams.core.resolve import references, resolve
from streams.identifiers import IndexReader
from streams.kafka.cluster import Cluster
from streams.kafka.topics import MAX_REQUEST_BYTES, full_name
from streams.logs import correlation

log = structlog.get_logger()

Name = tuple[str, str]

# A tag on no order may send for days: its newest two thousand fixes are a day and more at one a minute, and the
# memory of ten thousand such tags stays bounded. Older ones are in the topic until it expires.
MAX_HELD_PER_NAME = 2_000


def names_of(held: Held) -> list[Name]:
    """What the event could be resolved by."""
    return [
        (kind.value, canonical(value) if kind is IdentifierKind.PLATE else value)
        for kind, value in references(held.event)
    ]


class HeldEvents:
    """The events that wait, by Kafka key and by what names them; pure memory."""

    def __init__(self) -> None:
        self._events: dict[bytes, tuple[int, bytes, list[Name]]] = {}
        self._by_name: dict[Name, dict[bytes, None]] = defaultdict(dict)

    def __len__(self) -> int:
        return len(self._events)

    def put(self, key: bytes, partition: int, value: bytes) -> None:
        self.discard(key)
        names = names_of(Held.read(value))
        self._events[key] = (partition, value, names)
        for name in names:
            waiting = self._by_name[name]
            waiting[key] = None
            if len(waiting) > MAX_HELD_PER_NAME:
                self.discard(next(iter(waiting)))

    def discard(self, key: bytes) -> None:
        _, _, names = self._events.pop(key, (0, b"", []))
        for name in names:
            self._by_name[name].pop(key, None)
            if not self._by_name[name]:
                del self._by_name[name]

    def waiting_for(self, name: Name) -> list[bytes]:
        return list(self._by_name.get(name, ()))

    def get(self, key: bytes) -> tuple[int, Held] | None:
        found = self._events.get(key)
        return None if found is None else (found[0], Held.read(found[1]))

    def all(self) -> list[bytes]:
        return list(self._events)


class Redrive:
    """Keeps HeldEvents equal to the topic and drives on what has become resolvable."""

    def __init__(self, app: Any, cluster: Cluster, index: IndexReader) -> None:
        self._app = app
        self._cluster = cluster
        self._index = index
        self._topic = full_name(app.settings, "unresolved")
        self._unresolved = app.raw_topic("unresolved")
        self._subject_events = app.raw_topic("subject-events")
        self._events = HeldEvents()
        self._due: asyncio.Queue[bytes] = asyncio.Queue()
        self._consumer: AIOKafkaConsumer | None = None
        self._owned: set[int] = set()
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._consumer = AIOKafkaConsumer(
            **self._cluster.options(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_partition_fetch_bytes=MAX_REQUEST_BYTES,
            fetch_max_wait_ms=50,
        )
        await self._consumer.start()
        partitions = range(self._app.partition_count[self._topic])
        self._consumer.assign([TopicPartition(self._topic, number) for number in partitions])
        await self._consumer.seek_to_beginning()
        self._index.listeners.append(self._on_identifier)
        self.task = asyncio.create_task(self._run(), name="redrive")

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task
        if self._consumer is not None:
            await self._consumer.stop()

    async def _run(self) -> None:
        await asyncio.gather(self._read(), self._drive())

    def _on_identifier(self, record: IdentifierRecord) -> None:
        value = canonical(record.value) if record.kind is IdentifierKind.PLATE else record.value
        for key in self._events.waiting_for((record.kind.value, value)):
            self._due.put_nowait(key)

    async def _read(self) -> None:
        assert self._consumer is not None
        while True:
            batches = await self._consumer.getmany(timeout_ms=500, max_records=1000)
            for messages in batches.values():
                for message in messages:
                    if message.value is None:
                        self._events.discard(message.key)
                        continue
                    try:
                        self._events.put(message.key, message.partition, message.value)
                    except ValidationError:  # only workers write this topic; what they have not written holds nobody
                        metrics.UNREADABLE.labels("unresolved").inc()
                        log.error("held_event_unreadable", partition=message.partition, offset=message.offset)
                        continue
                    self._due.put_nowait(message.key)
            self._on_assignment()
            metrics.HELD.set(len(self._events))

    def _on_assignment(self) -> None:
        """Partitions that have come to this worker bring their held events with them."""
        events = full_name(self._app.settings, "subject-events")
        owned = {tp.partition for tp in self._app.consumer.assignment() if tp.topic == events}
        gained, self._owned = owned - self._owned, owned
        if gained:
            for key in self._events.all():
                self._due.put_nowait(key)

    async def _drive(self) -> None:
        while True:
            key = await self._due.get()
            found = self._events.get(key)
            if found is None or found[0] not in self._owned:
                continue
            held = found[1]
            targets = resolve(held.event, self._index.index)
            if not targets:
                continue
            for target in targets:
                routing = target.routing(held).model_copy(update={"held": True})
                driven = SubjectEvent(subject_id=target.subject_id, routing=routing, event=held.event)
                sent = await self._subject_events.send(
                    key=target.subject_id.encode(), value=driven.model_dump_json().encode()
                )
                await sent
            # Only once the subject events are safe: a crash in between drives the event again.
            self._events.discard(key)
            await self._unresolved.send(key=key, value=None)
            log.info(
                "driven_on",
                message=f"{held.topic}/{held.partition}/{held.offset}",
                subjects=len(targets),
                correlation=correlation(held.traceparent, held.event.event_id),
            )
