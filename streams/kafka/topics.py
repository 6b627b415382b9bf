"""Every topic of the pipeline, in one list; nothing else defines a topic.

All have the same number of partitions, by environment: what is joined must agree anyway, and a count is
permanent once a table stands on it. All are stamped by the broker (LogAppendTime), so that a sender's
clock can't defeat retention; the event's own time is in the body.
"""

from dataclasses import dataclass
from typing import Literal

from streams.settings import Settings

PARTITIONS = {"development": 4, "production": 48}
REPLICATION = {"development": 1, "production": 3}

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
# Kafka's own default, stated so that a cluster's other default cannot change it.
DEFAULT_MESSAGE_BYTES = 1_048_588
# A message of 1 MB must arrive so that it can be judged and, if need be, set aside; the room above is for
# its envelope, and for what we add when we pass it on.
LARGE_MESSAGE_BYTES = 1_500_000
# A dead letter is the original bytes of an inbound message and our headers.
DEAD_LETTER_BYTES = 2_000_000
# What a client of ours sends or fetches at most: above every topic's bound, with an event's routing around it, so
# that too large a message is the broker's answer.
MAX_REQUEST_BYTES = 2_500_000
# Longer than the longest rebuild of an index or a table: a reader that starts at the beginning of the log
# must still meet the tombstone of what it read, or it keeps what was deleted.
TOMBSTONE_MS = 7 * DAY_MS
# Personal data that was superseded or deleted leaves the log within a week even where little is written.
LAST_COMPACTION_MS = 7 * DAY_MS

Cleanup = Literal["delete", "compact", "compact,delete"]
Direction = Literal["inbound", "raw", "internal", "outbound", "copy", "changelog"]


@dataclass(frozen=True)
class Topic:
    """One topic, without the prefix that a deployment puts before its name.

    ``retention_ms`` is None where nothing is deleted by age, ``min_compaction_lag_ms`` how long every
    version of a compacted record can still be read, and ``max_message_bytes`` the largest batch.
    """

    name: str
    direction: Direction
    purpose: str
    key: str
    cleanup: Cleanup
    retention_ms: int | None = None
    min_compaction_lag_ms: int = 0
    max_message_bytes: int = DEFAULT_MESSAGE_BYTES

    def __post_init__(self) -> None:
        assert ("delete" in self.cleanup) == (self.retention_ms is not None), self.name


@dataclass(frozen=True)
class TopicSpec:
    """A topic as it must be in a cluster: its full name, its counts and its configuration."""

    name: str
    partitions: int
    replication: int
    config: dict[str, str]


def _raw(name: str, days: int, what: str) -> Topic:
    """What a supplier sends in a format of its own; an adapter makes inbound events of it, again if need be."""
    return Topic(
        name=f"raw-{name}",
        direction="raw",
        purpose=f"{what}, as they came.",
        key="the supplier's own, not trusted",
        cleanup="delete",
        retention_ms=days * DAY_MS,
        max_message_bytes=LARGE_MESSAGE_BYTES,
    )


def _copy(name: str, days: int, purpose: str) -> Topic:
    """What is sent already, in another format, for systems that take it that way."""
    return Topic(
        name=name,
        direction="copy",
        purpose=purpose,
        key="as the original's",
        cleanup="delete",
        retention_ms=days * DAY_MS,
    )


def _inbound(name: str, days: int, purpose: str) -> Topic:
    """Time-limited, never compacted: a foreign key cannot erase another sender's message."""
    return Topic(
        name=name,
        direction="inbound",
        purpose=purpose,
        key="the sender's own, not trusted",
        cleanup="delete",
        retention_ms=days * DAY_MS,
        max_message_bytes=LARGE_MESSAGE_BYTES,
    )


