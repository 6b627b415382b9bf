"""Sending: acknowledged by all replicas, idempotent, with errors that are for people."""

import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass

from kafka import KafkaProducer
from kafka.errors import (
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    TopicAuthorizationFailedError,
)

from streams.errors import BreachwatchError
from streams.kafka.client import connect, may_not
from streams.kafka.cluster import Cluster
from streams.kafka.topics import MAX_REQUEST_BYTES

SEND_TIMEOUT_S = 60.0
LATE_S = 5.0
"""By how much the client may be late in saying that a send has failed: then it is given up without its word, since
after brokers were gone an idempotent producer of kafka-python 3.0 can leave a send open for ever."""
_CLOSE_S = 5.0


@dataclass(frozen=True)
class Outgoing:
    """One message: full topic name, key, value, headers."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True)
class Sent:
    """Where Kafka put a message."""

    partition: int
    offset: int


def producer(cluster: Cluster, timeout_s: float = SEND_TIMEOUT_S) -> KafkaProducer:
    """A producer as every sender of ours is: acknowledged by all replicas, idempotent, and done in `timeout_s`."""
    return KafkaProducer(
        **cluster.options(),
        acks="all",
        enable_idempotence=True,
        max_request_size=MAX_REQUEST_BYTES,
        delivery_timeout_ms=int(timeout_s * 1000),
        max_block_ms=int(timeout_s * 1000),
        request_timeout_ms=min(15_000, int(timeout_s * 500)),
        linger_ms=5,
    )


def opened(cluster: Cluster, timeout_s: float = SEND_TIMEOUT_S) -> KafkaProducer:
    """A producer, as above, of a cluster that answers; `close` it. kafka-python's own log is silent from then on.

    Raises KafkaUnavailableError when no broker answers.
    """
    with connect(cluster):
        return producer(cluster, timeout_s)


def why(error: KafkaError, cluster: Cluster, topic: str) -> str:
    """What the error of a send to `topic` (its full name) means, for people."""
    if isinstance(error, MessageSizeTooLargeError):
        return f"it is larger than {topic} takes"
    if isinstance(error, TopicAuthorizationFailedError):
        return str(may_not(cluster, f"write to {topic}"))
    if isinstance(error, KafkaTimeoutError):
        return f"{cluster} did not acknowledge it in time, or has no topic {topic}"
    return f"{cluster} did not acknowledge it: {type(error).__name__}"


def close(client: KafkaProducer) -> None:
    """Close a producer, also one that cannot get rid of what it has: that is given up, and its thread ends."""
    try:
        client.close(timeout=_CLOSE_S)
    except KafkaTimeoutError:
        # Its `close` waits for all sends first, and leaves the thread running when that takes too long.
        client._sender.force_close()
        client._sender.join(_CLOSE_S)
        with suppress(KafkaTimeoutError):
            client.close(timeout=_CLOSE_S)


def send_all(
    cluster: Cluster,
    messages: Iterable[Outgoing],
    progress: Callable[[int], None] = lambda _: None,
    timeout_s: float = SEND_TIMEOUT_S,
) -> list[Sent]:
    """Send each message and wait for every acknowledgement, in order; one that takes `timeout_s` is given up.

    `progress` is told how many are acknowledged. Raises BreachwatchError that says how many were acknowledged
    before the first that was not.
    """
    client = opened(cluster, timeout_s)
    outgoing, sent = list(messages), list[Sent]()
    try:
        pending = [client.send(m.topic, key=m.key, value=m.value, headers=list(m.headers)) for m in outgoing]
        until = time.monotonic() + timeout_s + LATE_S
        for future in pending:
            placed = future.get(timeout=max(0.0, until - time.monotonic()))
            sent.append(Sent(placed.partition, placed.offset))
            if len(sent) % 500 == 0 or len(sent) == len(pending):
                progress(len(sent))
    except KafkaError as error:
        raise BreachwatchError(
            f"{len(sent)} messages were acknowledged; the next was not: "
            f"{why(error, cluster, outgoing[len(sent)].topic)}. Send the rest again: ids make repeats harmless"
        ) from None
    finally:
        close(client)
    return sent
