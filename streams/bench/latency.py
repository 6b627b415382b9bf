"""From an event that the broker has acknowledged to its task in a reader's hands, against bare hops beside it.

A breach report takes two hops: ingest reads it and sends a subject event, assess reads that and sends a task. The
floor is a process that does two hops with aiokafka and nothing else. Both are sent one event after the other in turn,
on the same broker, behind the same stream of plate reads.
"""

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.bench import background, relay
from streams.bench.assess import load_orders
from streams.bench.events import report
from streams.bench.gate import JUDGED
from streams.bench.ground import Ground
from streams.errors import BreachwatchError
from streams.kafka.admin import cluster_of
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.settings import Settings

_EVERY_S = 0.1
_WITHIN_S = 60.0
WARM_UP = 10


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Percentiles":
        hundredths = statistics.quantiles(seconds, n=100, method="inclusive")
        return cls(*(1000 * hundredths[number - 1] for number in (50, 95, 99)))

    def __str__(self) -> str:
        return f"p50 {self.p50:.1f}, p95 {self.p95:.1f}, p99 {self.p99:.1f} ms"


@dataclass(frozen=True)
class LatencyFigures:
    """At so many plate reads a second behind it."""

    rate: int
    ours: Percentiles
    floor: Percentiles
    stages_ms: dict[str, float]
    """Where the time goes, on average: from append to append, as the broker stamps them, and to the reader."""

    @property
    def ratio(self) -> float:
        """Of the 99th percentiles."""
        return self.ours.p99 / self.floor.p99


def measure(ground: Ground, rate: int, count: int) -> LatencyFigures:
    """`count` reports and as many messages over bare hops, behind `rate` reads a second."""
    settings = ground.settings(f"latency-{rate}")
    load_orders(ground, settings, count + WARM_UP)
    ours, floors, read_at = _beside(ground, settings, rate, count)
    found = LatencyFigures(rate, Percentiles.of(ours), Percentiles.of(floors), _stages(settings, read_at))
    ground.say(f"latency: {rate:,} reads a second: {found.ours}; bare hops {found.floor}")
    return found


def beside_reads(ground: Ground, settings: Settings, rate: int, count: int) -> Percentiles:
    """Of `count` reports on orders that are known, behind `rate` reads a second."""
    return Percentiles.of(_beside(ground, settings, rate, count)[0])


def _beside(
    ground: Ground, settings: Settings, rate: int, count: int
) -> tuple[list[float], list[float], dict[str, float]]:
    with ExitStack() as stack:
        worker = stack.enter_context(ground.running(settings, "worker", "--name", "bench"))
        gate = stack.enter_context(ground.running(settings, "gate"))
        ground.until(lambda: worker.ready and gate.ready, "worker and gate are ready", worker, gate)
        topics = stack.enter_context(hops(ground, settings, str(rate)))
        if rate:
            program = (sys.executable, "-m", background.__name__)
            stack.enter_context(ground.running(settings, str(rate), program=program))
            ground.until(lambda: gate.total(JUDGED) > 3 * rate, "plate reads go by", worker, gate)
        return asyncio.run(in_turn(settings, topics, count))


@contextmanager
def hops(ground: Ground, settings: Settings, name: str) -> Iterator[list[str]]:
    """The bare hops are run, along these topics, until the block ends."""
    bare = ground.settings(f"hops-{settings.topic_prefix}{name}")
    topics = [full_name(bare, topic) for topic in ("breach-reports", "subject-events", "arrest-tasks")]
    with ground.running(bare, *topics, program=(sys.executable, "-m", relay.__name__)):
        yield topics


async def in_turn(
    settings: Settings, topics: list[str], count: int
) -> tuple[list[float], list[float], dict[str, float]]:
    """Reports and bare messages, one after the other: seconds of each report, seconds of each bare message, and when
    (seconds since 1970) the task of which event was read.

    The worker runs, and the relay along `topics` too.
    """
    options = cluster_of(settings).options()
    tasks = full_name(settings, "arrest-tasks")
    reader = AIOKafkaConsumer(tasks, topics[-1], **options, auto_offset_reset="latest", fetch_max_wait_ms=10)
    producer = AIOKafkaProducer(**options, acks="all")
    await reader.start()
    await producer.start()
    arrived: dict[str, asyncio.Future[float]] = {}
    read_at: dict[str, float] = {}

    async def read() -> None:
        async for message in reader:
            now = time.monotonic()
            body = orjson.loads(message.value)
            name = _reported_by(body) if message.topic == tasks else body["id"]
            if name in arrived and not arrived[name].done():
                arrived[name].set_result(now)
                read_at[name] = time.time()

    async def one(topic: str, name: str, value: bytes) -> float:
        arrived[name] = asyncio.get_running_loop().create_future()
        await producer.send_and_wait(topic, value, key=name.encode())
        acknowledged = time.monotonic()
        came = await asyncio.wait_for(arrived[name], _WITHIN_S)
        return max(0.0, came - acknowledged)

    ours, floors = [], []
    reading = asyncio.create_task(read())
    try:
        await reader.seek_to_end()
        for number in range(count + WARM_UP):
            value = report(number, f"report-{number}", datetime.now(UTC))
            ours.append(await one(full_name(settings, "breach-reports"), f"report-{number}", value))
            await asyncio.sleep(_EVERY_S / 2)
            bare = orjson.dumps({"id": f"bare-{number}", "padding": "x" * len(value)})
            floors.append(await one(topics[0], f"bare-{number}", bare))
            await asyncio.sleep(_EVERY_S / 2)
    except TimeoutError:
        if reading.done():
            raise RuntimeError("reading tasks ended") from reading.exception()
        raise BreachwatchError(f"no answer to event {number} within {_WITHIN_S:g} s") from None
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        await reader.stop()
        await producer.stop()
    return ours[WARM_UP:], floors[WARM_UP:], read_at


def _reported_by(task: Any) -> str:
    """The id of the report that opened a task."""
    return str(task["breaches"][0]["evidence"][0]["event_id"]).split("#")[1]


def _stages(settings: Settings, read_at: dict[str, float]) -> dict[str, float]:
    """Milliseconds from append to append, on average over the events."""
    cluster, at = cluster_of(settings), dict[str, list[float]]()
    named: dict[str, Callable[[Any], str]] = {
        "breach-reports": lambda body: body["id"],
        "subject-events": lambda body: body["event"]["id"],
        "arrest-tasks": _reported_by,
    }
    for topic, name_of in named.items():
        for record in read_all(cluster, full_name(settings, topic)):
            at.setdefault(name_of(orjson.loads(record.value)), []).append(record.timestamp)
    whole = [[*times[:3], 1000 * read_at[name]] for name, times in at.items() if name in read_at and len(times) >= 3]
    names = ("to subject-events", "to arrest-tasks", "to the reader")
    return {
        name: statistics.fmean(times[number + 1] - times[number] for times in whole)
        for number, name in enumerate(names)
    }
