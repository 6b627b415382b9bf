"""Rows of cases.md: faults that users of other trackers, plate readers and stream processors have reported.

The number is the row's. Rows about browsers, brokers and processes are tested where those run.
"""

import math
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from builders import Subject, away, fix, no_contact, order_ended, read, report, update, zone
from world import World, m, spo

from schemas.base import Event
from schemas.inbound import TOPIC_EVENTS, BadMessageError, BadReason, decode
from schemas.tasks import Certainty, TaskState

OUT = away(east_m=260)  # 60 m outside a zone of 200 m


def _s(seconds: float) -> datetime:
    return m(0) + timedelta(seconds=seconds)


def _body(event: Event) -> dict:  # type: ignore[type-arg]
    return event.model_dump(mode="json", exclude_none=True)


def _refused(topic: str, value: bytes | None) -> BadMessageError:
    with pytest.raises(BadMessageError) as error:
        decode(topic, value)
    return error.value


def test_case_01_parked_tag_that_flaps_neither_leaves_nor_enters() -> None:
    world = World(spo()).give(fix(_s(0)), fix(_s(30), OUT), fix(_s(60)), fix(_s(90)))
    assert (world.breach.began_at, world.breach.ended_at) == (_s(0), None)
    assert len(world.alerts("breach")) == 1
    (fact,) = world.state().breaches
    assert fact.opened_by.time == _s(0)
    (track,) = world.state().tracks.values()
    assert track.flaps == 1, "the flap is noted"
    world.give(fix(_s(120), OUT), fix(_s(150), OUT), fix(_s(180), OUT))
    assert world.breach.ended_at == _s(90), "three fixes outside are an exit"
    assert world.state().breaches[0].flaps == 1


def test_case_02_accuracy_is_not_ignored() -> None:
    inside = away(east_m=145)  # 55 m inside the edge
    vague = World(spo()).give(fix(m(1), inside, accuracy_m=150))
    assert vague.nothing_happened(), "one such fix is not enough"
    vague.give(fix(m(2), inside, accuracy_m=150), fix(m(3), inside, accuracy_m=150))
    assert vague.breach.certainty is Certainty.POSSIBLE
    sharp = World(spo()).give(fix(m(1), inside, accuracy_m=50))
    assert sharp.breach.certainty is Certainty.CONFIRMED


def test_case_03_backlog_is_history_not_new_crossings() -> None:
    world = World(spo(), now=m(-10)).give(*(fix(m(t), OUT) for t in (10, 11, 12)))
    world.give(fix(m(3)), fix(m(4)), fix(m(5)), now=m(13))
    assert (world.breach.began_at, world.breach.ended_at) == (m(3), m(5))
    assert len(world.alerts("breach")) == 1
    assert world.task.last_seen is not None
    assert world.task.last_seen.time == m(12), "the car goes to the newest place"
    in_order = World(spo(), now=m(-10))
    in_order.give(*(fix(m(t), OUT if t > 9 else None) for t in (3, 4, 5, 10, 11, 12)))
    assert (in_order.breach.began_at, in_order.breach.ended_at) == (m(3), m(5))


def test_case_04_late_event_is_judged_on_the_version_of_its_own_time() -> None:
    world = World(spo(terms=[no_contact()]), spo(version=2, made_at=m(-60)), now=m(-10))
    world.give(fix(m(-90)), now=m(1))
    assert not world.tasks, "version 1 had no zone"
    world.give(report(m(-90)), now=m(2))
    assert world.breach.order_version == 1


def test_case_08_latitude_0_longitude_0_is_not_a_place() -> None:
    null_island = zone(area={"type": "Circle", "centre": {"latitude": 0.0, "longitude": 0.0}, "radius_m": 500.0})
    world = World(spo(terms=[null_island])).give(fix(m(1), {"latitude": 0.0, "longitude": 0.0}))
    assert world.nothing_happened()
    assert world.state().last_seen is None
    assert "not a place" in world.why("no_position")
    near = World(spo(terms=[null_island])).give(fix(m(1), {"latitude": 0.0001, "longitude": 0.0}))
    assert near.breach.term_kind == "exclusion_zone"


