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
    version of a compacted record can still be read, and ``max_message_bytes`` the largest batch. ``why`` says why it
    is kept so long and no longer; ``personal`` whose data is in it.
    """

    name: str
    direction: Direction
    purpose: str
    key: str
    cleanup: Cleanup
    why: str
    personal: str
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


def _raw(name: str, days: int, what: str, personal: str, why: str) -> Topic:
    """What a supplier sends in a format of its own; an adapter makes inbound events of it, again if need be."""
    return Topic(
        name=f"raw-{name}",
        direction="raw",
        purpose=f"{what}, as they came.",
        key="the supplier's own, not trusted",
        cleanup="delete",
        why=why,
        personal=personal,
        retention_ms=days * DAY_MS,
        max_message_bytes=LARGE_MESSAGE_BYTES,
    )


def _copy(name: str, days: int, purpose: str, personal: str, why: str) -> Topic:
    """What is sent already, in another format, for systems that take it that way."""
    return Topic(
        name=name,
        direction="copy",
        purpose=purpose,
        key="as the original's",
        cleanup="delete",
        why=why,
        personal=personal,
        retention_ms=days * DAY_MS,
    )


def _inbound(name: str, days: int, purpose: str, personal: str, why: str) -> Topic:
    """Time-limited, never compacted: a foreign key cannot erase another sender's message."""
    return Topic(
        name=name,
        direction="inbound",
        purpose=purpose,
        key="the sender's own, not trusted",
        cleanup="delete",
        why=why,
        personal=personal,
        retention_ms=days * DAY_MS,
        max_message_bytes=LARGE_MESSAGE_BYTES,
    )


