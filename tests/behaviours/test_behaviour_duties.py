"""Behaviours 11, 12, 13 and 18: what must be done, and is breached by the absence of an event."""

from datetime import UTC, datetime, timedelta

import pytest
from builders import circle, custody, order_ended, order_served, requirement_met
from world import World, m, spo

from schemas.tasks import Certainty

MONDAY = datetime(2026, 11, 30, 10, 0, tzinfo=UTC)
WEDNESDAY_MIDNIGHT = datetime(2026, 12, 3, 0, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DAY = timedelta(days=1)
AREA_FAR = circle(east_m=5000)


def _zone_far() -> dict[str, object]:
    return {"term_id": "t-zone", "kind": "exclusion_zone", "area": AREA_FAR}


def _spo(**more: object):  # type: ignore[no-untyped-def]
    return spo(**{"served": False, "terms": [_zone_far()], **more})


# -- 11: the clock ---------------------------------------------------------------------------------------------


def test_behaviour_11_served_on_monday_must_notify_by_the_end_of_wednesday() -> None:
    world = World(_spo(), now=MONDAY - DAY).give(order_served(at=MONDAY))
    world.wait(WEDNESDAY_MIDNIGHT - SECOND)
    assert world.nothing_happened()
    world.wait(WEDNESDAY_MIDNIGHT + SECOND)
    breach = world.breach
    assert (breach.term_kind, breach.certainty, breach.began_at) == ("notify", Certainty.POSSIBLE, WEDNESDAY_MIDNIGHT)
    assert breach.flags == ["no record that it was done: ask the agency before acting, its records may be late"]
    assert world.alert("breach").task_id == world.task.task_id


def test_behaviour_11_three_days_end_by_the_clock_of_london_not_of_utc() -> None:
    monday = datetime(2026, 7, 6, 10, 0, tzinfo=UTC)
    world = World(_spo(made_at=monday - DAY), now=monday - DAY).give(order_served(at=monday))
    end = datetime(2026, 7, 8, 23, 0, tzinfo=UTC)  # midnight, British Summer Time
    assert world.wait(end - SECOND).nothing_happened()
    assert world.wait(end + SECOND).breach.began_at == end


def test_behaviour_11_service_just_before_midnight_in_london_counts_from_that_day() -> None:
    late = datetime(2026, 7, 6, 23, 30, tzinfo=UTC)  # 00:30 on Tuesday in London
    world = World(_spo(made_at=late - DAY), now=late - DAY).give(order_served(at=late))
    end = datetime(2026, 7, 9, 23, 0, tzinfo=UTC)
    assert world.wait(end - SECOND).nothing_happened()
    assert world.wait(end + SECOND).breach.began_at == end


def test_behaviour_11_unserved_spo_has_no_clock_and_a_dapo_counts_from_making() -> None:
    assert World(_spo(made_at=MONDAY), now=MONDAY).wait(MONDAY + 10 * DAY).nothing_happened()
    dapo = World(_spo(kind="dapo", made_at=MONDAY), now=MONDAY)
    assert dapo.wait(WEDNESDAY_MIDNIGHT - SECOND).nothing_happened()
    assert dapo.wait(WEDNESDAY_MIDNIGHT + SECOND).breach.term_kind == "notify"


def test_behaviour_11_presence_in_court_starts_the_clock_and_being_told_does_not() -> None:
    present = World(_spo(made_at=MONDAY, present_in_court=True), now=MONDAY).wait(WEDNESDAY_MIDNIGHT + SECOND)
    assert present.breach.term_kind == "notify"
    told = World(_spo(made_at=MONDAY), now=MONDAY).give(order_served(at=MONDAY, method="told"))
    assert told.wait(MONDAY + 10 * DAY).nothing_happened()


def test_behaviour_11_notified_in_time_is_no_breach_however_late_the_record() -> None:
    in_time = World(_spo(), now=MONDAY - DAY).give(order_served(at=MONDAY), requirement_met(None, MONDAY + DAY))
    assert in_time.wait(MONDAY + 10 * DAY).nothing_happened()

    late = World(_spo(), now=MONDAY - DAY).give(order_served(at=MONDAY)).wait(WEDNESDAY_MIDNIGHT + SECOND)
    assert late.terms() == ["notify"]
    late.give(requirement_met(None, MONDAY + DAY), now=MONDAY + 4 * DAY)
    assert late.breaches == []
    assert late.task.flags == ["withdrawal recommended: no breach stands any more"]
    assert "done in time" in late.why("breach_withdrawn")


def test_behaviour_11_notified_too_late_is_still_a_breach() -> None:
    world = World(_spo(), now=MONDAY - DAY).give(order_served(at=MONDAY)).wait(WEDNESDAY_MIDNIGHT + SECOND)
    world.give(requirement_met(None, MONDAY + 4 * DAY))
    assert world.terms() == ["notify"]


# -- 12: whose duty it is not ----------------------------------------------------------------------------------


def test_behaviour_12_no_notification_where_a_full_order_replaces_an_interim() -> None:
    world = World(_spo(made_at=MONDAY, present_in_court=True, replaces="INTERIM"), now=MONDAY)
    assert world.wait(MONDAY + 10 * DAY).nothing_happened()


def test_behaviour_12_no_notification_while_the_subject_notifies_elsewhere_and_again_when_that_ends() -> None:
    world = World(_spo(made_at=MONDAY, present_in_court=True, notifies_elsewhere=True), now=MONDAY)
    assert world.wait(MONDAY + 10 * DAY).nothing_happened()
    friday = datetime(2026, 12, 11, 9, 0, tzinfo=UTC)
    world.give(_spo(version=2, made_at=friday, present_in_court=True))
    end = datetime(2026, 12, 14, 0, 0, tzinfo=UTC)
    assert world.wait(end - SECOND).nothing_happened()
    assert world.wait(end + SECOND).breach.began_at == end


@pytest.mark.parametrize("kind", ["restraining", "non_molestation", "court_bail", "dapn", "licence"])
def test_behaviour_12_kinds_without_the_duty_never_alert(kind: str) -> None:
    world = World(_spo(kind=kind, made_at=MONDAY, present_in_court=True), now=MONDAY)
    assert world.wait(MONDAY + 10 * DAY).nothing_happened()


# -- 13: one matter --------------------------------------------------------------------------------------------


def test_behaviour_13_continuing_failure_to_notify_is_one_matter_not_one_a_day() -> None:
    world = World(_spo(), now=MONDAY - DAY).give(order_served(at=MONDAY)).wait(MONDAY + 30 * DAY)
    world.give(_spo(version=2, made_at=MONDAY + 31 * DAY)).wait(MONDAY + 60 * DAY)
    assert world.terms() == ["notify"]
    assert len(world.alerts("breach")) == 1
    assert world.task.breach_count == 1


# -- 18: omissions ---------------------------------------------------------------------------------------------

SESSION = datetime(2026, 12, 1, 14, 0, tzinfo=UTC)
END_OF_SESSION_DAY = datetime(2026, 12, 2, 0, 0, tzinfo=UTC)


def _programme(*sessions: datetime) -> dict[str, object]:
    return {"term_id": "t-prog", "kind": "attend", "sessions": list(sessions)}


def _world(*terms: dict[str, object]) -> World:
    return World(_spo(kind="restraining", made_at=MONDAY, terms=list(terms)), now=MONDAY)


def test_behaviour_18_missed_programme_session_alerts_from_the_absence_of_an_event() -> None:
    world = _world(_programme(SESSION, SESSION + 7 * DAY)).wait(END_OF_SESSION_DAY - SECOND)
    assert world.nothing_happened()
    world.wait(END_OF_SESSION_DAY + SECOND)
    assert (world.breach.term_kind, world.breach.began_at) == ("attend", END_OF_SESSION_DAY)
    assert "no record that" in world.breach.reason
    assert world.task.grade == "prompt", "an omission on the record is for the agency first"
    world.wait(SESSION + 9 * DAY)
    assert world.terms() == ["attend", "attend"], "each session is a matter of its own"


def test_behaviour_18_attended_session_never_alerts_and_only_that_session_is_met() -> None:
    world = _world(_programme(SESSION, SESSION + 7 * DAY))
    world.give(requirement_met("t-prog", SESSION)).wait(SESSION + 6 * DAY)
    assert world.nothing_happened()
    world.wait(SESSION + 9 * DAY)
    assert world.breach.began_at == END_OF_SESSION_DAY + 7 * DAY


def test_behaviour_18_record_of_attendance_that_arrives_late_corrects_the_breach() -> None:
    world = _world(_programme(SESSION)).wait(END_OF_SESSION_DAY + SECOND)
    world.give(requirement_met("t-prog", SESSION), now=SESSION + 3 * DAY)
    assert world.breaches == []
    assert world.alert("correction").task_id == world.task.task_id


def test_behaviour_18_sign_on_and_surrender_are_due_at_their_own_times_with_the_grace_of_policy() -> None:
    grace = timedelta(hours=1)
    sign_on = {"term_id": "t-sign", "kind": "sign_on", "days": ["wed"], "by": "12:00"}
    surrender = {"term_id": "t-surr", "kind": "surrender", "due": MONDAY + timedelta(hours=4)}
    world = _world(sign_on, surrender).wait(MONDAY + timedelta(hours=5) - SECOND)
    assert world.nothing_happened()
    world.wait(MONDAY + timedelta(hours=5) + SECOND)
    assert world.terms() == ["surrender"]
    noon = datetime(2026, 12, 2, 12, 0, tzinfo=UTC)
    world.wait(noon + grace - SECOND)
    assert world.terms() == ["surrender"]
    world.wait(noon + grace + SECOND)
    assert world.terms() == ["surrender", "sign_on"]
    world.give(requirement_met("t-sign", noon + 7 * DAY - grace)).wait(noon + 13 * DAY)
    assert world.terms() == ["surrender", "sign_on"], "signed on the next Wednesday"


def test_behaviour_18_nothing_is_due_once_the_order_or_the_term_has_ended() -> None:
    world = _world(_programme(SESSION)).give(order_ended(at=MONDAY + timedelta(hours=1)))
    assert world.wait(SESSION + 9 * DAY).nothing_happened()
    expired = _world({**_programme(SESSION), "valid_to": SESSION - timedelta(hours=1)})
    assert expired.wait(SESSION + 9 * DAY).nothing_happened()


def test_behaviour_18_what_falls_due_in_a_cell_says_so() -> None:
    world = _world(_programme(SESSION)).give(custody("detained", MONDAY + timedelta(hours=1)))
    world.wait(END_OF_SESSION_DAY + SECOND)
    assert "ask custody whether it could be done at all" in world.breach.flags[1]
    free = _world(_programme(SESSION)).give(custody("released", MONDAY + timedelta(hours=1)))
    assert len(free.wait(END_OF_SESSION_DAY + SECOND).breach.flags) == 1


def test_behaviour_18_an_omission_has_no_place_and_moves_nobody() -> None:
    world = _world(_programme(SESSION)).wait(END_OF_SESSION_DAY + SECOND)
    assert world.task.last_seen is None


def test_behaviour_18_years_of_signing_on_leave_the_row_small() -> None:
    """What was done or missed is forgotten after four weeks, and no day is raised again."""
    daily = {
        "term_id": "s",
        "kind": "sign_on",
        "days": ["mon", "tue", "wed", "thu", "fri", "sat", "sun"],
        "by": "12:00",
    }
    world = World(spo(terms=[daily]))
    for day in range(60):
        world.wait(m(day * 24 * 60))
    ref = world.state().orders["O1"]
    assert len(ref.missed) <= 30
    assert len({alert.alert_id for alert in world.alerts("breach")}) == len(world.alerts("breach"))
