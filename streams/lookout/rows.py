"""How many orders are live, and what is silent, from the changelog of rows read whole and followed."""

import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any

import structlog
from aiokafka import TopicPartition
from pydantic import ValidationError

from streams import metrics
from streams.broker_clock import BrokerClock
from streams.core import census
from streams.kafka.cluster import Cluster
from streams.lookout.reading import follow

ROWS = "breachwatch-subjects-changelog"
# 200,000 rows are added up in a tenth of a second.
_COUNT_EVERY_S = 10.0

log = structlog.get_logger()


class Rows:
    """The gauges of what is counted from rows."""

    def __init__(self, cluster: Cluster, partitions: list[TopicPartition], clock: BrokerClock) -> None:
        self._cluster, self._partitions, self._clock = cluster, partitions, clock

    async def looks(self) -> AsyncGenerator[None]:
        rows: dict[bytes, census.Counted] = {}
        counted_at = float("-inf")

        def take(message: Any) -> None:
            self._clock.heard(message.timestamp / 1000)
            rows.pop(message.key, None)
            if message.value is None:
                return
            try:
                rows[message.key] = census.count(message.value)
            except ValidationError:
                metrics.UNREADABLE.labels(ROWS).inc()
                log.error("row_unreadable", partition=message.partition, offset=message.offset)

        async with aclosing(follow(self._cluster, self._partitions, take)) as looks:
            async for _ in looks:
                if time.monotonic() - counted_at >= _COUNT_EVERY_S:
                    counted_at = time.monotonic()
                    self._show(census.total(rows.values(), datetime.fromtimestamp(self._clock.now(), tz=UTC)))
                yield

    def _show(self, found: census.Census) -> None:
        for kind in census.KINDS:
            metrics.LIVE_ORDERS.labels(kind).set(found.live_orders[kind])
        metrics.SOURCES_SILENT.set(found.silent_sources)
        metrics.DEVICES_SILENT.set(found.silent_devices)
