"""Erasures and legal holds as commands: what there is of somebody, the commands to the rows' owners, their answers.

Nothing is deleted from here: `streams.core.erasure` says who does, and in which order.
"""

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from pydantic import ValidationError

from schemas.base import EXERCISE
from schemas.erasure import (
    Beside,
    Command,
    ErasePerson,
    ErasePersonData,
    EraseSubject,
    EraseSubjectData,
    Hold,
    LiftHold,
    LiftHoldData,
    PlaceHold,
    PlaceHoldData,
    digest,
)
from schemas.inbound import BadMessageError, decode
from schemas.internal import Held, encode_own_event
from schemas.orders import NEVER, IdentifierKind, IdentifierRecord, Order
from schemas.reports import BreachReport
from schemas.safeguarding import SafeguardingTask
from schemas.tasks import ArrestTask, AuditEntry
from streams.core import erasure, persons
from streams.core.plates import canonical
from streams.core.policy import Policy, load_policy
from streams.core.records import Records
from streams.core.resolve import is_exercise, world_id
from streams.core.rows import load
from streams.core.state import SubjectState
from streams.errors import BreachwatchError
from streams.kafka.admin import cluster_of
from streams.kafka.reading import newest_messages, opened, read_all
from streams.kafka.sending import Outgoing, send_all
from streams.kafka.topics import full_name
from streams.remains import Names
from streams.settings import Settings
from streams.unresolved import names_of

SOURCE = "breachwatch/erase"
MAX_RECORDS = 300
"""Keys of records that nothing on a row knows of, in one command: the rest is found when it is given again."""
_ROWS, _RECORDS = "breachwatch-subjects-changelog", "breachwatch-records-changelog"
_DONE = {"erased", "person_erased"}
_ANSWERS = _DONE | {"erasure_refused", "nobody", "hold_placed", "hold_lifted", "hold_refused", "quarantined"}

M = TypeVar("M")


@dataclass
class Step:
    """The command to one subject's row, and what it is about."""

    subject_id: str
    command: Command
    refusals: list[str]
    """As the row stands now; whoever owns it decides."""
    counts: dict[str, int] = field(default_factory=dict)
    """What there is -> how many."""


@dataclass
class Plan:
    """What is known of somebody in tables and compacted topics; no steps: nothing."""

    steps: list[Step]
    names: set[str]
    """The id, and what they are named by."""


