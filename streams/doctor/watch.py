"""What moves in a running pipeline, seen in two looks a few seconds apart."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import CoordinatorNotAvailableError, GroupAuthorizationFailedError, GroupIdNotFoundError

from streams.doctor.cluster import Stamps
from streams.kafka.lag import ends
from streams.kafka.topics import full_name, topic_specs
from streams.settings import Settings

HIDDEN = "hidden"
"""The state of a group that we may not see."""
TABLES = ("subjects", "records")
_OLD_S = 60.0


def old_s(settings: Settings) -> float:
    """What has waited for so many seconds was not read in passing; a gate commits by its look-back."""
    return _OLD_S + settings.gate_lookback_s


@dataclass(frozen=True)
class Member:
    """One process in a group."""

    member_id: str
    """Made anew by the broker each time that it joins."""
    name: str | None
    """Of a worker what `--name` says (static membership)."""
    host: str
    partitions: frozenset[TopicPartition]


@dataclass(frozen=True)
class Group:
    """A consumer group; without members where nobody is in it, or ever was."""

    state: str
    members: tuple[Member, ...]
    committed: Mapping[TopicPartition, int]


@dataclass(frozen=True)
class Span:
    """A partition: its first offset, the one after its last, and that of the first message younger than `old_s`."""

    begin: int
    end: int
    young: int
    leader: int
    newest_s: float | None
    """Its newest stamp, seconds since 1970; None: it has no message."""


@dataclass(frozen=True)
class Look:
    """All at one time, which lay between `before_s` and `after_s` of our clock (seconds since 1970)."""

    before_s: float
    after_s: float
    groups: Mapping[str, Group]
    spans: Mapping[TopicPartition, Span]


def look(client: KafkaAdminClient, settings: Settings, groups: Iterable[str]) -> Look:
    """Ask for the groups (full names) and every partition of our topics. Raises KafkaError."""
    before = time.time()
    found = {name: _group(client, name) for name in groups}
    partitions = _leaders(client, [spec.name for spec in topic_specs(settings)])
    old_ms = int((before - old_s(settings)) * 1000)

    def offsets(which: Any) -> dict[TopicPartition, Any]:
        answer: dict[TopicPartition, Any] = client.list_partition_offsets(dict.fromkeys(partitions, which))
        return answer

    # The ends before what is said of the messages in front of them, so that none that comes meanwhile is misjudged.
    begin, end = offsets(OffsetSpec.EARLIEST), offsets(OffsetSpec.LATEST)
    young, newest = offsets(old_ms), offsets(OffsetSpec.MAX_TIMESTAMP)
    spans = {
        tp: Span(
            begin[tp].offset,
            end[tp].offset,
            young[tp].offset if young[tp].offset >= 0 else end[tp].offset,
            leader,
            newest[tp].timestamp / 1000 if newest[tp].timestamp >= 0 else None,
        )
        for tp, leader in partitions.items()
    }
    return Look(before, time.time(), found, spans)


def _leaders(client: KafkaAdminClient, names: list[str]) -> dict[TopicPartition, int]:
    return {
        TopicPartition(topic["name"], one["partition_index"]): one["leader_id"]
        for topic in client.describe_topics(names)
        for one in topic["partitions"]
        if one["leader_id"] >= 0
    }


def _group(client: KafkaAdminClient, name: str) -> Group:
    try:
        described = client.describe_groups([name])[name]
        committed = client.list_group_offsets({name: None})[name]
    except GroupAuthorizationFailedError:
        return Group(HIDDEN, (), {})
    except (CoordinatorNotAvailableError, GroupIdNotFoundError):
        # Nobody has joined it yet; on a new broker nobody any.
        return Group("Dead", (), {})
    if GroupAuthorizationFailedError.__name__ in (described["error"] or ""):
        return Group(HIDDEN, (), {})
    members = tuple(
        Member(
            one["member_id"],
            one.get("group_instance_id"),
            one["client_host"].lstrip("/"),
            _assigned(one["member_assignment"]),
        )
        for one in described["members"]
    )
    return Group(described["group_state"], members, {tp: done.offset for tp, done in committed.items()})


def _assigned(assignment: Any) -> frozenset[TopicPartition]:
    return frozenset(
        TopicPartition(one["topic"], number)
        for one in (assignment or {}).get("assigned_partitions", ())
        for number in one["partitions"]
    )


def clocks(first: Look, second: Look) -> dict[int, Stamps]:
    """Of each broker that leads a partition with messages, what its stamps show."""
    found: dict[int, Stamps] = {}
    for tp, span in second.spans.items():
        if span.newest_s is None:
            continue
        before = first.spans.get(tp)
        grown = before is not None and span.end > before.end
        within = (first.before_s, span.newest_s, second.after_s) if grown else None
        known = found.get(span.leader)
        if known is None:
            found[span.leader] = Stamps(span.newest_s, within)
        else:
            found[span.leader] = Stamps(max(known.newest_s, span.newest_s), known.within or within)
    return found


def changelog_ends(client: KafkaAdminClient, settings: Settings) -> dict[tuple[str, int], int]:
    """Table and partition -> the offset after the last message of its changelog."""
    found = ends(client, [full_name(settings, f"breachwatch-{table}-changelog") for table in TABLES])
    return {
        (tp.topic.removeprefix(f"{settings.topic_prefix}breachwatch-").removesuffix("-changelog"), tp.partition): end
        for tp, end in found.items()
    }
