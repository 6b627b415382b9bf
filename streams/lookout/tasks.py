"""Which arrest tasks wait, from `arrest-tasks` read whole and followed; no exercises."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import TopicPartition

from streams import metrics
from streams.broker_clock import BrokerClock
from streams.core.open_tasks import OpenTasks, UnreadableTaskError
from streams.core.policy import Policy
from streams.kafka.cluster import Cluster
from streams.lookout.reading import follow

log = structlog.get_logger()


class Tasks:
    """The gauges of tasks, kept as the topic says."""

    def __init__(
        self, cluster: Cluster, partitions: list[TopicPartition], policy: Policy, clock: BrokerClock
    ) -> None:
        self._cluster, self._partitions, self._policy, self._clock = cluster, partitions, policy, clock

    async def looks(self) -> AsyncGenerator[None]:
        tasks = OpenTasks(self._policy)

        def take(message: Any) -> None:
            self._clock.heard(message.timestamp / 1000)
            try:
                tasks.take(message.key, message.value)
            except UnreadableTaskError as error:
                metrics.UNREADABLE.labels("arrest-tasks").inc()
                log.error("task_unreadable", partition=message.partition, offset=message.offset, detail=str(error))

        async with aclosing(follow(self._cluster, self._partitions, take)) as looks:
            async for _ in looks:
                self._show(tasks)
                yield

    def _show(self, tasks: OpenTasks) -> None:
        now = datetime.fromtimestamp(self._clock.now(), tz=UTC)
        waiting = tasks.waiting(now)
        for labels, count in waiting.tasks.items():
            metrics.OPEN_TASKS.labels(*labels).set(count)
        for grade, opened_at in waiting.oldest_open.items():
            age = 0.0 if opened_at is None else max(0.0, (now - opened_at).total_seconds())
            metrics.OLDEST_UNACKNOWLEDGED.labels(grade).set(age)
        for grade, count in waiting.overdue.items():
            metrics.TASKS_OVERDUE.labels(grade).set(count)
