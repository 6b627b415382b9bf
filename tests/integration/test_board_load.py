"""A busy night at the board: 500 open tasks, 50 changes a second, 50 clients of the stream; real Kafka, real server.

Printed is the time from the send of a change to its event at a client, beside the floor of the same run: the time to
a bare reader of the topic.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx
import orjson
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from busy_night import RATE, TASKS, revised
from harness import Pipeline, eventually
from listener import bearer, board_settings, is_ready, token

from streams.bench.latency import Percentiles
from streams.kafka.admin import cluster_of
from streams.kafka.topics import full_name
from streams.settings import Settings

CLIENTS, SECONDS = 50, 20
# What a change adds that nobody has taken yet, in the ring: 1,000 changes of some 2 KB, and what each client has.
MOST_GROWTH_MB = 60
MOST_P99_MS = 1000


@pytest.fixture
def settings(pipeline_settings: Settings, tmp_path: Path) -> Settings:
    return board_settings(pipeline_settings, tmp_path)


async def listens(settings: Settings, took: list[float], counts: list[int], ready: asyncio.Event) -> None:
    """A client of the stream by a bare socket: what it takes to parse is not what is measured."""
    reader, writer = await asyncio.open_connection("127.0.0.1", settings.board_port, limit=1 << 22)
    asked = f"GET /api/v1/stream HTTP/1.1\r\nHost: board\r\nAuthorization: Bearer {token()}\r\n\r\n"
    writer.write(asked.encode())
    number = len(counts)
    counts.append(0)
    try:
        while line := await reader.readline():
            if line.startswith(b"event: start"):
                ready.set()
            elif line.startswith(b'data: {"task_id"'):
                now = datetime.now(UTC)
                counts[number] += 1
                sent = datetime.fromisoformat(orjson.loads(line[6:])["updated_at"])
                took.append((now - sent).total_seconds())
    finally:
        writer.close()


async def reads(settings: Settings, took: list[float], ready: asyncio.Event) -> None:
    """The floor: a reader that only takes each message."""
    consumer = AIOKafkaConsumer(
        full_name(settings, "arrest-tasks"), **cluster_of(settings).options(), fetch_max_wait_ms=10
    )
    await consumer.start()
    try:
        await consumer.seek_to_end()
        ready.set()
        async for message in consumer:
            now = datetime.now(UTC)
            took.append((now - datetime.fromisoformat(orjson.loads(message.value)["updated_at"])).total_seconds())
    finally:
        await consumer.stop()


@asynccontextmanager
async def producing(settings: Settings) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**cluster_of(settings).options(), acks="all", enable_idempotence=True)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def busy_night(settings: Settings, board: psutil.Process) -> tuple[list[float], list[float], list[int], float]:
    took: list[float] = []
    floor: list[float] = []
    counts: list[int] = []
    topic = full_name(settings, "arrest-tasks")
    async with producing(settings) as producer:
        ready = [asyncio.Event() for _ in range(CLIENTS + 1)]
        listeners = [asyncio.create_task(listens(settings, took, counts, event)) for event in ready[1:]]
        listeners.append(asyncio.create_task(reads(settings, floor, ready[0])))
        async with asyncio.timeout(60):
            await asyncio.gather(*(event.wait() for event in ready))
        before = board.memory_info().rss
        began = time.monotonic()
        for number in range(RATE * SECONDS):
            await asyncio.sleep(max(0.0, began + number / RATE - time.monotonic()))
            key, value = revised(number % TASKS, 2 + number // TASKS)
            await producer.send(topic, value, key=key)
        async with asyncio.timeout(60):
            while min(counts) < RATE * SECONDS:  # noqa: ASYNC110 - fifty counters, and no event of their own
                await asyncio.sleep(0.05)
        grown = (board.memory_info().rss - before) / 1e6
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)
    return took, floor, counts, grown


def test_fifty_clients_have_fifty_changes_a_second_of_five_hundred_tasks(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipeline = Pipeline(settings, tmp_path / "logs")
    try:
        for number in range(TASKS):
            key, value = revised(number, 1)
            pipeline.send("arrest-tasks", value, key)
        pipeline.publish("arrest-tasks", revised(0, 1)[1], key=revised(0, 1)[0])
        process = pipeline.run("board", settings=settings)
        eventually(lambda: is_ready(settings), "the board is ready")
        assert process._popen is not None
        board = psutil.Process(process._popen.pid)
        took, floor, counts, grown = asyncio.run(busy_night(settings, board))
        began = time.perf_counter()
        listed = httpx.get(
            f"http://127.0.0.1:{settings.board_port}/api/v1/tasks?limit=500", headers=bearer(token()), timeout=30
        )
        list_ms = 1000 * (time.perf_counter() - began)
        whole = board.memory_info().rss / 1e6
        process.stop()
    finally:
        pipeline.close()
    ours, bare = Percentiles.of(took), Percentiles.of(floor)
    with capsys.disabled():
        print(f"\n{CLIENTS} clients, {RATE} changes a second of {TASKS} tasks for {SECONDS} s: to a client {ours}")
        print(f"to a bare reader of the topic: {bare}; the board grew by {grown:.1f} to {whole:.0f} MB")
        print(f"a list of {TASKS}: {len(listed.content):,} bytes in {list_ms:.0f} ms")
    assert listed.json()["total"] == TASKS
    assert counts == [RATE * SECONDS] * CLIENTS, "nothing is lost, and nothing comes twice"
    assert grown < MOST_GROWTH_MB
    assert ours.p99 < MOST_P99_MS
