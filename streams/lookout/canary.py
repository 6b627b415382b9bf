"""The canary: would we notice a breach now? It breaches an order of its own every few seconds and waits for the task.

One subject on each partition of `subject-events` takes its turn, by each inbound partition in turn: straight to
`sightings`, and through the gate. All is an exercise; `streams.core.canary` keeps its rows small and silent.

No clock but the monotonic one measures. What is written as a time of day (of the events, and when the last probe that
came through was sent) is the brokers', known from their acknowledgements: the wall clock here may be wrong.
"""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

import orjson
import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from streams import metrics
from streams.broker_clock import BrokerClock
from streams.core.canary import is_canary
from streams.core.policy import load_policy
from streams.kafka.admin import cluster_of
from streams.kafka.topics import MAX_REQUEST_BYTES, full_name, topic_specs
from streams.lookout.probes import TOPICS, Probed, Way, order, sightings, subjects, turn
from streams.settings import Settings

log = structlog.get_logger()
T = TypeVar("T")

LATE_S = 5.0
"""The service level: a breach is a task within so long."""
LOST_S = 60.0
_AGAIN_S = 5.0
# A pipeline that was put back to an older state may not have the orders any more.
_ORDERS_EVERY_S = 86_400.0


class Sent(NamedTuple):
    """A probe that is under way."""

    partition: int
    """Of `subject-events`."""
    way: Way
    sent: float
    """Monotonic seconds."""
    sent_at: float
    """Seconds since 1970, by the brokers' clock."""


class Waiting:
    """The probes whose tasks have not come, and what becomes of each: pure, but for the metrics."""

    def __init__(self, partitions: int, ways: tuple[Way, ...]) -> None:
        self._sent: dict[str, Sent] = {}
        for partition in range(partitions):
            # Never, until one has come through: not fresh, and not absent, where a partition never works.
            metrics.CANARY_SEEN.labels(partition).set(0)
        for way in ways:
            metrics.CANARY_SECONDS.labels(way)
            for outcome in ("seen", "late", "lost"):
                metrics.CANARY_PROBES.labels(outcome, way)

    def __len__(self) -> int:
        return len(self._sent)

    def send(self, event_id: str, sent: Sent) -> None:
        self._sent[event_id] = sent

    def came(self, event_id: str, now: float) -> Sent | None:
        """A task shows this event (`now`: monotonic); the probe, if one waits for it."""
        probe = self._sent.pop(event_id, None)
        if probe is None:
            return None
        took = now - probe.sent
        metrics.CANARY_PROBES.labels("seen" if took <= LATE_S else "late", probe.way).inc()
        metrics.CANARY_SECONDS.labels(probe.way).observe(took)
        metrics.CANARY_SEEN.labels(probe.partition).set(probe.sent_at)
        return probe

    def lose(self, now: float) -> list[Sent]:
        """Give up those that have waited for too long."""
        lost = [event_id for event_id, probe in self._sent.items() if now - probe.sent > LOST_S]
        found = [self._sent.pop(event_id) for event_id in lost]
        for probe in found:
            metrics.CANARY_PROBES.labels("lost", probe.way).inc()
        return found


def shown(value: bytes | None) -> Iterator[str]:
    """The events that a message of `arrest-tasks` rests on, where it is a task of the canary's.

    Raises ValueError, TypeError or KeyError where it is no task.
    """
    if value is None:
        return
    task = orjson.loads(value)
    if is_canary(str(task["subject_id"])):
        for breach in task["breaches"]:
            yield from (str(evidence["event_id"]) for evidence in breach["evidence"])


