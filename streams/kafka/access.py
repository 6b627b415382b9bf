"""Who may do what with the topics: the roles of a deployment as access-control lists of the broker.

A role is data; whoever administers the cluster grants it to a user. Nobody may do what no role says.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.admin import ACLResourcePatternType as Pattern
from kafka.errors import NoError

from streams.errors import BreachwatchError
from streams.kafka.topics import BY_NAME, INGESTED, TOPICS, full_name
from streams.settings import Settings

Operation = Literal["READ", "WRITE", "DESCRIBE", "DESCRIBE_CONFIGS"]
Kind = Literal["TOPIC", "GROUP", "CLUSTER"]

_ALL = tuple(topic.name for topic in TOPICS)
WORKERS, GATES = "breachwatch", "breachwatch-gate"
RESCANS, ADAPTERS = "breachwatch-rescan", "breachwatch-adapter"


@dataclass(frozen=True)
class Role:
    """What a user of this role does: the topics that they read and write, their group, and whether they look at
    how topics and brokers are set, as a process does before it starts."""

    purpose: str
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    group: str | None = None
    """One whose name ends in `*` stands for all that begin so."""
    watches_group: str | None = None
    """As `group`."""
    checks: bool = False


_OWN = tuple(t.name for t in TOPICS if t.direction in ("internal", "changelog"))
_IN, _RAW, _COPIES = (tuple(t.name for t in TOPICS if t.direction == way) for way in ("inbound", "raw", "copy"))
_OUT = tuple(t.name for t in TOPICS if t.direction == "outbound")
ROLES: dict[str, Role] = {
    "worker": Role("a worker", (*INGESTED, *_OWN), (*_OWN, *_OUT), group=WORKERS, checks=True),
    "gate": Role(
        "the gate",
        ("anpr-reads", "identifiers", "orders", "subject-events"),
        ("sightings", "alerts", "dead-letters", "source-status"),
        group=GATES,
        watches_group=WORKERS,
        checks=True,
    ),
    "lookout": Role(
        "watches the pipeline from outside; of what others read, the append time of the oldest message; breaches an "
        "order of its own as an exercise",
        (*_IN, *_RAW, "subject-events", "source-controls", *_OUT, "breachwatch-subjects-changelog"),
        ("orders", "sightings", "anpr-reads"),
        watches_group=f"{WORKERS}*",
        checks=True,
    ),
    "dashboard": Role(
        "a control room: reads tasks and alerts, moves tasks",
        ("arrest-tasks", "safeguarding-tasks", "alerts", "task-answers"),
        ("task-updates",),
    ),
    "board": Role(
        "the board: what a control room does, order terms and positions for its map, and who looked at what",
        ("arrest-tasks", "safeguarding-tasks", "alerts", "task-answers", "breachwatch-records-changelog"),
        ("task-updates", "audit"),
        checks=True,
    ),
    "auditor": Role("reads the audit trail and the tasks", ("audit", "arrest-tasks", "safeguarding-tasks", "alerts")),
    "searcher": Role(
        "searches retained plate reads for orders that were known late",
        ("anpr-reads", "identifiers", "alerts"),
        ("sightings-backfill",),
        group=f"{RESCANS}*",
        watches_group=GATES,
    ),
    "adapters": Role(
        "makes events of what suppliers send in formats of their own, and alerts that others can read",
        (*_RAW, *_OUT),
        ("sightings", "anpr-reads", "dead-letters", "alerts", "source-status", *_COPIES),
        group=f"{ADAPTERS}*",
        checks=True,
    ),
    "door": Role("takes events by HTTP", writes=(*_IN, *_RAW), checks=True),
    "reconciler": Role(
        "compares a snapshot of the orders that there are with those that workers know",
        ("orders", "subject-events", "breachwatch-subjects-changelog", "breachwatch-records-changelog"),
        ("alerts", "audit"),
        watches_group=WORKERS,
    ),
    "eraser": Role(
        "erases subjects and protected persons, places and lifts legal holds, and scans for what remains",
        _ALL,
        ("subject-events", "audit"),
        checks=True,
    ),
    "source-officer": Role(
        "sees what became of each source's events, and switches a source off and on",
        ("source-status", "source-controls"),
        ("source-controls", "audit"),
    ),
    "dead-letters": Role(
        "mends dead letters and sends them again",
        ("dead-letters", *_IN),
        (*_IN, "audit", "dead-letters"),
    ),
    **{f"publish-{name}": Role(f"publishes on {name}, and reads nothing", writes=(name,)) for name in (*_IN, *_RAW)},
}


@dataclass(frozen=True, order=True)
class Grant:
    """One line of an access-control list, without its user."""

    kind: Kind
    name: str
    operation: Operation


def grants(role: str, settings: Settings) -> list[Grant]:
    """What a role may do, sorted; raises BreachwatchError for a role that does not exist."""
    if role not in ROLES:
        raise BreachwatchError(f"there is no role {role!r}: one of {', '.join(sorted(ROLES))}")
    return sorted(set(_grants(ROLES[role], settings)))


def _grants(role: Role, settings: Settings) -> Iterator[Grant]:
    for operation, names in (("READ", role.reads), ("WRITE", role.writes)):
        for name in names:
            assert name in BY_NAME, name
            yield Grant("TOPIC", full_name(settings, name), operation)  # type: ignore[arg-type]
    for name in _ALL if role.checks else {*role.reads, *role.writes}:
        yield Grant("TOPIC", full_name(settings, name), "DESCRIBE")
        if role.checks:
            yield Grant("TOPIC", full_name(settings, name), "DESCRIBE_CONFIGS")
    if role.group is not None:
        yield Grant("GROUP", settings.topic_prefix + role.group, "READ")
    if role.watches_group is not None:
        yield Grant("GROUP", settings.topic_prefix + role.watches_group, "DESCRIBE")
    if role.checks:
        yield Grant("CLUSTER", "kafka-cluster", "DESCRIBE")
        yield Grant("CLUSTER", "kafka-cluster", "DESCRIBE_CONFIGS")


def grant(client: KafkaAdminClient, user: str, found: list[Grant]) -> None:
    """Let the user do this, from any host; raises BreachwatchError when the cluster refuses."""
    add(client, [entry(user, one) for one in found])


def revoke(client: KafkaAdminClient, user: str) -> int:
    """Take every grant from the user; how many there were."""
    everything = ACLFilter(
        principal=_principal(user),
        host="*",
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, Pattern.ANY),
    )
    return _deleted(client, [everything])


def add(client: KafkaAdminClient, entries: Sequence[ACL]) -> None:
    """Put entries on the access-control lists; raises BreachwatchError when the cluster refuses."""
    failed = client.create_acls(list(entries))["failed"]
    if failed:
        raise BreachwatchError(f"the cluster refused: {', '.join(error.__name__ for error in failed)}")


def take(client: KafkaAdminClient, entries: Sequence[ACL]) -> None:
    """Take exactly these entries off the access-control lists; raises BreachwatchError when the cluster refuses."""
    _deleted(
        client,
        [
            ACLFilter(
                one.principal,
                one.host,
                one.operation,
                one.permission_type,
                ResourcePatternFilter(
                    one.resource_pattern.resource_type,
                    one.resource_pattern.resource_name,
                    one.resource_pattern.pattern_type,
                ),
            )
            for one in entries
        ],
    )


def _deleted(client: KafkaAdminClient, filters: list[ACLFilter]) -> int:
    answers = client.delete_acls(filters)
    failed = [error for _, _, error in answers if error is not NoError]
    if failed:
        raise BreachwatchError(f"the cluster refused: {', '.join(error.__name__ for error in failed)}")
    return sum(len(taken) for _, taken, _ in answers)


def entry(user: str, one: Grant) -> ACL:
    """A grant as an entry of the access-control lists."""
    return ACL(
        principal=_principal(user),
        host="*",
        operation=ACLOperation[one.operation],
        permission_type=ACLPermissionType.ALLOW,
        resource_pattern=ResourcePattern(
            ResourceType[one.kind],
            one.name.removesuffix("*"),
            Pattern.PREFIXED if one.name.endswith("*") else Pattern.LITERAL,
        ),
    )


def _principal(user: str) -> str:
    """As the brokers have it. Raises BreachwatchError for a name that they would take for another than is meant."""
    if not user or user != user.strip() or user == "*" or user.startswith("User:"):
        raise BreachwatchError(
            f"{user!r} is no user: give the name of the log-in, or the subject of the certificate, such as "
            "CN=worker-1,O=Norfolk Constabulary, and without User: before it"
        )
    return f"User:{user}"
