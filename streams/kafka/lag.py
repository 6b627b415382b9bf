"""How far groups are behind."""

from collections.abc import Iterable, Mapping
from typing import Any

from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import for_code

from streams.kafka.topics import INGESTED, full_name
from streams.settings import Settings


def ends(client: Any, topics: Iterable[str]) -> dict[TopicPartition, int]:
    """Where each partition of these topics (full names) ends: the offset that its next message will have.

    Raises KafkaError where the broker asked does not know a topic: one that has just started may not yet, and a topic
    without partitions would look as if it were read to its end.
    """
    described = client.describe_topics(list(topics))
    for topic in described:
        if topic["error_code"]:
            raise for_code(topic["error_code"])(topic["name"])
    wanted = {
        TopicPartition(topic["name"], partition["partition_index"]): OffsetSpec.LATEST
        for topic in described
        for partition in topic["partitions"]
    }
    return {tp: found.offset for tp, found in client.list_partition_offsets(wanted).items()}


def committed(client: Any, group: str, topic: str) -> dict[int, int]:
    """Partition of the topic (full name) -> the offset up to which the group has committed it, 0 where it has not."""
    until = ends(client, [topic])
    left = uncommitted(client, group, until)
    return {tp.partition: end - left.get(tp, 0) for tp, end in until.items()}


def left_for_workers(client: Any, settings: Settings) -> dict[TopicPartition, int]:
    """Of all that workers read, the messages that their group has not committed yet, as `uncommitted`."""
    until = ends(client, [full_name(settings, name) for name in (*INGESTED, "subject-events")])
    return uncommitted(client, f"{settings.topic_prefix}breachwatch", until)


def uncommitted(client: Any, group: str, until: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
    """Partition -> messages before `until` that the group has not committed; only partitions that have some."""
    committed = client.list_group_offsets({group: list(until)})[group]
    left = {tp: end - max(0, committed[tp].offset if tp in committed else 0) for tp, end in until.items()}
    return {tp: count for tp, count in left.items() if count}