class _Topics:
    """What the topics say of somebody; each method reads a topic from its beginning."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def read(self, name: str) -> Iterator[Any]:
        return read_all(cluster_of(self._settings), full_name(self._settings, name))

    def newest(self, name: str, wanted: Callable[[Any], bool]) -> dict[bytes, Any]:
        return newest_messages(self.read(name), wanted)

    def models(self, name: str, model: type[M], named: bytes, wanted: Callable[[M], bool]) -> dict[str, M]:
        """Key -> the newest message of a compacted topic that holds these bytes, where it is one that is wanted."""
        found = {}
        for key, message in self.newest(name, lambda m: named in m.value).items():
            try:
                one: M = model.model_validate_json(message.value)  # type: ignore[attr-defined]
            except ValidationError:
                continue  # `breachwatch verify` says so; the scan finds what is in it
            if wanted(one):
                found[key.decode()] = one
        return found

    def states(self, subjects: Iterable[str]) -> dict[str, SubjectState]:
        """The rows of these, and of all who turned out to be somebody else."""
        keys = {subject.encode() for subject in subjects}
        rows = self.newest(_ROWS, lambda m: m.key in keys or b'"merged_into":"' in m.value)
        return {key.decode(): load(message.value, key.decode()) for key, message in rows.items()}

    def records(self, subjects: Iterable[str]) -> dict[str, dict[bytes, bytes]]:
        """Subject -> key -> what lies beside the row; of the evidence the keys alone, which can be many megabytes."""
        found: dict[str, dict[bytes, bytes]] = {subject: {} for subject in subjects}

        for message in self.read(_RECORDS):
            subject = message.key.split(b"|", 1)[0].decode()
            if subject not in found:
                continue
            if message.value is None:
                found[subject].pop(message.key, None)
            else:
                found[subject][message.key] = b"" if b"|e|" in message.key else message.value
        return found


def plan_subject(settings: Settings, subject_id: str) -> Plan:
    """What there is of a subject, and of those who were merged into them: the commands that erase them all.

    Raises BreachwatchError when a topic cannot be read.
    """
    topics, policy, now = _Topics(settings), load_policy(settings.policy_file), datetime.now(UTC)
    states = topics.states([subject_id])
    if subject_id in states and (other := states[subject_id].merged_into) is not None:
        states |= topics.states([other])
    subjects = [subject_id]
    for subject in subjects:  # it grows: who was merged into one of them is one of them
        subjects += [other for other, state in states.items() if state.merged_into == subject]
    tables = topics.records(subjects)
    plan = Plan([], {subject_id})
    for subject in subjects:
        state = states.get(subject, SubjectState(subject_id=subject))
        # Also where that one's row is gone already: nobody is left whose erasure it could wait for.
        together = state.merged_into if state.merged_into in subjects or state.merged_into not in states else None
        step, names = _step_for_subject(topics, state, tables[subject], policy, now, together)
        plan.names |= names | {subject}
        if subject in states or any(step.counts.values()):
            plan.steps.append(step)
    return plan


def _step_for_subject(
    topics: _Topics,
    state: SubjectState,
    table: dict[bytes, bytes],
    policy: Policy,
    now: datetime,
    merged_into: str | None,
) -> tuple[Step, set[str]]:
    """`merged_into` is who is erased together with them, or has been."""
    subject = state.subject_id
    bare, named = subject.removeprefix(EXERCISE), subject.encode()
    index = topics.models("identifiers", IdentifierRecord, bare.encode(), lambda record: finds(record, subject))
    tasks = topics.models("arrest-tasks", ArrestTask, named, lambda task: task.subject_id == subject)
    safe = topics.models("safeguarding-tasks", SafeguardingTask, named, lambda task: task.subject_id == subject)
    names = {subject, *state.orders}
    names |= {record.order_id for record in index.values() if record.subject_id == subject}
    for record in index.values():
        if record.subject_id == subject:
            names |= spellings(record)
    held = _held(topics, subject, {("subject", bare)} | {("order", order_id) for order_id in state.orders})
    beside = Beside(
        tasks=list(tasks),
        safeguarding=list(safe),
        identifiers=list(index),
        held=held,
        links=[
            record
            for record in index.values()
            if (record.kind is IdentifierKind.INCIDENT or record.order_id.startswith("merged/"))
            and (record.valid_to is None or record.valid_to > NEVER)
        ],
        records=_unknown(state, table)[:MAX_RECORDS],
    )
    command = _event(EraseSubject, EraseSubjectData(beside=beside, merged_into=merged_into))
    counts = {
        "rows": int(state.revision > 0),
        "records": len(table),
        "identifiers": len(index),
        "arrest tasks": len(tasks),
        "safeguarding tasks": len(safe),
        "held events": len(held),
    }
    return Step(subject, command, erasure.refusals(state, policy, now, merged_into), counts), names


def finds(record: IdentifierRecord, subject: str) -> bool:
    """Does it lead to the subject, or from the subject to whom they were merged into? In their world alone."""
    alias = record.kind is IdentifierKind.SUBJECT and record.order_id.startswith("merged/")
    from_them = alias and world_id(record.value, is_exercise(record.subject_id)) == subject
    return record.subject_id == subject or from_them


def spellings(record: IdentifierRecord) -> set[str]:
    """The value as it was stated; of a plate also without spaces, as cameras send it."""
    plate = record.kind is IdentifierKind.PLATE
    return {record.value} | ({canonical(record.value), record.value.replace(" ", "")} if plate else set())


def waits_for(held: Held, subject: str, named_by: set[tuple[str, str]]) -> bool:
    """Is it an event of the subject's world that names them? Not a breach report, to which somebody waits for an
    answer, nor by tags and plates, which may be somebody else's by then: both go after 8 days."""
    if isinstance(held.event, BreachReport) or held.event.exercise != is_exercise(subject):
        return False
    return bool(named_by & set(names_of(held)))


