"""Do the topics agree: rows with the log they come from, records with rows, tasks with rows, identifiers with orders?

All of a subject lies on partitions of one number, so one is looked at after the other. On a pipeline that runs,
subjects that move meanwhile are counted and not judged.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from schemas.erasure import Command
from schemas.internal import DeadlineDue, SubjectEvent
from schemas.orders import IdentifierRecord
from schemas.safeguarding import SafeguardingState, SafeguardingTask
from schemas.tasks import ArrestTask, AuditEntry, TaskState
from streams.core.chain import CLOSING
from streams.core.identity import identifier_key, identifiers, in_index
from streams.core.policy import Policy, load_policy
from streams.core.records import Records
from streams.core.reread import Reread
from streams.core.rows import NewerRowError, load
from streams.core.state import FINAL, SubjectState
from streams.core.tasks import live_task
from streams.kafka.admin import cluster_of
from streams.kafka.client import connect
from streams.kafka.lag import committed
from streams.kafka.reading import newest_values, read_all
from streams.kafka.topics import full_name, topic_specs
from streams.settings import Settings
from streams.tables import stamp

Table = dict[bytes, bytes]

# Who stated a version is missing in rows of before version 3 for as long as they have it.
_NOT_COMPARED: Any = {"outbox": True, "orders": {"__all__": {"versions": {"__all__": {"source"}}}}}


@dataclass
class Verified:
    """What was compared, and what is wrong; subjects are named by their ids, which name nobody."""

    subjects: int = 0
    reread: int = 0
    """Rows that their whole log was read again for, and that are exactly as it makes them."""
    older: int = 0
    """Rows that are older than the log, which keeps 30 days: they cannot be read again."""
    moved: int = 0
    """Rows that changed while they were looked at."""
    erased: int = 0
    """Subjects whose events are still in the log, and whose row was erased by command."""
    records: int = 0
    identifiers: int = 0
    tasks: int = 0
    wrong: list[str] = field(default_factory=list)


def verify(settings: Settings) -> Verified:
    """Compare the topics of the pipeline with each other.

    Raises BreachwatchError when a topic cannot be read.
    """
    cluster = cluster_of(settings)
    found = Verified()
    standing = _Standing()

    def read(name: str, number: int | None = None, start: int | None = None) -> Iterable[Any]:
        return read_all(cluster, full_name(settings, name), partition=number, start=start)

    with connect(cluster) as client:
        applied = committed(client, f"{settings.topic_prefix}breachwatch", full_name(settings, "subject-events"))
    policy = load_policy(settings.policy_file)
    for number in range(topic_specs(settings)[0].partitions):
        _partition(read, number, applied[number], policy, found, standing)
    _outputs(read, found, standing)
    _lost(read, found, standing)
    return found


@dataclass
class _Standing:
    """Of all rows, what the outgoing topics must show; of tasks id -> revision."""

    identifiers: dict[bytes, IdentifierRecord] = field(default_factory=dict)
    """By their key in the topic: what the orders of the rows say."""
    arrest: dict[str, int] = field(default_factory=dict)
    safeguarding: dict[str, int] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)
    lost: dict[str, float] = field(default_factory=dict)
    """Subject of whom there is no row -> when the newest event that was applied for them was taken into the log."""


def _partition(
    read: Callable[..., Iterable[Any]],
    number: int,
    applied: int,
    policy: Policy,
    found: Verified,
    standing: _Standing,
) -> None:
    rows, until = newest_values(read("breachwatch-subjects-changelog", number), later=stamp)
    records, _ = newest_values(read("breachwatch-records-changelog", number))
    states: dict[str, SubjectState] = {}
    for key, row in rows.items():
        try:
            states[key.decode()] = load(row, key.decode())
        except ValidationError as error:
            found.wrong.append(f"{key.decode()}: the row cannot be read: {error.error_count()} fields are wrong")
        except NewerRowError as error:
            found.wrong.append(f"{key.decode()}: {error}")
    lost: dict[str, float] = {}
    reread = Reread(policy)
    for record in read("subject-events", number):
        try:
            incoming = SubjectEvent.read(record.value or b"")
        except ValidationError:
            continue  # a dead letter
        state = states.get(incoming.subject_id)
        makes_a_row = not isinstance(incoming.event, DeadlineDue | Command)
        if makes_a_row and record.offset < applied and incoming.subject_id.encode() not in rows:
            lost[incoming.subject_id] = record.timestamp / 1000
        if state is None or record.offset > state.applied:
            continue
        reread.feed(incoming, datetime.fromtimestamp(record.timestamp / 1000, tz=UTC), record.offset)
    moved = {record.key.decode() for record in read("breachwatch-subjects-changelog", number, until)}
    standing.lost |= lost
    mine: dict[str, Table] = {}
    for key, value in records.items():
        mine.setdefault(key.decode().split("|", 1)[0], {})[key] = value
    for subject, state in states.items():
        found.subjects += 1
        if subject in moved:
            found.moved += 1
            standing.moved.add(subject)
            continue
        standing.arrest |= {task.task_id: task.revision for task in state.tasks}
        standing.safeguarding |= {task.safeguarding_id: task.revision for task in state.safeguarding}
        beside = mine.get(subject, {})
        found.records += len(beside)
        kept = Records(subject, dict(beside), set(state.hours))
        if missing := _missing(state, kept):
            found.wrong += missing
            continue
        held = in_index(kept, state, identifiers(state, kept), task_open=live_task(state) is not None)
        standing.identifiers |= {identifier_key(record): record for record in held.values()}
        if reread.read[subject] != state.revision:
            found.older += 1
            continue
        found.reread += 1
        found.wrong += _otherwise(state, beside, reread)


def _lost(read: Callable[..., Iterable[Any]], found: Verified, standing: _Standing) -> None:
    """Of the subjects without a row those that the audit does not say were erased since."""
    if not standing.lost:
        return
    erased: dict[str, float] = {}
    for record in read("audit"):
        # Before the 400 days of decisions are decoded for the few that count.
        if record.value is not None and record.key.decode() in standing.lost:
            entry = AuditEntry.model_validate_json(record.value)
            if entry.decision == CLOSING:
                # When it was sent: all that was applied before is committed by then.
                erased[entry.subject_id] = record.timestamp / 1000
    for subject, applied_at in sorted(standing.lost.items()):
        if applied_at <= erased.get(subject, 0.0):
            found.erased += 1
        else:
            found.wrong.append(f"{subject}: the log has events that were applied, and no row is there")


def _missing(state: SubjectState, records: Records) -> list[str]:
    """Orders that the row refers to and that the records do not hold."""
    found = []
    for order in state.orders.values():
        for ref in order.versions:
            try:
                records.order(order.order_id, ref.version)
            except KeyError as missing:
                found.append(f"{state.subject_id}: order {missing.args[0]} is not in the records")
    return found


def _otherwise(state: SubjectState, records: Table, reread: Reread) -> list[str]:
    """In what a row, and what lies beside it, is not as its log makes it; what waits for a commit is passed over."""
    subject = state.subject_id
    again = load(reread.rows[subject], subject)
    here, there = (row.model_dump(exclude=_NOT_COMPARED) for row in (state, again))
    wrong = [f"{subject}: {name} is not as its log makes it" for name in here if here[name] != there[name]]
    beside = {key: value for key, value in records.items() if b"|x|" not in key}
    made = {key: value for key, value in reread.records[subject].items() if b"|x|" not in key}
    if beside != made:
        wrong.append(f"{subject}: the records beside the row are not as its log makes them")
    return wrong


def _outputs(read: Callable[..., Iterable[Any]], found: Verified, standing: _Standing) -> None:
    index, _ = newest_values(read("identifiers"))
    for identifier_id, record in standing.identifiers.items():
        found.identifiers += 1
        if index.get(identifier_id) != record.model_dump_json().encode():
            found.wrong.append(
                f"{record.subject_id}: a {record.kind} of order {record.order_id} is not in identifiers"
            )
    for name, model, key, rows, over in (
        ("arrest-tasks", ArrestTask, "task_id", standing.arrest, FINAL | {TaskState.ARRESTED}),
        (
            "safeguarding-tasks",
            SafeguardingTask,
            "safeguarding_id",
            standing.safeguarding,
            {SafeguardingState.CLOSED},
        ),
    ):
        newest, _ = newest_values(read(name))
        shown: set[str] = set()
        for raw in newest.values():
            try:
                task: Any = model.model_validate_json(raw)
            except ValidationError:
                found.wrong.append(f"{name}: a task there cannot be read")
                continue
            task_id = getattr(task, key)
            found.tasks += 1
            shown.add(task_id)
            if task.subject_id in standing.moved:
                continue
            if task_id not in rows and task.state not in over:
                found.wrong.append(
                    f"{name} {task_id}: it is {task.state}, and no row has it: nobody would escalate it"
                )
            elif task_id in rows and task.revision != rows[task_id]:
                found.wrong.append(f"{name} {task_id}: revision {task.revision}, and its row has {rows[task_id]}")
        found.wrong += [
            f"{name} {task_id}: the row has it, and the topic does not" for task_id in rows.keys() - shown
        ]
