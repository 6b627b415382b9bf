"""Orders in force: which version and which terms held at a moment, and the words about the power to arrest."""

from datetime import datetime, timedelta

import pytest
from builders import (
    MADE,
    NOW,
    Subject,
    after,
    circle,
    fix,
    no_contact,
    order,
    order_ended,
    order_served,
    order_stayed,
    position,
    report,
    zone,
)

from schemas.base import Event, Position
from streams.core.force import ground, held_at, in_force, is_stayed, version_at, why_not

DAY = 86400


def version(subject: Subject, at: datetime, order_id: str = "O1") -> int | None:
    found = version_at(subject.state, subject.state.orders[order_id], at)
    return None if found is None else found.version


def term_holds(subject: Subject, at: datetime, where: Position | None = None, term_id: str = "t-zone") -> bool:
    state = subject.state
    held = held_at(state, subject.records, state.orders["O1"], at)
    assert held is not None
    return held.term_in_force(held.kept.terms[term_id], at, where)


def words(subject: Subject, at: datetime = NOW, version: int = 1, term_id: str | None = "t-zone") -> tuple[bool, str]:
    found = ground(subject.records, subject.state.orders["O1"], version, term_id, at)
    return found.confirmed, found.power


def test_before_it_was_made_nothing_is_in_force() -> None:
    subject = Subject(order())
    assert version(subject, MADE - timedelta(seconds=1)) is None
    assert version(subject, MADE) == 1
    assert "intelligence, not a breach" in why_not(subject.state, MADE - timedelta(days=1))[0]


def test_effect_may_begin_later_than_the_order_was_made() -> None:
    subject = Subject(order(effective_from=after(-DAY)))
    assert version(subject, MADE) is None
    assert version(subject, after(-DAY)) == 1


def test_no_end_means_live() -> None:
    subject = Subject(order(expires_at=None))
    assert version(subject, NOW + timedelta(days=36500)) == 1


def test_it_expires_at_the_moment_it_says() -> None:
    subject = Subject(order(expires_at=NOW))
    assert version(subject, after(-1)) == 1
    assert version(subject, NOW) is None
    assert why_not(subject.state, NOW) == ["order O1 had expired"]


@pytest.mark.parametrize("late_first", [False, True])
def test_versions_hold_by_effect_and_not_by_arrival(late_first: bool) -> None:
    versions = [order(version=1), order(version=2, effective_from=after(-DAY)), order(version=3, effective_from=NOW)]
    subject = Subject(*(reversed(versions) if late_first else versions))
    assert [version(subject, after(s)) for s in (-2 * DAY, -DAY, -1, 0)] == [1, 2, 2, 3]


def test_a_later_version_with_an_earlier_effect_wins_from_then() -> None:
    """A correction: version 3 takes effect before version 2 did."""
    subject = Subject(
        order(), order(version=2, effective_from=after(100)), order(version=3, effective_from=after(50))
    )
    assert [version(subject, after(s)) for s in (0, 60, 200)] == [1, 3, 3]


def test_renewed_by_a_version_with_a_later_end() -> None:
    subject = Subject(
        order(expires_at=after(100)), order(version=2, effective_from=after(50), expires_at=after(1000))
    )
    assert [version(subject, after(s)) for s in (0, 99, 500, 1000)] == [1, 2, 2, None]


def test_an_expired_version_is_not_revived_by_the_one_before() -> None:
    subject = Subject(order(), order(version=2, effective_from=after(10), expires_at=after(20)))
    assert [version(subject, after(s)) for s in (5, 15, 25)] == [1, 2, None]


@pytest.mark.parametrize("ends_first", [False, True])
def test_ended_by_the_court(ends_first: bool) -> None:
    events: list[Event] = [order(), order_ended(at=NOW)]
    subject = Subject(*(reversed(events) if ends_first else events))
    assert version(subject, after(-1)) == 1
    assert version(subject, NOW) is None
    assert "ended by the court" in why_not(subject.state, NOW)[0]


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_ends_the_earlier_counts_whichever_came_first(first: int) -> None:
    ends = [order_ended(at=after(-50)), order_ended(at=NOW)]
    subject = Subject(order(), ends[first], ends[1 - first])
    assert version(subject, after(-51)) == 1
    assert version(subject, after(-50)) is None


def test_stayed_for_a_time_only() -> None:
    subject = Subject(order(), order_stayed(at=NOW, until=after(100)))
    assert [version(subject, after(s)) for s in (-1, 0, 99, 100)] == [1, None, None, 1]
    assert why_not(subject.state, NOW) == ["order O1 was stayed by the court"]


@pytest.mark.parametrize("first", [0, 1])
def test_the_end_of_a_stay_may_be_stated_later(first: int) -> None:
    stays = [order_stayed(at=NOW), order_stayed(at=NOW, until=after(100))]
    subject = Subject(order(), stays[first], stays[1 - first])
    ref = subject.state.orders["O1"]
    assert is_stayed(ref, after(50))
    assert not is_stayed(ref, after(100))