@pytest.mark.parametrize(("longitude", "latitude"), [(-270.6, 51.5), (0.0, 90.01), (180.5, 0.0)])
def test_case_09_impossible_coordinates_are_a_dead_letter_with_the_reason(longitude: float, latitude: float) -> None:
    body = _body(fix(m(1)))
    body["data"]["position"] |= {"longitude": longitude, "latitude": latitude}
    error = _refused("sightings", orjson.dumps(body))
    assert error.reason is BadReason.INVALID_FIELD
    assert "data.position." in error.detail
    assert str(longitude) not in error.detail


def test_case_10_bad_fix_does_not_discard_the_alarm() -> None:
    world = World(spo()).give(fix(m(1), {"latitude": 0.0, "longitude": 0.0}, tamper=True))
    assert world.kinds() == {"tag_tamper"}
    assert world.state().last_seen is None


def test_case_11_first_fix_already_inside_is_a_breach() -> None:
    world = World(spo()).give(fix(m(1)))
    assert (world.breach.began_at, world.breach.certainty) == (m(1), Certainty.CONFIRMED)


def test_case_14_off_inside_on_outside_is_reconciled_and_the_gap_is_stated() -> None:
    world = World(spo()).give(fix(m(0)), fix(m(5))).wait(m(180))
    assert world.breach.ended_at == m(5), "when it was last known to go on, not when the tag came back"
    assert world.alert("tag_silent").text == "tag tag-1 is silent since 2026-11-25 08:05Z"
    world.give(fix(m(185), OUT))
    assert (world.breach.began_at, world.breach.ended_at) == (m(0), m(5))
    assert len(world.alerts("breach")) == 1
    assert world.task.last_seen is not None
    assert world.task.last_seen.time == m(185)


@pytest.mark.parametrize("late", [False, True])
def test_case_18_order_that_ends_while_the_subject_is_inside_leaves_the_task_with_lapsed(late: bool) -> None:
    world = World(spo()).give(fix(m(1)), fix(m(5)))
    ends = order_ended(at=m(10))
    if late:
        world.give(fix(m(15)), ends, now=m(16))
    else:
        world.give(ends, fix(m(15)))
    assert world.task.state is TaskState.OPEN
    assert (world.breach.began_at, world.breach.ended_at) == (m(1), m(5))
    assert world.breach.flags == ["lapsed: the order ended before the subject was known to have left"]
    assert set(world.breach.flags) < set(world.task.flags)


def test_case_18_period_that_runs_out_while_the_subject_is_inside_lapses_too() -> None:
    world = World(spo(kind="spo_interim", expires_at=m(10))).give(fix(m(1)), fix(m(9)), fix(m(11)))
    assert world.breach.ended_at == m(9)
    assert world.breach.flags == ["lapsed: the order ended before the subject was known to have left"]
    term = World(spo(terms=[zone(valid_to=m(10)), no_contact()])).give(fix(m(1)), fix(m(9)), fix(m(11)))
    assert term.breach.ended_at == m(9)


def test_case_20_same_event_judged_by_two_workers_has_the_same_ids() -> None:
    events = [spo(), fix(m(1), id="f"), report(m(2), id="r")]
    first, second = (World().give(*events, now=m(3)) for _ in range(2))
    assert [t.task_id for t in first.tasks] == [t.task_id for t in second.tasks]
    assert [a.alert_id for a in first.alerts()] == [a.alert_id for a in second.alerts()]
    assert [b.breach_id for b in first.breaches] == [b.breach_id for b in second.breaches]


def test_case_20_send_that_failed_after_the_row_was_written_is_repeated_with_the_same_ids() -> None:
    subject = Subject(spo())
    event = report(m(1))
    lost = subject.feed(event)
    again = subject.replay(event)
    assert again.alerts == lost.alerts
    assert again.audits == lost.audits
    assert again.tasks == lost.tasks
    assert len(subject.breaches) == 1
    assert subject.task.breach_count == 1


def test_case_23_new_critical_does_not_wait_for_a_group() -> None:
    world = World(spo(risk="standard")).give(*(report(m(i), "other") for i in range(1, 6)))
    world.give(fix(m(6)))
    newest = world.alerts("breach")[-1]
    assert (newest.severity, newest.at) == ("critical", m(6))


def test_case_26_acknowledged_task_is_not_paged_again() -> None:
    world = World(spo()).give(fix(m(1)))
    world.wait(m(5.9)).give(update(world.task.task_id, "acknowledge", m(5.9)))
    before = world.alerts("escalation")
    assert [alert.to for alert in before] == ["controller"], "of the steps only the one before it was taken"
    assert world.wait(m(10.8)).alerts("escalation") == before, "not at the 5, nor at the 10 minutes' step"
    assert world.task.next_escalation_at is None