TOPICS: tuple[Topic, ...] = (
    _inbound("orders", 30, "Orders made, varied, served and discharged, from courts and records."),
    _inbound("breach-reports", 30, "Breaches that callers and staff report."),
    _inbound("sightings", 7, "Positions of tags and people, and the plate reads that matched an order."),
    _inbound("sightings-backfill", 7, "Sightings in bulk, of a time gone by: taken up while nothing else waits."),
    _inbound("anpr-reads", 2, "Every read of the number-plate cameras; only the gate reads it."),
    _inbound("custody-events", 30, "Detentions, releases and bail, from custody."),
    _inbound("task-updates", 30, "What people did with a task, from the dashboards."),
    _inbound("source-heartbeats", 2, "Signs of life of each source, so that its silence is noticed."),
    _raw("traccar", 14, "Positions and events that Traccar forwards"),
    _raw("plate-recognizer", 2, "Plates that Plate Recognizer Stream has read"),
    _raw("owntracks", 14, "Locations that OwnTracks sends"),
    Topic(
        name="subject-events",
        direction="internal",
        purpose="Every judged event of a subject, re-keyed by us; the assess agent's only input.",
        key="subject_id",
        cleanup="delete",
        retention_ms=30 * DAY_MS,
        max_message_bytes=LARGE_MESSAGE_BYTES,
    ),
    Topic(
        name="unresolved",
        direction="internal",
        purpose="Events that name nobody we know yet, driven on when an identifier appears; null when driven.",
        key="our hash of the event id",
        cleanup="compact,delete",
        # A day more than the horizon of 7 days: nothing goes while it may still be driven again.
        retention_ms=8 * DAY_MS,
        max_message_bytes=LARGE_MESSAGE_BYTES,
    ),
    Topic(
        name="identifiers",
        direction="internal",
        purpose="Which plate, device or phone stands for which subject or protected person, and when.",
        key="the identifier's own id, hashed",
        cleanup="compact",
    ),
    Topic(
        name="source-controls",
        direction="internal",
        purpose="Which sources somebody has switched off, and why.",
        key="source",
        cleanup="compact",
    ),
    Topic(
        name="arrest-tasks",
        direction="outbound",
        purpose="The latest state of every arrest task; null once it is erased.",
        key="task_id",
        cleanup="compact",
        # A dashboard that was away for less than an hour still sees each step of a task, not only the last.
        min_compaction_lag_ms=HOUR_MS,
    ),
    Topic(
        name="safeguarding-tasks",
        direction="outbound",
        purpose="The latest state of every safeguarding task: who must be told what, and how to reach them safely.",
        key="safeguarding_id",
        cleanup="compact",
        min_compaction_lag_ms=HOUR_MS,
    ),
    Topic(
        name="task-answers",
        direction="outbound",
        purpose="What became of each task update: accepted, or refused and why.",
        key="task_id, or the update's id where it names no task",
        cleanup="delete",
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="alerts",
        direction="outbound",
        purpose="What a person must see now; may repeat, alert_id tells.",
        key="alert_id",
        cleanup="delete",
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        name="audit",
        direction="outbound",
        purpose="Every decision and its reasons.",
        key="subject_id",
        cleanup="delete",
        retention_ms=400 * DAY_MS,
    ),
    Topic(
        name="source-status",
        direction="outbound",
        purpose="What became of each source's events, as counts; the newest of each process counts.",
        key="process and source",
        cleanup="compact,delete",
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="dead-letters",
        direction="outbound",
        purpose="Messages that could not be used: the original bytes, and the reason in headers.",
        key="our hash of topic, partition and offset",
        cleanup="delete",
        retention_ms=90 * DAY_MS,
        max_message_bytes=DEAD_LETTER_BYTES,
    ),
    _copy("alerts-cap", 7, "Alerts in CAP 1.2."),
    _copy("cloud-events", 7, "All that is sent, as CloudEvents in structured mode."),
    Topic(
        name="breachwatch-subjects-changelog",
        direction="changelog",
        purpose="The log of the table of subjects; a lost store is rebuilt from it.",
        key="subject_id",
        cleanup="compact",
    ),
    Topic(
        name="breachwatch-records-changelog",
        direction="changelog",
        purpose="The log of the table of evidence and order versions; a lost store is rebuilt from it.",
        key="subject_id, and the minute or the order version",
        cleanup="compact",
        max_message_bytes=LARGE_MESSAGE_BYTES,
    ),
)
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}
INGESTED = tuple(topic.name for topic in TOPICS if topic.direction == "inbound" and topic.name != "anpr-reads")
"""The inbound topics that workers read: all but the one that the gate reads."""


def full_name(settings: Settings, name: str) -> str:
    """The name in the cluster of the topic ``name``; raises KeyError when the list has no such topic."""
    return settings.topic_prefix + BY_NAME[name].name


def topic_specs(settings: Settings) -> list[TopicSpec]:
    """Every topic as it must be in the cluster of ``settings``, in the order of the list."""
    partitions = settings.partitions or PARTITIONS[settings.environment]
    replication = settings.replication or REPLICATION[settings.environment]
    return [
        TopicSpec(full_name(settings, topic.name), partitions, replication, _config(topic, replication))
        for topic in TOPICS
    ]


def _config(topic: Topic, replication: int) -> dict[str, str]:
    """The topic's configuration, as Kafka's texts."""
    values: dict[str, str | int] = {
        "cleanup.policy": topic.cleanup,
        "message.timestamp.type": "LogAppendTime",
        "max.message.bytes": topic.max_message_bytes,
        # One copy may be lost, or away for maintenance, and writing with acks=all goes on.
        "min.insync.replicas": max(1, replication - 1),
        "segment.ms": _segment_ms(topic),
    }
    if topic.retention_ms is not None:
        values["retention.ms"] = topic.retention_ms
    if "compact" in topic.cleanup:
        values["delete.retention.ms"] = TOMBSTONE_MS
        values["min.compaction.lag.ms"] = topic.min_compaction_lag_ms
        values["max.compaction.lag.ms"] = LAST_COMPACTION_MS
    return {key: str(value) for key, value in values.items()}


def _segment_ms(topic: Topic) -> int:
    """Age at which a segment is closed: retention and compaction touch only closed ones.

    A day, so that what should be gone is gone a day later; a week where the retention is of months, or
    the open files would be too many.
    """
    return 7 * DAY_MS if (topic.retention_ms or 0) > 30 * DAY_MS else DAY_MS
