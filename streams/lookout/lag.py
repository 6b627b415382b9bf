"""How far each group of ours is behind, in messages and in seconds, and how many processes it has."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import for_code
from prometheus_client import Gauge

from streams import metrics
from streams.adapters.routes import routes
from streams.broker_clock import BrokerClock
from streams.errors import BreachwatchError
from streams.kafka.access import ADAPTERS, GATES, WORKERS
from streams.kafka.cluster import Cluster
from streams.kafka.topics import INGESTED, full_name, topic_specs
from streams.lookout.reading import EVERY_S, LOOK_S, admin, consumer
from streams.settings import Settings

# Of a partition only its oldest message is wanted, and a broker gives no less than its batch. It gives the first
# partition of an answer whole batches at any size, so that a limit costs more answers and loses nothing.
_FETCH_BYTES = 16_384
Series = dict[tuple[str, ...], float]
"""Labels -> value."""
_STABLE, _DEAD = "Stable", "Dead"
_GROUP_ID_NOT_FOUND = 69


class NotAnsweredError(BreachwatchError):
    """A coordinator did not say how far a group is."""


def readers(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Group -> the topics that it reads, both without prefix."""
    adapters = {f"{ADAPTERS}-{name}": route.reads for name, route in routes(settings, {}).items()}
    return {WORKERS: (*INGESTED, "subject-events"), GATES: ("anpr-reads",), **adapters}


class Lag:
    """Looks at all groups at once; a group of an adapter only once there is one."""

    def __init__(self, settings: Settings, cluster: Cluster, clock: BrokerClock) -> None:
        self._cluster, self._clock = cluster, clock
        self._prefix = settings.topic_prefix
        counts = {spec.name: spec.partitions for spec in topic_specs(settings)}
        self._partitions = {
            group: [
                TopicPartition(full, number)
                for full in (full_name(settings, topic) for topic in topics)
                for number in range(counts[full])
            ]
            for group, topics in readers(settings).items()
        }
        self._all = sorted({tp for partitions in self._partitions.values() for tp in partitions})
        self._appended: dict[tuple[str, TopicPartition], tuple[int, float]] = {}
        gauges = (metrics.LAG_MESSAGES, metrics.LAG_SECONDS, metrics.GROUP_MEMBERS)
        self._shown = {gauge: set[tuple[str, ...]]() for gauge in gauges}

    async def looks(self) -> AsyncGenerator[None]:
        self._appended.clear()
        async with (
            admin(self._cluster) as groups,
            consumer(self._cluster) as offsets,
            consumer(self._cluster, fetch_max_wait_ms=100, max_partition_fetch_bytes=_FETCH_BYTES) as oldest,
        ):
            oldest.assign(self._all)
            oldest.pause(*self._all)
            while True:
                async with asyncio.timeout(LOOK_S):
                    await self._look(groups, offsets, oldest)
                yield
                await asyncio.sleep(EVERY_S)

    async def _look(self, groups: AIOKafkaAdminClient, offsets: AIOKafkaConsumer, oldest: AIOKafkaConsumer) -> None:
        # In this order: what is committed and appended in between must not look like lag.
        begins = await offsets.beginning_offsets(self._all)
        ends = await offsets.end_offsets(self._all)
        members: Series = {}
        messages: Series = {}
        seconds: Series = {}
        for group, partitions in self._partitions.items():
            name = self._prefix + group
            node = await groups.find_coordinator(name)
            there = await _members(groups, node, name)
            if there is None and group not in (WORKERS, GATES):
                continue
            members[(group,)] = there or 0
            committed = await _committed(groups, node, name, partitions)
            # What retention has deleted is no lag: nobody can read it any more.
            starts = {tp: max(begins[tp], committed[tp]) for tp in partitions}
            behind = {tp: start for tp, start in starts.items() if start < ends[tp]}
            appended = await self._appended_at(oldest, group, behind)
            now = self._clock.now()
            for tp in partitions:
                labels = (group, tp.topic.removeprefix(self._prefix), str(tp.partition))
                messages[labels] = ends[tp] - behind[tp] if tp in behind else 0
                seconds[labels] = max(0.0, now - appended[tp]) if tp in behind else 0
        self._show(metrics.GROUP_MEMBERS, members)
        self._show(metrics.LAG_MESSAGES, messages)
        self._show(metrics.LAG_SECONDS, seconds)

    async def _appended_at(
        self, oldest: AIOKafkaConsumer, group: str, behind: Mapping[TopicPartition, int]
    ) -> dict[TopicPartition, float]:
        """When the broker took the first message at or after each offset, seconds since 1970: read once for each."""
        news = {tp: start for tp, start in behind.items() if self._appended.get((group, tp), (-1,))[0] != start}
        for tp, appended in (await _read_first(oldest, news)).items():
            self._clock.heard(appended)
            self._appended[group, tp] = (news[tp], appended)
        return {tp: self._appended[group, tp][1] for tp in behind}

    def _show(self, gauge: Gauge, values: Series) -> None:
        """Exactly these series: a group that is gone must not keep its last figures."""
        for labels, value in values.items():
            gauge.labels(*labels).set(value)
        for labels in self._shown[gauge] - values.keys():
            gauge.remove(*labels)
        self._shown[gauge] = set(values)


async def _read_first(client: AIOKafkaConsumer, starts: Mapping[TopicPartition, int]) -> dict[TopicPartition, float]:
    for tp, start in starts.items():
        client.seek(tp, start)
    client.resume(*starts)
    try:
        return {tp: (await client.getone(tp)).timestamp / 1000 for tp in starts}
    finally:
        client.pause(*starts)


async def _members(groups: AIOKafkaAdminClient, node: int, group: str) -> int | None:
    """Members that have partitions; None where there is no such group. While partitions are given anew it is 0."""
    # One group at a time: aiokafka 0.14 reads the answer for several wrongly.
    [answer] = await groups.describe_consumer_groups([group], group_coordinator_id=node)
    code, _, state, _, _, members = answer.groups[0][:6]
    if code == _GROUP_ID_NOT_FOUND or state == _DEAD:
        return None
    if code:
        raise for_code(code)(f"group {group}")
    return sum(1 for member in members if state == _STABLE and _has_partitions(member[-1]))


def _has_partitions(assignment: bytes) -> bool:
    return bool(assignment) and bool(ConsumerProtocolMemberAssignment.decode(assignment).partitions())


async def _committed(
    groups: AIOKafkaAdminClient, node: int, group: str, partitions: Iterable[TopicPartition]
) -> dict[TopicPartition, int]:
    """-1 where nothing is committed. Raises NotAnsweredError: aiokafka 0.14 passes over the error of a whole answer,
    such as of a coordinator that is still loading, which then looks as if nothing were committed."""
    wanted = list(partitions)
    found: Mapping[TopicPartition, Any] = await groups.list_consumer_group_offsets(group, node, wanted)
    if missing := [tp for tp in wanted if tp not in found]:
        raise NotAnsweredError(f"group {group}: nothing said of {len(missing)} of {len(wanted)} partitions")
    return {tp: found[tp].offset for tp in wanted}
