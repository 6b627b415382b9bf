"""Clients of the lookout: without a group, so that nothing is committed and nobody else's reading is disturbed."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.errors import BreachwatchError
from streams.kafka.cluster import Cluster
from streams.kafka.topics import MAX_REQUEST_BYTES

EVERY_S = 1.0
"""Between two looks."""
LOOK_S = 20.0
"""What a look may take: 48 partitions of 10 topics take a tenth of a second."""
_REQUEST_MS = 10_000
_AT_A_TIME = 1000


class LogIsShorterError(BreachwatchError):
    """What was read of a topic is not in it any more."""


@asynccontextmanager
async def consumer(cluster: Cluster, **options: Any) -> AsyncIterator[AIOKafkaConsumer]:
    """A started consumer of nothing yet."""
    client = AIOKafkaConsumer(
        **cluster.options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        request_timeout_ms=_REQUEST_MS,
        **options,
    )
    try:
        await client.start()
        yield client
    finally:
        # While a broker is away, aiokafka 0.14 lets the cancellation of its own fetches out of `stop`, before it has
        # closed its connections: in a task of its own it does not look as if we were cancelled.
        await asyncio.wait([asyncio.create_task(client.stop())])
        await client._client.close()


@asynccontextmanager
async def admin(cluster: Cluster) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started client for administration."""
    client = AIOKafkaAdminClient(**cluster.options(), request_timeout_ms=_REQUEST_MS)
    try:
        await client.start()
        yield client
    finally:
        await client.close()


async def follow(
    cluster: Cluster, partitions: list[TopicPartition], take: Callable[[Any], None]
) -> AsyncGenerator[dict[TopicPartition, int]]:
    """Hand every message of a topic to `take`, from its first on, and then those that come.

    Yields, with the first offset of each partition, whenever all that the topic had a moment ago is taken: at first
    when it is read whole, then every second. Raises TimeoutError where the brokers give nothing of what there is,
    and LogIsShorterError; who follows it again begins with nothing.
    """
    taken = dict.fromkeys(partitions, 0)
    async with consumer(cluster, fetch_max_wait_ms=500, max_partition_fetch_bytes=MAX_REQUEST_BYTES) as client:
        client.assign(partitions)
        await client.seek_to_beginning()
        while True:
            ends = await client.end_offsets(partitions)
            if any(end < taken[tp] for tp, end in ends.items()):
                raise LogIsShorterError("the topic is shorter than it was: restored from a back-up, or made anew")
            async with asyncio.timeout(LOOK_S) as limit:
                while [tp for tp in partitions if await client.position(tp) < ends[tp]]:
                    for tp, messages in (await client.getmany(timeout_ms=1000, max_records=_AT_A_TIME)).items():
                        limit.reschedule(asyncio.get_running_loop().time() + LOOK_S)
                        for message in messages:
                            take(message)
                        taken[tp] = messages[-1].offset + 1
            yield await client.beginning_offsets(partitions)
            await asyncio.sleep(EVERY_S)