@pytest.mark.parametrize("topic", sorted(TOPIC_EVENTS))
def test_case_27_null_value_and_the_text_null_end_nothing_and_say_which_they_were(topic: str) -> None:
    assert _refused(topic, None).reason is BadReason.NULL_VALUE
    assert "order_ended" in _refused(topic, None).detail
    assert _refused(topic, b"null").reason is BadReason.NOT_AN_OBJECT


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{{{", BadReason.NOT_JSON),
        (b"\xff", BadReason.NOT_UTF8),
        (b"NaN", BadReason.NOT_JSON),
        (b'{"type": "tag_fix", "data": {"x": NaN}}', BadReason.NOT_JSON),
        (b"", BadReason.EMPTY),
        (b"[]", BadReason.NOT_AN_OBJECT),
        (b"12", BadReason.NOT_AN_OBJECT),
        (b'{"type": 7}', BadReason.UNKNOWN_TYPE),
        (b'{"type": "order"}', BadReason.WRONG_TOPIC),
        (b'{"type": "tag_fix", "schemaversion": 2}', BadReason.UNKNOWN_VERSION),
        (b'{"type": "tag_fix"}', BadReason.INVALID_FIELD),
        (b"[" * 100_000, BadReason.NOT_JSON),
    ],
)
def test_case_28_bad_record_is_refused_with_its_reason_and_the_next_is_processed(
    value: bytes, reason: BadReason
) -> None:
    world = World(spo())
    world.pipeline.feed("sightings", value, m(1))
    (error,) = world.pipeline.refused
    assert error.reason is reason
    assert error.detail
    world.pipeline.refused.clear()
    world.give(fix(m(2)))
    assert world.breach.began_at == m(2)


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_case_28_numbers_that_json_does_not_have_are_refused(number: float) -> None:
    body = _body(fix(m(1)))
    body["data"]["position"]["latitude"] = "HERE"
    raw = orjson.dumps(body).replace(b'"HERE"', str(number).replace("inf", "Infinity").replace("nan", "NaN").encode())
    assert _refused("sightings", raw).reason is BadReason.NOT_JSON


def test_case_30_key_comes_from_the_body() -> None:
    """Nothing here takes a key: whoever a null-keyed event is about, its body says."""
    world = World(spo()).give(fix(m(1)), report(m(2), order_id="O1"))
    assert {task.subject_id for task in world.tasks} == {"S1"}


def test_case_33_misread_by_one_glyph_is_the_plate_and_a_dropped_character_is_a_candidate() -> None:
    same = World(spo()).give(read(m(1), vrm="BDI5DLO"))
    assert same.breach.certainty is Certainty.VEHICLE
    dropped = World(spo()).give(read(m(1), vrm="BD15DO"))
    assert not dropped.tasks
    assert dropped.alert("check_plate").severity == "medium"
    assert same.alerts("breach")[0].severity == "high"


@pytest.mark.parametrize(
    "time",
    ["2026-10-25T01:30:00", "2026-10-25", "2026-10-25 01:30:00Z", "1729819800", "25/10/2026 01:30", "01:30:00Z"],
)
def test_case_36_time_without_an_offset_is_refused(time: str) -> None:
    body = _body(fix(m(1))) | {"time": time}
    error = _refused("sightings", orjson.dumps(body))
    assert error.reason is BadReason.INVALID_FIELD
    assert "RFC 3339" in error.detail
    assert _refused("sightings", orjson.dumps(body | {"time": 1729819800})).reason is BadReason.INVALID_FIELD


@pytest.mark.parametrize("offset", ["+01:00", "+00:00"])
def test_case_36_both_half_past_ones_of_25_october_are_within_the_curfew(offset: str) -> None:
    at = datetime.fromisoformat(f"2026-10-25T01:30:00{offset}").astimezone(UTC)
    home = {"type": "Circle", "centre": away(), "radius_m": 100.0}
    curfew = {"term_id": "t-c", "kind": "curfew", "area": home, "start": "01:00", "until": "02:00"}
    order = spo(terms=[curfew], made_at=at - timedelta(days=30))
    assert World(order, now=at - timedelta(hours=2)).give(fix(at, OUT)).breach.term_kind == "curfew"
    assert World(order, now=at - timedelta(hours=2)).give(fix(at)).nothing_happened()
