"""Whom an event is about: the index decides, by kind, value, time and world."""

from datetime import datetime
from typing import Any

import pytest
from builders import (
    NOW,
    SUBJECT,
    Subject,
    adjudicated,
    after,
    custody,
    face,
    fix,
    order,
    order_ended,
    order_served,
    order_stayed,
    read,
    report,
    requirement_met,
    retraction,
    seen,
    update,
)

from schemas.base import EXERCISE, Event
from schemas.internal import Arrival, Held, encode_held
from schemas.orders import IdentifierKind, IdentifierRecord, Role
from streams.core.index import IdentifierIndex
from streams.core.resolve import Target, direct_subject, references, resolve, world_id

K = IdentifierKind


def named(
    kind: IdentifierKind,
    value: str,
    subject: str = SUBJECT,
    *,
    order_id: str = "O1",
    role: Role = Role.SUBJECT,
    person_id: str | None = None,
    valid_from: datetime | None = None,
    valid_to: datetime | None = None,
) -> IdentifierRecord:
    return IdentifierRecord(
        kind=kind,
        value=value,
        subject_id=subject,
        role=role,
        person_id=person_id,
        order_id=order_id,
        valid_from=valid_from,
        valid_to=valid_to,
    )


def index(*records: IdentifierRecord) -> IdentifierIndex:
    found = IdentifierIndex()
    for record in records:
        found.add(record)
    return found


def subjects(event: Event, *records: IdentifierRecord) -> list[str]:
    return [target.subject_id for target in resolve(event, index(*records))]


@pytest.mark.parametrize(
    "event",
    [
        order(),
        order_served(),
        order_ended(),
        order_stayed(),
        requirement_met(None, NOW),
        retraction("e1"),
        update("T1", "acknowledge", NOW),
    ],
    ids=lambda event: event.type,
)
def test_what_names_its_subject_with_authority_needs_no_index(event: Event) -> None:
    assert direct_subject(event) == SUBJECT
    assert resolve(event, index()) == [Target(SUBJECT)]


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (fix(NOW), [(K.TAG, "tag-1")]),
        (read(NOW), [(K.PLATE, "BD15 DLO")]),
        (face(NOW), [(K.FACE, "wl-1")]),
        (adjudicated("f1", NOW), [(K.FACE, "wl-1")]),
        (seen(NOW), [(K.SUBJECT, SUBJECT)]),
        (custody("detained", NOW), [(K.SUBJECT, SUBJECT)]),
        (report(NOW), [(K.SUBJECT, SUBJECT)]),
        (
            report(NOW, order_id="O1", subject_id=SUBJECT, identifiers=[{"kind": "phone", "value": "+447700900001"}]),
            [(K.ORDER, "O1"), (K.SUBJECT, SUBJECT), (K.PHONE, "+447700900001")],
        ),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_what_an_event_names_somebody_by(event: Event, wanted: list[tuple[IdentifierKind, str]]) -> None:
    assert references(event) == wanted
    assert resolve(event, index()) == []
    kind, value = wanted[0]
    assert subjects(event, named(kind, value)) == [SUBJECT]


def test_one_identifier_may_name_several_subjects() -> None:
    records = [named(K.TAG, "tag-1", "S1"), named(K.TAG, "tag-1", "S2", order_id="O2")]
    assert subjects(fix(NOW), *records) == ["S1", "S2"]


def test_one_subject_is_named_once_however_many_orders_and_identifiers_say_so() -> None:
    event = report(NOW, order_id="O1", subject_id=SUBJECT, identifiers=[{"kind": "plate", "value": "BD15DLO"}])
    records = [
        named(K.ORDER, "O1"),
        named(K.SUBJECT, SUBJECT),
        named(K.SUBJECT, SUBJECT, order_id="O2"),
        named(K.PLATE, "BD15DLO"),
    ]
    assert subjects(event, *records) == [SUBJECT]


