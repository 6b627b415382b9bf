"""The national feed behind a measurement: `python -m streams.bench.background READS_A_SECOND`, until SIGTERM.

Reads of cars on no order, in a steady stream: what is late is made up for.
"""

import asyncio
import signal
import sys
import time
from random import Random

from aiokafka import AIOKafkaProducer

from streams.bench.reads import reads
from streams.kafka.admin import cluster_of
from streams.kafka.topics import full_name
from streams.settings import Settings

_TICK_S = 0.01
_DIFFERENT = 20_000


async def feed(settings: Settings, rate: float, stopping: asyncio.Event) -> None:
    values = list(reads(_DIFFERENT, [], 0.0, Random(1)))  # noqa: S311 - invented plates
    topic = full_name(settings, "anpr-reads")
    producer = AIOKafkaProducer(**cluster_of(settings).options(), linger_ms=5, max_batch_size=2**17)
    await producer.start()
    try:
        began, sent = time.monotonic(), 0
        while not stopping.is_set():
            due = int((time.monotonic() - began) * rate)
            while sent < due:
                await producer.send(topic, values[sent % _DIFFERENT])
                sent += 1
            await asyncio.sleep(_TICK_S)
    finally:
        await producer.stop()


async def main(rate: float) -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await feed(Settings(), rate, stopping)


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1])))
