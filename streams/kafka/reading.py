"""Reading topics for commands: no group, so that nothing is committed and nobody else's reading is disturbed."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import TopicAuthorizationFailedError

from streams.errors import BreachwatchError
from streams.kafka.client import connect, may_not
from streams.kafka.cluster import Cluster

READ_TIMEOUT_S = 60.0


@contextmanager
def opened(cluster: Cluster, topic: str, fetch_wait_ms: int) -> Iterator[tuple[Any, list[TopicPartition]]]:
    """A consumer of every partition of `topic` (its full name), not yet placed, and those partitions.

    `fetch_wait_ms` is how long a broker may hold a fetch that finds nothing. Raises BreachwatchError when no
    broker answers or the topic is missing.
    """
    with connect(cluster):
        pass
    consumer = KafkaConsumer(
        **cluster.options(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=fetch_wait_ms,
    )
    try:
        numbers = consumer.partitions_for_topic(topic)
        if not numbers:
            # A broker hides a topic from those who have no right on it.
            hidden = f", or {cluster.who} may not read it: see `breachwatch access roles`" if cluster.tls else ""
            raise BreachwatchError(f"{topic} is not in the cluster: see `breachwatch topics plan`{hidden}")
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        yield consumer, partitions
    except TopicAuthorizationFailedError:
        raise may_not(cluster, f"read {topic}") from None
    finally:
        consumer.close()


def read_all(
    cluster: Cluster,
    topic: str,
    timeout_s: float = READ_TIMEOUT_S,
    *,
    partition: int | None = None,
    start: int | None = None,
) -> Iterator[Any]:
    """Each message of `topic` (its full name), partition after partition, up to the ends at the start.

    Of one partition alone, and from an offset on, where that is told. Raises BreachwatchError when no broker
    answers, the topic is missing, or a read stalls for `timeout_s`.
    """
    with opened(cluster, topic, fetch_wait_ms=100) as (consumer, every):
        partitions = [tp for tp in every if partition in (None, tp.partition)]
        consumer.assign(partitions)
        consumer.seek_to_beginning(*partitions)
        if start is not None:
            for tp in partitions:
                consumer.seek(tp, start)
        ends = consumer.end_offsets(partitions)
        left = {tp for tp in partitions if consumer.position(tp) < ends[tp]}
        deadline = time.monotonic() + timeout_s
        while left:
            for batch in consumer.poll(timeout_ms=500).values():
                deadline = time.monotonic() + timeout_s
                yield from batch
            left = {tp for tp in left if consumer.position(tp) < ends[tp]}
            if time.monotonic() > deadline:
                raise BreachwatchError(f"reading {topic} stalled for {timeout_s:g} s")


def newest_messages(messages: Iterable[Any], wanted: Callable[[Any], bool]) -> dict[bytes, Any]:
    """Of a compacted topic the newest message of each key, where that is one that is wanted; no other is kept."""
    found: dict[bytes, Any] = {}
    for message in messages:
        if message.value is not None and wanted(message):
            found[message.key] = message
        else:
            found.pop(message.key, None)
    return found


def newest_values(
    messages: Iterable[Any], later: Callable[[bytes], Any] = lambda _: (0.0, 0)
) -> tuple[dict[bytes, bytes], int]:
    """The newest value of each key of one partition, and the offset that its next message will have.

    Of rows (`later` is their stamp) the one that recovery would keep: a worker that was frozen can send an older one
    after a newer.
    """
    found: dict[bytes, bytes] = {}
    until = 0
    for message in messages:
        until = message.offset + 1
        if message.value is None:
            found.pop(message.key, None)
        elif message.key not in found or _of(later, message.value) >= _of(later, found[message.key]):
            found[message.key] = message.value
    return found, until


def _of(later: Callable[[bytes], Any], value: bytes) -> Any:
    """-1, before everything, where it cannot be said."""
    try:
        return later(value)
    except (ValueError, TypeError, AttributeError):
        return (-1.0, -1)
