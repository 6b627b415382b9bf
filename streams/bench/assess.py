"""The path of an event through assess against its floor: a bare Faust agent with a table, and the same sends.

Both read the same events from a topic on the same broker in the same run, one process each, from the first event that
it has handled to the last.
"""

import asyncio
import hashlib
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import orjson

from schemas.internal import Arrival, encode_subject_event
from streams.bench import bare_agent
from streams.bench.events import fixes, order, subject_name
from streams.bench.ground import Ground, Speed, Spread, rate, send
from streams.core.resolve import Target
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.lag import left_for_workers
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.settings import Settings

ASSESSED = "breachwatch_row_bytes_count"
_ROWS, _RECORDS = "breachwatch-subjects-changelog", "breachwatch-records-changelog"
_SENT = ("identifiers", "arrest-tasks", "alerts", "safeguarding-tasks", "task-answers", "audit", _ROWS, _RECORDS)


@dataclass(frozen=True)
class AssessFigures:
    """Events of one process, a second by the clock."""

    subjects: int
    speed: Speed
    sends_per_event: float
    memory_mb: float


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
    return AssessFigures(subjects, Speed(Spread.of(ours), Spread.of(floors)), sends, memory)


def load_orders(ground: Ground, settings: Settings, subjects: int) -> None:
    """Orders on so many subjects, assessed and committed."""
    made = datetime.now(UTC) - timedelta(days=30)
    values = [(None, order(number, made)) for number in range(subjects)]
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
    await send(settings, "subject-events", values)


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


def _left(settings: Settings) -> bool:
    with connect(cluster_of(settings)) as client:
        return bool(left_for_workers(client, settings))