class Canary:
    """Probes from `start` until `stop`; `task` ends by itself only where it cannot go on."""

    def __init__(self, settings: Settings, clock: BrokerClock) -> None:
        self._settings = settings
        self._cluster = cluster_of(settings)
        self._every_s = settings.canary_interval_s
        self._ways: tuple[Way, ...] = ("sightings", "anpr") if settings.canary_through_gate else ("sightings",)
        self._count = load_policy(settings.policy_file).visits.enter_fixes
        """Sightings that make a visit."""
        self._subjects = subjects(topic_specs(settings)[0].partitions)
        self._clock = clock
        self._sends: set[asyncio.Task[None]] = set()
        self._wrong: set[tuple[object, ...]] = set()
        """What is wrong and has been logged: it is said once, and once when it is over."""
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin; no broker need answer yet. Nothing where the interval is 0."""
        if self._every_s:
            metrics.CANARY_ROUND.set(self._every_s * len(self._subjects))
            self._waiting = Waiting(len(self._subjects), self._ways)
            self.task = asyncio.create_task(self._run(), name="canary")

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task

    async def _run(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._cluster.options(),
            enable_auto_commit=False,
            auto_offset_reset="latest",
            max_partition_fetch_bytes=MAX_REQUEST_BYTES,
        )
        # Not idempotent: such a producer tries again for ever, and a probe that is not out in time is of no use.
        producer = AIOKafkaProducer(
            **self._cluster.options(), acks="all", request_timeout_ms=int(self._settings.send_timeout_s * 1000)
        )
        try:
            await self._until_done(consumer.start)
            await self._until_done(producer.start)
            tasks = full_name(self._settings, "arrest-tasks")
            consumer.assign([TopicPartition(tasks, probed.partition) for probed in self._subjects])
            await self._until_done(consumer.seek_to_end)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read(consumer))
                group.create_task(self._probe(producer))
        finally:
            for send in self._sends:
                send.cancel()
            await asyncio.gather(*self._sends, return_exceptions=True)
            await producer.stop()
            await consumer.stop()

    async def _until_done(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What the brokers answer, as soon as they do."""
        while True:
            try:
                answer = await ask()
            except KafkaError as error:
                self._say("canary_has_no_broker", error=type(error).__name__)
                await asyncio.sleep(_AGAIN_S)
            else:
                self._over("canary_has_no_broker")
                return answer

    async def _read(self, consumer: AIOKafkaConsumer) -> None:
        while True:
            batches = await self._until_done(partial(consumer.getmany, timeout_ms=1000))
            now = time.monotonic()
            for messages in batches.values():
                for message in messages:
                    self._take(message, now)

    def _take(self, message: Any, now: float) -> None:
        try:
            events = list(shown(message.value))
        except (ValueError, TypeError, KeyError):
            metrics.UNREADABLE.labels("arrest-tasks").inc()
            return
        for event_id in events:
            if (probe := self._waiting.came(event_id, now)) is not None:
                self._over("canary_lost", way=probe.way, partition=probe.partition)

    async def _probe(self, producer: AIOKafkaProducer) -> None:
        partitions, number, orders_due = len(self._subjects), 0, time.monotonic()
        while True:
            now = time.monotonic()
            if now >= orders_due:
                sent = await asyncio.gather(*(self._order(producer, probed) for probed in self._subjects))
                # A subject without its order has no task, and would look like a partition that nobody works on.
                orders_due = now + (_ORDERS_EVERY_S if all(sent) else _AGAIN_S)
            who, inbound = turn(number, partitions)
            for way in self._ways:
                self._begin(self._sighted(producer, self._subjects[who], way, inbound))
            number += 1
            # The first round takes no longer than one probe else: a new canary soon knows of every partition.
            await asyncio.sleep(self._every_s if number >= partitions else self._every_s / partitions)
            for lost in self._waiting.lose(time.monotonic()):
                self._say("canary_lost", way=lost.way, partition=lost.partition)

    def _begin(self, sending: Coroutine[Any, Any, None]) -> None:
        send = asyncio.create_task(sending)
        self._sends.add(send)
        send.add_done_callback(self._sends.discard)

    async def _order(self, producer: AIOKafkaProducer, probed: Probed) -> bool:
        return await self._send(producer, "orders", order(probed), probed.name.encode(), None)

    async def _sighted(self, producer: AIOKafkaProducer, probed: Probed, way: Way, inbound: int) -> None:
        at = self._clock.now()
        found = sightings(probed, way, uuid.uuid4().hex, datetime.fromtimestamp(at, tz=UTC), self._count)
        # The last makes the visit, and is what the task rests on.
        self._waiting.send(found[-1][0], Sent(probed.partition, way, time.monotonic(), at))
        for _, value in found:
            await self._send(producer, TOPICS[way], value, None, inbound)

    async def _send(
        self, producer: AIOKafkaProducer, topic: str, value: bytes, key: bytes | None, partition: int | None
    ) -> bool:
        """False where no broker acknowledged it. A sighting is lost then, like all whose task does not come."""
        sent = time.monotonic()
        try:
            async with asyncio.timeout(LOST_S):
                placed = await producer.send_and_wait(full_name(self._settings, topic), value, key, partition)
        except (KafkaError, TimeoutError) as error:
            self._say("canary_not_sent", topic=topic, error=type(error).__name__)
            return False
        self._clock.heard(placed.timestamp / 1000, sent)
        self._over("canary_not_sent", topic=topic)
        return True

    def _say(self, what: str, *, error: str | None = None, **where: object) -> None:
        known = (what, *where.values())
        if known not in self._wrong:
            self._wrong.add(known)
            log.error(what, **where, **({} if error is None else {"error": error}))

    def _over(self, what: str, **where: object) -> None:
        known = (what, *where.values())
        if known in self._wrong:
            self._wrong.remove(known)
            log.info(f"{what}_no_more", **where)
