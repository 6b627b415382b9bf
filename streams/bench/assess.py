"""The path of an event through assess against its floor: a bare Faust agent with a table, and the same sends.

Both read the same events from a topic on the same broker in the same run, one process each, from the first event that
it has handled to the last.
"""

import asyncio
import hashlib
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson
from aiokafka import AIOKafkaProducer

from schemas.inbound import decode
from schemas.internal import Arrival, encode_subject_event
from streams.bench import bare_agent
from streams.bench.events import fixes, order, subject_name
from streams.bench.ground import Ground, Spread, rate
from streams.core.resolve import Target
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.lag import ends, uncommitted
from streams.kafka.reading import read_all
from streams.kafka.topics import MAX_REQUEST_BYTES, TOPICS, full_name
from streams.settings import Settings

ASSESSED = "breachwatch_row_bytes_count"
_ROWS, _RECORDS = "breachwatch-subjects-changelog", "breachwatch-records-changelog"
_SENT = ("identifiers", "arrest-tasks", "alerts", "safeguarding-tasks", "task-answers", "audit", _ROWS, _RECORDS)


@dataclass(frozen=True)
class AssessFigures:
    """Events a second of one process, repeat by repeat; of the processor's time, and by the clock."""

    subjects: int
    floor: Spread
    assess: Spread
    sends_per_event: float
    memory_mb: float

    @property
    def ratio(self) -> Spread:
        return Spread.of(ours / least for ours, least in zip(self.assess.values, self.floor.values, strict=True))


def measure(ground: Ground, subjects: int, count: int, repeats: int) -> AssessFigures:
    """`repeats` times: a worker, and then a bare agent, each through `count` fixes of the subjects' tags."""
    ours, floors, memory, sends = [], [], 0.0, 0.0
    for number in range(repeats):
        settings = ground.settings(f"assess-{subjects}-{number}")
        load_orders(ground, settings, subjects)
        before = _written(settings)
        asyncio.run(put(settings, subjects, count))
        with ground.running(settings, "worker", "--name", "bench") as worker:
            ours.append(rate(worker, ASSESSED, count, ground)[0])
            memory = max(memory, worker.memory_mb)
            ground.until(lambda: not _left(settings), "all is committed", worker)  # noqa: B023 - called at once
        written = {name: _minus(now, before[name]) for name, now in _written(settings).items()}
        row, bare_sends = written.pop(_ROWS), [w for w in written.values() if w.messages]
        sends = sum(w.messages for w in bare_sends) / count + row.messages / count

        bare = ground.settings(f"bare-{subjects}-{number}")
        asyncio.run(put(bare, subjects, count))
        arguments = [str(row.size), orjson.dumps([[w.messages / count, w.size] for w in bare_sends]).decode()]
        program = (sys.executable, "-m", bare_agent.__name__)
        with ground.running(bare, "bare", *arguments, program=program) as agent:
            floors.append(rate(agent, bare_agent.COUNTED, count, ground)[0])
        ground.say(f"assess: {number + 1} of {repeats}: {ours[-1]:,.0f} of {floors[-1]:,.0f} events a second")
    return AssessFigures(subjects, Spread.of(floors), Spread.of(ours), sends, memory)


def load_orders(ground: Ground, settings: Settings, subjects: int, zones: int = 1) -> None:
    """Orders on so many subjects, assessed and committed."""
    made = datetime.now(UTC) - timedelta(days=30)
    values = [(None, order(number, made, zones)) for number in range(subjects)]
    asyncio.run(send(settings, "orders", values))
    with ground.running(settings, "worker", "--name", "bench") as worker:
        ground.until(lambda: worker.total(ASSESSED) >= subjects, "the orders are assessed", worker)
        ground.until(lambda: not _left(settings), "the orders are committed", worker)


async def put(settings: Settings, subjects: int, count: int) -> None:
    """Fixes, as ingest puts them into `subject-events`."""
    now, values = datetime.now(UTC), []
    for offset, (number, value) in enumerate(fixes(subjects, count, now, seed=subjects)):
        arrival = Arrival(
            topic="sightings", partition=0, offset=offset, appended_at=now, sha256=hashlib.sha256(value).hexdigest()
        )
        subject = subject_name(number)
        routing = Target(subject, match="tag").routing(arrival)
        values.append((subject.encode(), encode_subject_event(subject, routing, value)))
    decode("sightings", value)
    await send(settings, "subject-events", values)


async def send(settings: Settings, topic: str, values: Iterable[tuple[bytes | None, bytes]]) -> None:
    producer = AIOKafkaProducer(
        **cluster_of(settings).options(), linger_ms=20, max_batch_size=2**19, max_request_size=MAX_REQUEST_BYTES
    )
    await producer.start()
    try:
        for key, value in values:
            await producer.send(full_name(settings, topic), value, key=key)
        await producer.flush()
    finally:
        await producer.stop()


@dataclass(frozen=True)
class _Written:
    messages: int
    bytes: int

    @property
    def size(self) -> int:
        """Bytes of one message, on average."""
        return self.bytes // max(1, self.messages)


def _minus(now: _Written, before: _Written) -> _Written:
    return _Written(now.messages - before.messages, now.bytes - before.bytes)


def _written(settings: Settings) -> dict[str, _Written]:
    found = {}
    for name in _SENT:
        sizes = [len(r.value or b"") for r in read_all(cluster_of(settings), full_name(settings, name))]
        found[name] = _Written(len(sizes), sum(sizes))
    return found


def _left(settings: Settings) -> int:
    """Messages that the workers' group has not committed yet."""
    names = [topic.name for topic in TOPICS if topic.direction == "inbound" and topic.name != "anpr-reads"]
    with connect(cluster_of(settings)) as client:
        until = ends(client, [full_name(settings, name) for name in (*names, "subject-events")])
        return sum(uncommitted(client, f"{settings.topic_prefix}breachwatch", until).values())
