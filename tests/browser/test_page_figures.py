"""How soon a breach is on the screen, beside the floor of the same run; and how much the page weighs."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import orjson
from harness import eventually, order, report
from kafka import KafkaConsumer, TopicPartition
from listener import token

from streams.bench.latency import Percentiles
from streams.kafka.topics import full_name
from streams.settings import Settings

BREACHES = 60
MOST_P99_MS = 2000
MOST_OVER_FLOOR_MS = 500
"""What the board, the stream and the page may add to the time to the task itself, at the median."""
MOST_PAGE_BYTES = 150_000

# When each name is on the screen: what is in the document when a frame has been drawn is.
WATCH = """() => {
  window.shown = {};
  const look = () => {
    for (const who of document.querySelectorAll(".who")) window.shown[who.textContent] ??= Date.now();
  };
  const watch = new MutationObserver(() => requestAnimationFrame(() => setTimeout(look)));
  watch.observe(document.getElementById("rows"), { childList: true, subtree: true, characterData: true });
}"""


@contextmanager
def bare_reader(settings: Settings) -> Iterator[KafkaConsumer]:
    """The floor: a reader that only takes each arrest task, from now on."""
    consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap_servers, group_id=None, fetch_max_wait_ms=10)
    topic = full_name(settings, "arrest-tasks")
    partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)
    try:
        yield consumer
    finally:
        consumer.close()


def seen_at(reader: KafkaConsumer, subject: str) -> float:
    found: list[float] = []

    def is_there() -> bool:
        for records in reader.poll(timeout_ms=1000).values():
            found.extend(time.time() for each in records if orjson.loads(each.value)["subject_id"] == subject)
        return bool(found)

    eventually(is_there, f"a task for {subject}")
    return found[0]


def test_from_publish_to_pixel(room: Any, page_of: Any) -> None:
    force = "Force of Haste"
    subjects = [f"Z{number}" for number in range(BREACHES + 1)]
    room.pipeline.publish("orders", *(order(subject, owning_force=force) for subject in subjects))
    room.pipeline.drained()
    page = page_of(token("controller", force))
    page.evaluate(WATCH)
    floor: list[float] = []
    took: list[float] = []
    with bare_reader(room.settings) as reader:
        for subject in subjects:
            began = time.time()
            room.pipeline.publish("breach-reports", report(f"O-{subject}"))
            floor.append(seen_at(reader, subject) - began)
            name = f"Respondent {subject}"
            page.wait_for_function("(name) => name in window.shown", arg=name)
            took.append(page.evaluate("(name) => window.shown[name]", name) / 1000 - began)
    # The first finds everything cold: it belongs to no shift.
    ours, bare = Percentiles.of(took[1:]), Percentiles.of(floor[1:])
    print(f"publish to pixel, {BREACHES} breaches: {ours}; to a bare reader of the task: {bare}")
    assert ours.p99 < MOST_P99_MS
    assert ours.p50 - bare.p50 < MOST_OVER_FLOOR_MS


def test_what_the_page_weighs(page_of: Any) -> None:
    page = page_of()
    sizes = page.evaluate(
        """() => performance.getEntries()
          .filter((e) => e.transferSize && !e.name.includes("/api/"))
          .map((e) => [new URL(e.name).pathname, e.transferSize])"""
    )
    total = sum(size for _, size in sizes)
    print(f"the page: {len(sizes)} files, {total:,} bytes transferred")
    assert len(sizes) > 10
    assert total < MOST_PAGE_BYTES
