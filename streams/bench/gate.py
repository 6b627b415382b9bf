"""The gate against its floor: aiokafka's `getmany`, orjson, and one look-up in a dictionary.

Both are measured in reads for each second of processor time of the whole process, all its threads included, since
that is what a machine runs out of; both read the same topic on the same broker in the same run.
"""

import asyncio
import time
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.bench.ground import Ground, Speed, Spread, rate, send
from streams.bench.reads import identifiers, reads
from streams.core.identity import identifier_key
from streams.core.plates import bare
from streams.errors import BreachwatchError
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.topics import MAX_REQUEST_BYTES, full_name
from streams.settings import Settings

SHARE_KNOWN = 0.0005
"""Of reads, those that go on: about what a national feed has for 50,000 orders."""
JUDGED = "breachwatch_gate_reads_total"


@dataclass(frozen=True)
class GateFigures:
    """Reads a second of processor time."""

    orders: int
    speed: Speed
    memory_mb: float
    """With all reads remembered, which are more than a gate ever has."""


def measure(ground: Ground, orders: int, count: int, repeats: int) -> GateFigures:
    """`repeats` times over the same `count` reads: the floor, then a gate that starts at the beginning."""
    # With fewer remembered it would wait in the middle, until the orders of the time since its start are known.
    settings = ground.settings(f"gate-{orders}").model_copy(update={"gate_lookback_reads": count + 1})
    ground.say(f"gate: putting {2 * orders:,} identifiers and {count:,} reads into topics")
    known = asyncio.run(fill(settings, orders, count, seed=orders))
    floors, gates, memory = [], [], 0.0
    for number in range(repeats):
        floors.append(asyncio.run(floor(settings, known, count, settings.gate_batch)))
        with ground.running(settings, "gate") as process:
            gates.append(rate(process, JUDGED, count, ground)[1])
            memory = max(memory, process.memory_mb)
        forget(settings)
        ground.say(f"gate: {number + 1} of {repeats}: {gates[-1]:,.0f} of {floors[-1]:,.0f} reads a second and core")
    return GateFigures(orders, Speed(Spread.of(gates), Spread.of(floors)), memory)


def forget(settings: Settings) -> None:
    """The group's offsets: the next gate starts at the beginning."""
    with connect(cluster_of(settings)) as client:
        group = f"{settings.topic_prefix}breachwatch-gate"
        if (answer := client.delete_groups([group])[group]) not in ("OK", None):
            raise BreachwatchError(f"the offsets of {group} cannot be forgotten: {answer}")


async def fill(settings: Settings, orders: int, count: int, seed: int) -> set[str]:
    """Put identifiers of so many orders, and so many reads, into the topics; the plates that are known."""
    random = Random(seed)  # noqa: S311 - invented plates, nothing secret
    records = list(identifiers(orders, random))
    known = [record.value for record in records]
    named = ((identifier_key(record), record.model_dump_json().encode()) for record in records)
    await send(settings, "identifiers", named)
    await send(settings, "anpr-reads", ((None, value) for value in reads(count, known, SHARE_KNOWN, random)))
    return {bare(plate) for plate in known}


async def floor(settings: Settings, known: set[str], count: int, batch: int) -> float:
    """Reads a second of processor time of the least that a filter in Python must do."""
    lookup: dict[Any, bool] = dict.fromkeys(known, True)
    topic = full_name(settings, "anpr-reads")
    consumer = AIOKafkaConsumer(
        **cluster_of(settings).options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=MAX_REQUEST_BYTES,
    )
    await consumer.start()
    try:
        await consumer._client.add_topic(topic)
        consumer.assign([TopicPartition(topic, n) for n in consumer.partitions_for_topic(topic) or ()])
        await consumer.seek_to_beginning()
        done = matched = 0
        began = time.process_time()
        while done < count:
            for messages in (await consumer.getmany(timeout_ms=200, max_records=batch)).values():
                for message in messages:
                    matched += orjson.loads(message.value)["data"]["vrm"] in lookup
                done += len(messages)
        return done / (time.process_time() - began)
    finally:
        await consumer.stop()