def _held(topics: _Topics, subject: str, named_by: set[tuple[str, str]]) -> list[str]:
    """Keys of the held events that wait for the subject."""

    def theirs(message: Any) -> bool:
        try:
            return waits_for(Held.read(message.value), subject, named_by)
        except ValidationError:
            return False

    return [key.decode() for key in topics.newest("unresolved", theirs)]


def _unknown(state: SubjectState, table: dict[bytes, bytes]) -> list[str]:
    """Keys of records that the row does not lead to."""
    known = {f"|o|{order_id}|{v.version}" for order_id, ref in state.orders.items() for v in ref.versions}

    def leads_to(key: str) -> bool:
        rest = key.removeprefix(state.subject_id)
        return rest in known or (rest.startswith("|e|") and int(rest[3:]) // 60 in state.hours)

    return [key for key in map(bytes.decode, table) if not leads_to(key)]


def plan_person(settings: Settings, person_id: str) -> Plan:
    """What there is of a protected person in the rows of all subjects: a command to each. Errors as above."""
    topics, policy, now = _Topics(settings), load_policy(settings.policy_file), datetime.now(UTC)
    named, theirs = person_id.encode(), Names([person_id])

    def is_about(task: Any) -> bool:
        return theirs.are_in(task.model_dump_json().encode())

    index = topics.models("identifiers", IdentifierRecord, named, lambda record: record.person_id == person_id)
    tasks = topics.models("arrest-tasks", ArrestTask, named, is_about)
    safe = topics.models("safeguarding-tasks", SafeguardingTask, named, is_about)
    records = topics.newest(_RECORDS, lambda m: theirs.are_in(m.value))
    rows = topics.newest(_ROWS, lambda m: theirs.are_in(m.value))
    shown: list[IdentifierRecord | ArrestTask | SafeguardingTask] = [*index.values(), *tasks.values(), *safe.values()]
    subjects = sorted(
        {key.split(b"|", 1)[0].decode() for key in records}
        | {key.decode() for key in rows}
        | {one.subject_id for one in shown}
    )
    states, tables = topics.states(subjects), topics.records(subjects)
    plan = Plan([], {person_id}.union(*(spellings(record) for record in index.values())))
    for subject in subjects:
        state = states.get(subject, SubjectState(subject_id=subject))
        beside = Beside(
            tasks=[key for key, task in tasks.items() if task.subject_id == subject],
            safeguarding=[key for key, task in safe.items() if task.subject_id == subject],
            identifiers=[key for key, record in index.items() if record.subject_id == subject],
        )
        kept = Records(subject, tables[subject], set())
        refusals = persons.refusals(state, kept, persons.who(digest(person_id)), policy, now)
        command = _event(ErasePerson, ErasePersonData(person=digest(person_id), beside=beside))
        counts = {
            "rows": int(state.revision > 0),
            "records": sum(key.startswith(f"{subject}|".encode()) for key in records),
            "identifiers": len(beside.identifiers),
            "arrest tasks": len(beside.tasks),
            "safeguarding tasks": len(beside.safeguarding),
        }
        plan.steps.append(Step(subject, command, refusals, counts))
    return plan


def names_of_anybody(settings: Settings, name: str) -> set[str]:
    """By what a subject or a protected person is named: in the tables and the index, and, since an erased one is not
    there any more, in the orders of the last 30 days."""
    found = plan_subject(settings, name).names | plan_person(settings, name).names
    for message in _Topics(settings).read("orders"):
        if message.value is None or name.encode() not in message.value:
            continue
        try:
            event = decode("orders", message.value)
        except BadMessageError:
            continue
        if not isinstance(event, Order):
            continue
        data = event.data
        if data.respondent.subject_id == name.removeprefix(EXERCISE):
            found.add(data.order_id)
        for stated in data.identifiers:
            if name in (data.respondent.subject_id, stated.person_id):
                record = IdentifierRecord(
                    kind=stated.kind, value=stated.value, subject_id=name, role=stated.role, order_id=data.order_id
                )
                found |= spellings(record)
    return found


def hold_of(reference: str, by: str, reason: str) -> PlaceHold:
    return _event(PlaceHold, PlaceHoldData(reference=reference, by=by, reason=reason))


def lifting_of(reference: str, by: str, reason: str) -> LiftHold:
    return _event(LiftHold, LiftHoldData(reference=reference, by=by, reason=reason))


def holds(settings: Settings) -> Iterator[tuple[str, str, Hold]]:
    """Subject, reference, hold: every one that there is."""
    for key, message in _Topics(settings).newest(_ROWS, lambda m: b'"holds":{' in m.value).items():
        for reference, hold in load(message.value, key.decode()).holds.items():
            yield key.decode(), reference, hold


C = TypeVar("C", EraseSubject, ErasePerson, PlaceHold, LiftHold)


def _event(model: type[C], data: Any) -> C:
    now = datetime.now(UTC)
    kind = model.model_fields["type"].annotation.__args__[0]  # type: ignore[union-attr]
    try:
        return model(id=str(uuid.uuid4()), source=SOURCE, type=kind, time=now, recordedtime=now, data=data)
    except ValidationError as error:
        wrong = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        raise BreachwatchError(f"nothing was sent: {wrong}") from None


@dataclass(frozen=True)
class Answer:
    """What the row's owner did with a command."""

    decision: str
    reasons: list[str]

    @property
    def refused(self) -> bool:
        return self.decision in ("erasure_refused", "hold_refused", "nobody", "quarantined")


def give(settings: Settings, subject_id: str, command: Command, wait_s: float) -> Answer | None:
    """Send the command and wait until it is carried out or refused; None: no answer in time, and it still stands."""
    cluster = cluster_of(settings)
    value = encode_own_event(subject_id, "commands", command)
    message = Outgoing(full_name(settings, "subject-events"), subject_id.encode(), value)
    deadline = time.monotonic() + wait_s
    with ExitStack() as stack:
        # Placed before the command is sent, so that no answer to it can lie before them.
        audit, rows = (
            _placed(stack.enter_context(opened(cluster, full_name(settings, name), 100))) for name in ("audit", _ROWS)
        )
        send_all(cluster, [message])
        answer = _until(deadline, audit, lambda m: _answer(m, subject_id, command))
        if answer is not None and answer.decision == "erased":
            # The row itself goes once the answer is safe.
            gone = _until(deadline, rows, lambda m: m.key == subject_id.encode() and m.value is None)
            return answer if gone else None
        return answer


def _placed(opened_ones: tuple[Any, list[Any]]) -> Any:
    consumer, partitions = opened_ones
    consumer.seek_to_end(*partitions)
    for partition in partitions:
        consumer.position(partition)
    return consumer


def _until(deadline: float, consumer: Any, found: Callable[[Any], M | None]) -> M | None:
    while time.monotonic() < deadline:
        for batch in consumer.poll(timeout_ms=200).values():
            for message in batch:
                if one := found(message):
                    return one
    return None


def _answer(message: Any, subject_id: str, command: Command) -> Answer | None:
    entry = AuditEntry.model_validate_json(message.value)
    to_us = entry.event_id == command.event_id and entry.decision in _ANSWERS
    if to_us or (entry.subject_id == subject_id and entry.decision in _DONE):
        return Answer(entry.decision, entry.reasons)
    return None