@pytest.mark.parametrize("full_first", [False, True])
def test_an_interim_ends_when_the_full_order_takes_effect(full_first: bool) -> None:
    """SPA 2019 s5: even if its own period runs on."""
    events = [
        order("I1", kind="spo_interim", expires_at=after(90 * DAY)),
        order("O1", replaces="I1", effective_from=NOW),
    ]
    subject = Subject(*(reversed(events) if full_first else events))
    assert version(subject, after(-1), "I1") == 1
    assert version(subject, NOW, "I1") is None
    assert [held.name for held in in_force(subject.state, subject.records, NOW)] == ["O1/1"]
    assert any("main application was determined" in reason for reason in why_not(subject.state, NOW))


@pytest.mark.parametrize("order_of_arrival", [(0, 1, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0)])
def test_a_varied_full_order_does_not_move_the_end_of_its_interim(order_of_arrival: tuple[int, ...]) -> None:
    events = [
        order("I1", kind="spo_interim"),
        order("O1", 1, replaces="I1", effective_from=NOW),
        order("O1", 2, replaces="I1", effective_from=after(1000)),
    ]
    subject = Subject(*(events[index] for index in order_of_arrival))
    assert version(subject, after(500), "I1") is None
    assert version(subject, after(-1), "I1") == 1


@pytest.mark.parametrize("waiting_first", [False, True])
def test_an_order_may_wait_for_another_to_end(waiting_first: bool) -> None:
    events: list[Event] = [order("O1"), order("O2", effective_on_end_of="O1")]
    subject = Subject(*(reversed(events) if waiting_first else events))
    assert version(subject, NOW, "O2") is None
    assert "waits for an earlier order" in why_not(subject.state, NOW)[0]
    subject.feed(order_ended("O1", at=NOW))
    assert version(subject, NOW, "O2") == 1
    assert version(subject, after(-1), "O2") is None


def test_a_term_has_its_own_period() -> None:
    subject = Subject(order(terms=[zone(valid_from=after(10), valid_to=after(20)), no_contact()]))
    assert [term_holds(subject, after(s)) for s in (9, 10, 19, 20)] == [False, True, True, False]
    assert term_holds(subject, after(25), term_id="t-contact")


def test_a_term_limited_to_a_locality_holds_there_and_in_doubt() -> None:
    subject = Subject(order(terms=[zone(area=circle(200, 5000), locality=circle(1000))]))
    assert term_holds(subject, NOW, position(0, 0, 10))
    assert term_holds(subject, NOW, position(1005, 0, 10))  # straddles the edge: a person decides
    assert not term_holds(subject, NOW, position(1200, 0, 10))
    assert term_holds(subject, NOW, None)


def test_the_power_needs_proof_of_service() -> None:
    subject = Subject(order(served=False))
    confirmed, power = words(subject)
    assert not confirmed
    assert "serve the order now" in power
    subject.feed(order_served(at=NOW))
    assert words(subject, after(-1))[0] is False  # not yet served at the time of the breach
    confirmed, power = words(subject, NOW)
    assert confirmed
    assert "PACE 1984 s24" in power


def test_presence_in_court_is_notice() -> None:
    subject = Subject(order(served=False, present_in_court=True))
    assert words(subject)[0]
    assert ground(subject.records, subject.state.orders["O1"], 1, "t-zone", NOW).proof == "present in court"


def test_notice_of_an_unchanged_term_goes_on_and_of_a_tightened_one_does_not() -> None:
    """DAA 2021 s45(9)."""
    wider = zone(area=circle(400))
    subject = Subject(order(), order(version=2, served=False, terms=[wider, no_contact()], effective_from=after(-10)))
    assert words(subject, version=2, term_id="t-contact")[0]
    assert not words(subject, version=2, term_id="t-zone")[0]
    subject.feed(order_served(version=2, at=NOW))
    assert words(subject, version=2, term_id="t-zone")[0]


@pytest.mark.parametrize(("without_notice", "confirmed"), [(True, False), (False, True)])
def test_a_dapo_without_notice_needs_awareness(without_notice: bool, confirmed: bool) -> None:
    subject = Subject(order(kind="dapo", served=False, without_notice=without_notice))
    assert words(subject)[0] is confirmed
    subject.feed(order_served(at=NOW, method="told"))
    assert words(subject)[0]


@pytest.mark.parametrize(("attached", "served", "lacks_notice"), [(True, True, False), (True, False, True)])
def test_an_occupation_order_needs_its_power_attached_and_served(
    attached: bool, served: bool, lacks_notice: bool
) -> None:
    subject = Subject(order(kind="occupation", power_of_arrest_attached=attached, served=served))
    confirmed, power = words(subject)
    assert not confirmed  # for a person to check in any case
    assert ("no power of arrest is recorded" in power) is lacks_notice


@pytest.mark.parametrize("first", [0, 1])
def test_of_two_proofs_of_service_the_earlier_counts(first: int) -> None:
    proofs = [order_served(at=after(-100)), order_served(at=NOW)]
    subject = Subject(order(served=False), proofs[first], proofs[1 - first])
    assert words(subject, after(-50))[0]
    assert not words(subject, after(-101))[0]


def test_evidence_from_before_a_variation_is_judged_on_the_version_of_its_time() -> None:
    """traccar#6015: order version 2, then an event from before it."""
    subject = Subject(order(), order(version=2, terms=[no_contact()], effective_from=after(100)))
    subject.feed(fix(after(50)), fix(after(150), device="tag-2"), report(after(160)))
    assert [(f.term_id, f.order_version) for f in subject.breaches] == [("t-zone", 1), ("t-contact", 2)]
