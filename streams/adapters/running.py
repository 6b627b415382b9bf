"""The process of the adapters: each reads its topics, sends what it makes, and commits behind the acknowledgements.

Each has a consumer and a loop of its own: one supplier's flood holds up no other format.
"""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams import metrics
from streams.adapters.routes import Made, Route
from streams.dead_letters import Letters, Origin, ToTopic
from streams.health import Health
from streams.kafka.admin import cluster_of
from streams.kafka.loop_producer import loop_producer
from streams.kafka.topics import MAX_REQUEST_BYTES, full_name
from streams.outbound import Outbound
from streams.settings import Settings
from streams.source_status import SourceStatuses

log = structlog.get_logger()

GROUP = "breachwatch-adapter"
# A batch is made without a pause in between: at 50 µs a message this holds the other formats up for 25 ms.
_AT_A_TIME = 500
Say = Callable[[str], None]


class Adapter:
    """One of them."""

    def __init__(self, name: str, route: Route, settings: Settings, producer: AIOKafkaProducer, worker: str) -> None:
        self.name, self._route, self._settings, self._producer = name, route, settings, producer
        self._letters = Letters(settings.dead_letters_per_minute)
        self.statuses = SourceStatuses(f"{worker}-{name}", self._send_one)
        self.made = 0
        self.bad = 0

    async def take(self, messages: Iterable[Any]) -> None:
        """Make what there is to be made of these, and wait until it is acknowledged."""
        prefix, sends = self._settings.topic_prefix, []
        for message in messages:
            topic = message.topic.removeprefix(prefix)
            made = self._route.make(message)
            sends += await self._send(made.sent)
            self.made += len(made.sent)
            self.bad += len(made.faults)
            if topic.startswith("raw-"):
                sends += await self._send(self._count(topic, message, made))
        sends += await self._send(self._letters.kept_back())
        await asyncio.gather(*sends)

    def _count(self, topic: str, message: Any, made: Made) -> list[ToTopic]:
        at = datetime.fromtimestamp(message.timestamp / 1000, tz=UTC)
        origin = Origin(topic, message.partition, message.offset, at)
        metrics.ADAPTED.labels(self.name, "event").inc(len(made.sent))
        found: list[ToTopic] = []
        for error in made.faults:
            metrics.DEAD_LETTERS.labels(topic, error.reason).inc()
            self.statuses.dead_letter(made.source, origin, error)
            found += self._letters.take(origin, message.value, message.headers, made.source, error)
        if not made.sent and not made.faults:
            metrics.ADAPTED.labels(self.name, "none_of_ours").inc()
        return found

    async def _send(self, messages: Iterable[tuple[str, Outbound]]) -> list[Any]:
        sends = []
        for topic, (key, value, headers) in messages:
            metrics.MESSAGES_OUT.labels(topic).inc()
            full = full_name(self._settings, topic)
            sends.append(await self._producer.send(full, value, key=key, headers=headers))
        return sends

    async def _send_one(self, topic: str, message: Outbound) -> None:
        await self._send([(topic, message)])


async def run(settings: Settings, chosen: dict[str, Route], health: Health) -> None:
    """Run these adapters until SIGTERM or SIGINT; a fault of ours or of the broker's ends them without a commit."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with _producer(settings) as producer, asyncio.TaskGroup() as group:
        for name, route in chosen.items():
            adapter = Adapter(name, route, settings, producer, "adapters")
            group.create_task(_follow(adapter, route, settings, health, stopping))


async def _follow(
    adapter: Adapter, route: Route, settings: Settings, health: Health, stopping: asyncio.Event
) -> None:
    consumer = AIOKafkaConsumer(
        *(full_name(settings, topic) for topic in route.reads),
        **_reading(settings),
        group_id=f"{settings.topic_prefix}{GROUP}-{adapter.name}",
        session_timeout_ms=int(settings.session_timeout_s * 1000),
    )

    def serving() -> str | None:
        if stopping.is_set():
            return "it is stopping"
        return None if consumer.assignment() else "it has no partitions yet"

    # Before anything is waited for: where there are several, the first must not be ready for all.
    health.ready[adapter.name] = serving
    await consumer.start()
    await adapter.statuses.start()
    log.info("adapter_ready", adapter=adapter.name)
    try:
        while not stopping.is_set():
            batches = await consumer.getmany(timeout_ms=200, max_records=_AT_A_TIME)
            await adapter.take(message for messages in batches.values() for message in messages)
            if batches:
                await consumer.commit({tp: messages[-1].offset + 1 for tp, messages in batches.items()})
    finally:
        await adapter.statuses.stop()
        await consumer.stop()


async def again(settings: Settings, name: str, route: Route, since: datetime, say: Say) -> Adapter:
    """Make anew what came in since then and is still kept; by their ids, what was right before are duplicates."""
    consumer = AIOKafkaConsumer(**_reading(settings), group_id=None)
    await consumer.start()
    try:
        async with _producer(settings) as producer:
            adapter = Adapter(name, route, settings, producer, "again")
            partitions = await _all_of(consumer, [full_name(settings, topic) for topic in route.reads])
            ends = await consumer.end_offsets(partitions)
            found = await consumer.offsets_for_times({tp: int(since.timestamp() * 1000) for tp in partitions})
            for tp in partitions:
                consumer.seek(tp, ends[tp] if found[tp] is None else found[tp].offset)
            total = sum([ends[tp] - await consumer.position(tp) for tp in partitions])
            said_at, done = time.monotonic(), 0
            while left := [tp for tp in partitions if await consumer.position(tp) < ends[tp]]:
                consumer.pause(*(set(partitions) - set(left)))
                for tp, messages in (await consumer.getmany(timeout_ms=500, max_records=_AT_A_TIME)).items():
                    due = [message for message in messages if message.offset < ends[tp]]
                    await adapter.take(due)
                    done += len(due)
                if time.monotonic() > said_at + 1.0:
                    said_at = time.monotonic()
                    say(f"{done:,} of {total:,} messages")
            return adapter
    finally:
        await consumer.stop()


async def _all_of(consumer: AIOKafkaConsumer, topics: list[str]) -> list[TopicPartition]:
    found = []
    for topic in topics:
        await consumer._client.add_topic(topic)
        found += [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic) or ())]
    consumer.assign(found)
    return found


def _reading(settings: Settings) -> dict[str, Any]:
    return {
        **cluster_of(settings).options(),
        "enable_auto_commit": False,
        "auto_offset_reset": "earliest",
        "max_partition_fetch_bytes": MAX_REQUEST_BYTES,
    }


@asynccontextmanager
async def _producer(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = loop_producer(settings)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()
