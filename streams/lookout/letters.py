"""Which dead letters wait for somebody, from `dead-letters` read whole and followed."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from aiokafka import TopicPartition

from streams import metrics
from streams.broker_clock import BrokerClock
from streams.core.waiting_letters import REASONS, Place, WaitingLetters
from streams.kafka.cluster import Cluster
from streams.lookout.reading import follow


class DeadLetters:
    """The gauges of dead letters, kept as the topic says."""

    def __init__(self, cluster: Cluster, partitions: list[TopicPartition], clock: BrokerClock) -> None:
        self._cluster, self._partitions, self._clock = cluster, partitions, clock

    async def looks(self) -> AsyncGenerator[None]:
        letters, kept_from = WaitingLetters(), dict[TopicPartition, int]()

        def take(message: Any) -> None:
            at = message.timestamp / 1000
            self._clock.heard(at)
            letters.take(message.key, message.headers, Place(message.partition, message.offset), at)

        async with aclosing(follow(self._cluster, self._partitions, take)) as looks:
            async for begins in looks:
                if begins != kept_from:
                    kept_from = begins
                    letters.forget({tp.partition: begin for tp, begin in begins.items()})
                self._show(letters)
                yield

    def _show(self, letters: WaitingLetters) -> None:
        waiting, now = letters.waiting(), self._clock.now()
        for reason in REASONS:
            metrics.DEAD_LETTERS_WAITING.labels(reason).set(waiting.counts[reason])
            age = max(0.0, now - waiting.since[reason]) if reason in waiting.since else 0.0
            metrics.OLDEST_DEAD_LETTER.labels(reason).set(age)