@pytest.mark.parametrize(("at", "known"), [(-1, False), (0, True), (99, True), (100, False)])
def test_an_identifier_names_somebody_for_its_period(at: int, known: bool) -> None:
    record = named(K.TAG, "tag-1", valid_from=NOW, valid_to=after(100))
    assert bool(subjects(fix(after(at)), record)) is known


def test_exercise_traffic_is_a_world_apart() -> None:
    world = world_id(SUBJECT, exercise=True)
    assert world == f"{EXERCISE}{SUBJECT}"
    records = [named(K.PLATE, "BD15DLO"), named(K.PLATE, "BD15DLO", world)]
    played = read(NOW).model_copy(update={"exercise": True})
    assert subjects(played, *records) == [world]
    assert subjects(read(NOW), *records) == [SUBJECT]
    assert resolve(order(exercise=True), index()) == [Target(world)]


def test_a_protected_persons_device_goes_to_the_subject_as_theirs() -> None:
    record = named(K.TAG, "tag-1", role=Role.PROTECTED_PERSON, person_id="P1")
    assert resolve(fix(NOW), index(record)) == [Target(SUBJECT, Role.PROTECTED_PERSON, "tag", "P1")]


@pytest.mark.parametrize(
    ("vrm", "match"),
    [("BD15 DLO", "plate"), ("BDI5DL0", "plate"), ("8D15DLO", "look-alike"), ("BD15LO", "look-alike")],
)
def test_plates_match_by_position_and_look_alikes_say_so(vrm: str, match: str) -> None:
    (target,) = resolve(read(NOW, vrm=vrm), index(named(K.PLATE, "BD15DLO")))
    assert target.match == match


@pytest.mark.parametrize("vrm", ["BD16DLO", "DLO", "X"])
def test_other_plates_match_nobody(vrm: str) -> None:
    assert resolve(read(NOW, vrm=vrm), index(named(K.PLATE, "BD15DLO"))) == []


def test_a_plate_that_names_somebody_is_no_look_alike_of_itself() -> None:
    records = [named(K.PLATE, "BD15DLO", "S1"), named(K.PLATE, "8D15DLO", "S2")]
    found = {t.subject_id: t.match for t in resolve(read(NOW), index(*records))}
    assert found == {"S1": "plate", "S2": "look-alike"}


def emitted(*events: Event) -> list[tuple[Any, ...]]:
    return [(r.kind, r.value, r.valid_to) for r in Subject(*events).identifiers]


def test_an_order_says_whom_it_names() -> None:
    named_by = emitted(order(identifiers=[{"kind": "plate", "value": "BD15DLO"}]))
    assert set(named_by) == {(K.SUBJECT, SUBJECT, None), (K.ORDER, "O1", None), (K.PLATE, "BD15DLO", None)}


@pytest.mark.parametrize("late", [False, True])
def test_an_identifier_that_a_later_version_drops_ends_with_it(late: bool) -> None:
    versions = [order(identifiers=[{"kind": "plate", "value": "BD15DLO"}]), order(version=2, effective_from=NOW)]
    newest = {(kind, value): to for kind, value, to in emitted(*(reversed(versions) if late else versions))}
    assert newest[(K.PLATE, "BD15DLO")] == NOW


def test_an_event_that_was_held_goes_on_as_it_arrived() -> None:
    """The trace of its message's header too, which its body may not have."""
    arrival = Arrival(
        topic="sightings",
        partition=1,
        offset=2,
        appended_at=NOW,
        sha256="0" * 64,
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )
    held = Held.read(encode_held(arrival, fix(NOW).model_dump_json(exclude_none=True).encode()))
    target = Target("S1", Role.PROTECTED_PERSON, "tag", "P1")
    assert target.routing(held) == target.routing(arrival)
    assert target.routing(held).traceparent == arrival.traceparent
    assert (target.routing(held).role, target.routing(held).person_id) == (Role.PROTECTED_PERSON, "P1")
