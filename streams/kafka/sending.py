"""Sending from commands: acknowledged by all replicas, idempotent, with errors that are for people."""

import logging
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
# By how much the client may be late in saying that a send has failed.
_LATE_S = 5.0
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


def producer(cluster: Cluster) -> KafkaProducer:
    """A producer as every sender of ours is: acknowledged by all replicas, idempotent, and done in SEND_TIMEOUT_S."""
    return KafkaProducer(
        **cluster.options(),
        acks="all",
        enable_idempotence=True,
        max_request_size=MAX_REQUEST_BYTES,
        delivery_timeout_ms=int(SEND_TIMEOUT_S * 1000),
        request_timeout_ms=15_000,
        linger_ms=5,
    )


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
    cluster: Cluster, messages: Iterable[Outgoing], progress: Callable[[int], None] = lambda _: None
) -> list[Sent]:
    """Send each message and wait for every acknowledgement, in order.

    `progress` is told how many are acknowledged. Raises BreachwatchError that says how many were acknowledged
    before the first that was not.
    """
    with connect(cluster):
        pass
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    client = producer(cluster)
    outgoing, sent = list(messages), list[Sent]()
    try:
        pending = [client.send(m.topic, key=m.key, value=m.value, headers=list(m.headers)) for m in outgoing]
        # Without a limit it may wait for ever: after brokers were gone an idempotent producer of kafka-python 3.0 can
        # leave a send open past its delivery timeout.
        client.flush(timeout=SEND_TIMEOUT_S + _LATE_S)
        for future in pending:
            placed = future.get(timeout=SEND_TIMEOUT_S)
            sent.append(Sent(placed.partition, placed.offset))
            if len(sent) % 500 == 0 or len(sent) == len(pending):
                progress(len(sent))
    except MessageSizeTooLargeError:
        raise BreachwatchError(
            f"{len(sent)} messages were acknowledged; the next is larger than the topic takes"
        ) from None
    except TopicAuthorizationFailedError:
        raise may_not(cluster, f"write to {outgoing[len(sent)].topic}") from None
    except KafkaError as error:
        raise BreachwatchError(
            f"{len(sent)} messages were acknowledged; then {type(error).__name__}: send the rest again, ids make "
            "repeats harmless"
        ) from None
    finally:
        close(client)
    return sent