TOPICS: tuple[Topic, ...] = (
    _inbound(
        "orders",
        30,
        "Orders made, varied, served and discharged, from courts and records.",
        "respondents and protected persons: names, addresses, zones",
        "What they say lives on in the changelogs. A month is how far back a damaged state is made again from what "
        "was sent; what is older, courts send again (`breachwatch orders reconcile` names it).",
    ),
    _inbound(
        "breach-reports",
        30,
        "Breaches that callers and staff report.",
        "who reports, whom, in their own words",
        "What they say lives on as a breach. A month is how far back a damaged state is made again.",
    ),
    _inbound(
        "sightings",
        7,
        "Positions of tags and people, and the plate reads that matched an order.",
        "where respondents and protected persons were",
        "The policy's horizon: older positions are not judged with the rest, so nothing needs them any more.",
    ),
    _inbound(
        "sightings-backfill",
        7,
        "Sightings in bulk, of a time gone by: taken up while nothing else waits.",
        "where respondents and protected persons were",
        "As sightings; and a backlog that waits behind everything else must not expire over a weekend.",
    ),
    _inbound(
        "anpr-reads",
        2,
        "Every read of the number-plate cameras; only the gate reads it.",
        "where everybody drove, nearly all on no order",
        "The gate needs minutes. Two days are how long it may be down without loss, and how late an order may become "
        "known and its vehicle still be found (`breachwatch rescan`). The national service has them for longer.",
    ),
    _inbound(
        "custody-events",
        30,
        "Detentions, releases and bail, from custody.",
        "who was arrested and released",
        "What they say lives on in the row. A month is how far back a damaged state is made again.",
    ),
    _inbound(
        "task-updates",
        30,
        "What people did with a task, from the dashboards.",
        "officers, by what they are called there",
        "Each is on the audit trail. A month is how far back a damaged state is made again.",
    ),
    _inbound(
        "source-heartbeats",
        2,
        "Signs of life of each source, so that its silence is noticed.",
        "none",
        "A silence is told after minutes; two days are enough to see when it began.",
    ),
    _raw(
        "traccar",
        14,
        "Positions and events that Traccar forwards",
        "where those who carry a device were",
        "A fault of an adapter is found within two weeks, holidays included; then it is made again from here.",
    ),
    _raw(
        "plate-recognizer",
        2,
        "Plates that Plate Recognizer Stream has read",
        "where everybody drove, nearly all on no order",
        "As anpr-reads, of which they become a part.",
    ),
    _raw(
        "owntracks",
        14,
        "Locations that OwnTracks sends",
        "where those who carry a telephone were",
        "As raw-traccar.",
    ),
    Topic(
        name="subject-events",
        direction="internal",
        purpose="Every judged event of a subject, re-keyed by us; the assess agent's only input.",
        key="subject_id",
        cleanup="delete",
        why="What rows were decided from: `breachwatch verify` reads it again and compares, and a mended rule is "
        "replayed on it. Rows and evidence hold what must be known for longer.",
        personal="all of a subject: what the inbound topics say of them",
        retention_ms=30 * DAY_MS,
        max_message_bytes=LARGE_MESSAGE_BYTES,
    ),
    Topic(
        name="unresolved",
        direction="internal",
        purpose="Events that name nobody we know yet, driven on when an identifier appears; null when driven.",
        key="our hash of the event id",
        cleanup="compact,delete",
        why="An event is driven again when its identifier appears, up to the policy's horizon of 7 days; a day more, "
        "so that nothing goes while it may still be driven.",
        personal="as the inbound topics, of people whom no order names",
        retention_ms=8 * DAY_MS,
        max_message_bytes=LARGE_MESSAGE_BYTES,
    ),
    Topic(
        name="identifiers",
        direction="internal",
        purpose="Which plate, device or phone stands for which subject or protected person, and when.",
        key="the identifier's own id, hashed",
        cleanup="compact",
        why="Without it nobody is found by what they drive or carry. What belongs to an ended order stays, with its "
        "end: an event of before may still arrive. It leaves with a null, when somebody is erased.",
        personal="plates, devices, telephones, and whose they are",
    ),
    Topic(
        name="source-controls",
        direction="internal",
        purpose="Which sources somebody has switched off, and why.",
        key="source",
        cleanup="compact",
        why="Until it is switched on again: a source must not come back by itself.",
        personal="none; who switched it off, by name",
    ),
    Topic(
        name="arrest-tasks",
        direction="outbound",
        purpose="The latest state of every arrest task; null once it is erased.",
        key="task_id",
        cleanup="compact",
        why="A control room reads the latest state of each from the beginning. A closed task stays until somebody is "
        "erased: that it was closed, and how, must not depend on who read it in time.",
        personal="the respondent, what they did, where they were last seen",
        # A dashboard that was away for less than an hour still sees each step of a task, not only the last.
        min_compaction_lag_ms=HOUR_MS,
    ),
    Topic(
        name="safeguarding-tasks",
        direction="outbound",
        purpose="The latest state of every safeguarding task: who must be told what; null once it is erased.",
        key="safeguarding_id",
        cleanup="compact",
        why="As arrest-tasks.",
        personal="protected persons by reference, and safe ways to reach them",
        min_compaction_lag_ms=HOUR_MS,
    ),
    Topic(
        name="task-answers",
        direction="outbound",
        purpose="What became of each task update: accepted, or refused and why.",
        key="task_id, or the update's id where it names no task",
        cleanup="delete",
        why="A dashboard that sent an update was told within seconds; a week bridges one that was away.",
        personal="officers, by what they are called there",
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="alerts",
        direction="outbound",
        purpose="What a person must see now; may repeat, alert_id tells.",
        key="alert_id",
        cleanup="delete",
        why="A dashboard that was away catches up, and a month's alerts can be reviewed; the tasks and the audit "
        "trail have the rest.",
        personal="the respondent by reference, what was breached",
        retention_ms=30 * DAY_MS,
    ),
    Topic(
        name="audit",
        direction="outbound",
        purpose="Every decision and its reasons.",
        key="subject_id",
        cleanup="delete",
        why="A year, and a month to answer in: reviews, complaints and inspections ask how a decision was made (DPA "
        "2018 s62). What a force must keep longer belongs in its records system.",
        personal="the respondent by reference, every decision on them; who did what",
        retention_ms=400 * DAY_MS,
    ),
    Topic(
        name="source-status",
        direction="outbound",
        purpose="What became of each source's events, as counts; the newest of each process counts.",
        key="process and source",
        cleanup="compact,delete",
        why="The newest counts of each process; a process that is gone is forgotten after a week.",
        personal="none",
        retention_ms=7 * DAY_MS,
    ),
    Topic(
        name="dead-letters",
        direction="outbound",
        purpose="Messages that could not be used: the original bytes, and the reason in headers.",
        key="our hash of topic, partition and offset",
        cleanup="delete",
        why="Somebody's order may be in it, and is not in force until it is mended: it must outlast a fault that is "
        "found by a quarter's review. Mended or dismissed letters are of no more use; shorten it where letters "
        "are worked off daily.",
        personal="whatever was sent, unread: as the topic it came on",
        retention_ms=90 * DAY_MS,
        max_message_bytes=DEAD_LETTER_BYTES,
    ),
    _copy(
        "alerts-cap",
        7,
        "Alerts in CAP 1.2.",
        "as alerts",
        "What takes copies reads them within minutes; a week bridges one that was away.",
    ),
    _copy(
        "cloud-events",
        7,
        "All that is sent, as CloudEvents in structured mode.",
        "as alerts, tasks and audit",
        "As alerts-cap.",
    ),
    Topic(
        name="breachwatch-subjects-changelog",
        direction="changelog",
        purpose="The log of the table of subjects; a lost store is rebuilt from it.",
        key="subject_id",
        cleanup="compact",
        why="An order may have been loaded two years ago and not changed since. What a row drops by its rule is gone "
        "from here a week later; the whole row leaves with a null, when somebody is erased.",
        personal="all that is known of a subject",
    ),
    Topic(
        name="breachwatch-records-changelog",
        direction="changelog",
        purpose="The log of the table of evidence and order versions; a lost store is rebuilt from it.",
        key="subject_id, and the minute or the order version",
        cleanup="compact",
        why="As breachwatch-subjects-changelog; positions leave after the policy's horizon.",
        personal="evidence, and every version of an order",
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


def kept_for(topic: Topic) -> str:
    """How long a message can be read after it came, for people: at the latest, since a closed segment goes as one."""
    if topic.retention_ms is not None:
        return f"{topic.retention_ms // DAY_MS} days, gone {_segment_ms(topic) // DAY_MS} later at the latest"
    return (
        f"the newest of a key until a null; what it replaced is gone after some {LAST_COMPACTION_MS // DAY_MS} days"
    )


def retention_table() -> str:
    """Every topic, how long it is kept, whose data is in it and why it is kept so long, as a table in Markdown."""
    rows = [
        ("topic", "kept for", "personal data", "why so long, and no longer"),
        ("---",) * 4,
        *((f"`{topic.name}`", kept_for(topic), topic.personal, topic.why) for topic in TOPICS),
    ]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
