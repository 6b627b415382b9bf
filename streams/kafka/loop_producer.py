"""The producer of processes that run an event loop."""

from aiokafka import AIOKafkaProducer

from streams.kafka.admin import cluster_of
from streams.kafka.topics import MAX_REQUEST_BYTES
from streams.settings import Settings


def loop_producer(settings: Settings) -> AIOKafkaProducer:
    """As every sender of ours is: acknowledged by all replicas, and idempotent. To be made in the loop, and started
    there."""
    return AIOKafkaProducer(
        **cluster_of(settings).options(),
        acks="all",
        enable_idempotence=True,
        max_request_size=MAX_REQUEST_BYTES,
        request_timeout_ms=int(settings.send_timeout_s * 1000),
    )
