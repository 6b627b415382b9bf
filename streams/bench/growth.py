"""How the figures change with the number of orders, and of partitions and processes."""

import asyncio
import hashlib
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kafka.partitioner.default import murmur2

from schemas.internal import Arrival, SubjectEvent, encode_subject_event
from schemas.orders import IdentifierRecord
from streams.bench import assess, gate, latency
from streams.bench.events import order, subject_name
from streams.bench.ground import Ground, in_bulk
from streams.core.identity import identifier_key
from streams.core.policy import load_policy
from streams.core.reread import Reread
from streams.core.resolve import Target
from streams.kafka.topics import full_name, topic_specs
from streams.settings import Settings


@dataclass(frozen=True)
class ByOrders:
    """One worker and one gate, with so many orders."""

    orders: int
    rebuild_s: float
    """Until the worker is ready, without a local store."""
    restart_s: float
    """With it."""
    worker_mb: float
    gate_mb: float
    gate_per_core: float
    """Plate reads a second of processor time."""
    ours: latency.Percentiles
    """From report to task, behind 1,000 reads a second."""


@dataclass(frozen=True)
class ByProcesses:
    """So many partitions, each with a worker, on this machine's cores."""

    processes: int
    assessed_per_s: float


def by_orders(ground: Ground, orders: int, reads: int, reports: int) -> ByOrders:
    settings = ground.settings(f"orders-{orders}")
    ground.say(f"growth: {orders:,} orders")
    asyncio.run(fill(settings, orders))
    took = []
    for _ in range(2):
        with ground.running(settings, "worker", "--name", "bench") as worker:
            began = time.monotonic()
            ground.until(lambda: worker.ready, "the worker is ready", worker, within_s=1800)
            took.append(time.monotonic() - began)
            memory = worker.memory_mb
    found = latency.beside_reads(ground, settings, 1000, reports)
    shutil.rmtree(settings.data_dir)
    gates = gate.measure(ground, orders, reads, repeats=1)
    ground.say(
        f"growth: ready after {took[0]:.1f} s, with its store {took[1]:.1f} s; worker {memory:,.0f} MB; {found}"
    )
    return ByOrders(orders, took[0], took[1], memory, gates.memory_mb, gates.speed.ours.median, found)


def by_processes(ground: Ground, processes: int, count: int) -> ByProcesses:
    """Each process has one partition, and all are ready when the fixes come."""
    settings = ground.settings(f"processes-{processes}", partitions=processes)
    asyncio.run(fill(settings, 1000))
    with ExitStack() as stack:
        names = [("worker", "--name", f"bench-{number}") for number in range(processes)]
        workers = [stack.enter_context(ground.running(settings, *name)) for name in names]

        def done() -> float:
            return sum(worker.total(assess.ASSESSED) for worker in workers)

        ground.until(lambda: all(worker.ready for worker in workers), "all are ready", *workers)
        asyncio.run(assess.put(settings, 1000, count))
        ground.until(lambda: all(worker.total(assess.ASSESSED) > 0 for worker in workers), "all begin", *workers)
        began, first = time.monotonic(), done()
        ground.until(lambda: done() >= count, "all fixes are assessed", *workers)
        found = ByProcesses(processes, (count - first) / (time.monotonic() - began))
    ground.say(f"growth: {processes} processes: {found.assessed_per_s:,.0f} events a second together")
    return found


async def fill(settings: Settings, orders: int) -> None:
    """Put the rows and records of so many subjects, and their identifiers, where workers find them.

    The core makes those of one subject; the others are the same under their own names.
    """
    made, name = datetime.now(UTC) - timedelta(days=30), subject_name(0)
    value = order(0, made)
    arrival = Arrival(
        topic="orders", partition=0, offset=0, appended_at=made, sha256=hashlib.sha256(value).hexdigest()
    )
    core = Reread(load_policy(settings.policy_file))
    encoded = encode_subject_event(name, Target(name).routing(arrival), value)
    effects = core.feed(SubjectEvent.read(encoded), made, 0)
    rows = {
        "breachwatch-subjects-changelog": {name.encode(): core.rows[name]},
        "breachwatch-records-changelog": core.records[name],
    }
    partitions = topic_specs(settings)[0].partitions
    async with in_bulk(settings) as producer:
        for number in range(orders):
            subject = subject_name(number).encode()
            partition = murmur2(subject) % 2**31 % partitions
            for topic, kept in rows.items():
                for key, raw in kept.items():
                    mine = _renamed((key, raw), number)
                    await producer.send(full_name(settings, topic), mine[1], key=mine[0], partition=partition)
            for record in _identifiers(effects.identifiers, number):
                raw = record.model_dump_json().encode()
                await producer.send(full_name(settings, "identifiers"), raw, key=identifier_key(record))


def _renamed(texts: Sequence[bytes], number: int) -> list[bytes]:
    """The same with the names of another subject: all names end with the subject's number."""
    return [text.replace(b"-000000", f"-{number:06}".encode()) for text in texts]


def _identifiers(records: Sequence[IdentifierRecord], number: int) -> Iterator[IdentifierRecord]:
    for record in records:
        [raw] = _renamed([record.model_dump_json().encode()], number)
        yield IdentifierRecord.model_validate_json(raw)
