"""Bare hops, the floor of latency: `python -m streams.bench.relay TOPIC TOPIC ...`, until SIGTERM.

What comes in on a topic is sent on to the next, by aiokafka alone, acknowledged by all as everywhere here.
"""

import asyncio
import signal
import sys
from itertools import pairwise

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.kafka.admin import cluster_of
from streams.kafka.cluster import Cluster
from streams.settings import Settings


async def hop(cluster: Cluster, source: str, target: str) -> None:
    producer = AIOKafkaProducer(**cluster.options(), acks="all", enable_idempotence=True)
    consumer = AIOKafkaConsumer(
        source,
        **cluster.options(),
        group_id=f"relay-{source}",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=10,
    )
    await producer.start()
    await consumer.start()
    try:
        async for message in consumer:
            await producer.send(target, message.value, key=message.key)
    finally:
        await consumer.stop()
        await producer.stop()


async def main(topics: list[str]) -> None:
    cluster, stopping = cluster_of(Settings()), asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    hops = [asyncio.create_task(hop(cluster, source, target)) for source, target in pairwise(topics)]
    await asyncio.wait([*hops, asyncio.create_task(stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
    for each in hops:
        each.cancel()
    await asyncio.gather(*hops, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
