"""Who must be woken when, whatever the clocks do."""

from datetime import UTC, datetime

import orjson
import pytest
from builders import NOW, Subject, fix, order
from hypothesis import given
from hypothesis import strategies as st
from test_broker_clock import Hands

from schemas.internal import SubjectEvent
from streams.alarms import MAX_UNDER_WAY, RETRY_S, Alarms, WakeUp, wake_up
from streams.broker_clock import BrokerClock
from streams.core.rows import dump, head

START = 1_000_000.0
"""The row's time, and the broker's, when a test begins."""


@pytest.fixture
def hands() -> Hands:
    return Hands()


@pytest.fixture
def alarms(hands: Hands) -> Alarms:
    return Alarms(BrokerClock(wall=lambda: START, monotonic=hands))


def popped(alarms: Alarms) -> list[bytes]:
    found = []
    while (due := alarms.pop()) is not None:
        found.append(due.subject)
    return found


def test_a_subject_is_woken_when_it_is_due_and_once(alarms: Alarms, hands: Hands) -> None:
    alarms.set(b"later", START + 60, START)
    alarms.set(b"sooner", START + 30, START)
    hands.at += 29.9
    assert popped(alarms) == []
    hands.at += 0.1
    assert popped(alarms) == [b"sooner"]
    hands.at += 30
    assert popped(alarms) == [b"later"]
    assert len(alarms) == 0


def test_the_newest_setting_counts(alarms: Alarms, hands: Hands) -> None:
    alarms.set(b"S1", START + 30, START)
    alarms.set(b"S1", START + 90, START)
    alarms.set(b"S2", START + 30, START)
    alarms.set(b"S2", None, START)
    hands.at += 89
    assert popped(alarms) == []
    hands.at += 1
    assert popped(alarms) == [b"S1"]


def test_of_very_many_that_are_due_some_wait_until_others_are_done(alarms: Alarms, hands: Hands) -> None:
    for number in range(3 * MAX_UNDER_WAY):
        alarms.set(b"S%d" % number, START + 10 + number, START)
    hands.at += 10_000
    first = popped(alarms)
    assert first == [b"S%d" % number for number in range(MAX_UNDER_WAY)]
    assert popped(alarms) == []
    for subject in first[:7]:
        alarms.set(subject, None, START)
    assert popped(alarms) == [b"S%d" % number for number in range(MAX_UNDER_WAY, MAX_UNDER_WAY + 7)]
    alarms.clear()
    alarms.set(b"S1", START + 10, START)
    hands.at += 10_000
    assert popped(alarms) == [b"S1"]


def test_settings_that_no_longer_count_do_not_pile_up(alarms: Alarms, hands: Hands) -> None:
    for number in range(10_000):
        alarms.set(b"S%d" % (number % 50), START + 3600 + number, START)
    assert len(alarms._heap) <= 1200
    hands.at += 20_000
    assert sorted(popped(alarms)) == sorted(b"S%d" % number for number in range(50))


@pytest.mark.parametrize("step", [-86_400.0, -60.0, 60.0, 86_400.0])
def test_a_step_of_the_brokers_clock_makes_no_wait_longer(alarms: Alarms, hands: Hands, step: float) -> None:
    alarms.set(b"S1", START + 300, START)
    hands.at += 100
    alarms.heard(START + 100 + step, hands.at)
    hands.at += 200
    assert alarms.pop() == WakeUp(b"S1", START + 300)


def test_a_step_forward_wakes_at_once_who_is_due_by_it(alarms: Alarms, hands: Hands) -> None:
    alarms.set(b"S1", START + 300, START)
    hands.at += 100
    alarms.heard(START + 400, hands.at)
    due = alarms.pop()
    assert due == WakeUp(b"S1", START + 100), "it has waited for 100 s; that more has passed is the broker's word"


def test_the_time_that_no_worker_ran_counts(alarms: Alarms, hands: Hands) -> None:
    alarms.set(b"S1", START - 500, START - 1000)
    assert popped(alarms) == []
    hands.at += RETRY_S
    assert popped(alarms) == [b"S1"]


def test_a_clock_that_ran_ahead_comes_too_early_and_is_set_again(alarms: Alarms, hands: Hands) -> None:
    """The worker's wall clock is an hour ahead: a wake-up that changes nothing, and then on time."""
    ahead = Alarms(BrokerClock(wall=lambda: START + 3600, monotonic=hands))
    ahead.set(b"S1", START + 300, START)
    ahead.set(b"S2", START + 310, START)
    hands.at += RETRY_S
    assert ahead.pop() == WakeUp(b"S1", START + RETRY_S)
    ahead.heard(START + RETRY_S, hands.at)
    ahead.set(b"S1", START + 300, START + RETRY_S)
    assert popped(ahead) == []
    hands.at += 310 - RETRY_S
    assert popped(ahead) == [b"S1", b"S2"]


@given(
    waits=st.lists(st.floats(0, 5_000), min_size=1, max_size=20),
    steps=st.lists(st.tuples(st.floats(0, 600), st.floats(-10_000, 10_000)), max_size=8),
)
def test_nobody_is_forgotten_or_late_whatever_the_clock_does(
    waits: list[float], steps: list[tuple[float, float]]
) -> None:
    hands = Hands()
    began = hands.at
    alarms = Alarms(BrokerClock(wall=lambda: START, monotonic=hands))
    for number, wait in enumerate(waits):
        alarms.set(str(number).encode(), START + wait, START)
    woken: dict[bytes, float] = {}

    def wake() -> None:
        while (due := alarms.pop()) is not None:
            assert due.subject not in woken
            assert due.row_time == pytest.approx(START + hands.at - began), "never more than has passed"
            woken[due.subject] = hands.at

    for passes, step in steps:
        hands.at += passes
        wake()
        alarms.heard(alarms.clock.now() + step, hands.at)
        wake()
        late = [n for n, wait in enumerate(waits) if began + max(wait, RETRY_S) < hands.at - 1e-6]
        assert {str(n).encode() for n in late} <= woken.keys()
    hands.at += 6_000
    wake()
    assert len(woken) == len(waits)


def test_the_times_of_a_row_are_read_without_the_rest_of_it() -> None:
    subject = Subject(order())
    subject.feed(fix(NOW))
    assert subject.state.wake_at is not None
    assert subject.state.now is not None
    assert head(dump(subject.state)) == (
        subject.state.wake_at.timestamp(),
        subject.state.now.timestamp(),
        subject.state.applied,
    )
    assert head(b'{"subject_id":"S1"}') == (None, 0.0, -1)
    with pytest.raises(ValueError, match="not a row"):
        head(b"{}")


def test_a_row_whose_fields_stand_in_another_order_is_read_whole() -> None:
    row = b'{"applied":7,"subject_id":"S1","now":"2026-11-25T08:00:00Z","tasks":[{"wake_at":"2020-01-01T00:00:00Z"}]}'
    assert head(row) == (None, datetime(2026, 11, 25, 8, tzinfo=UTC).timestamp(), 7)


def test_a_wake_up_says_how_far_the_row_has_come() -> None:
    raw = wake_up(b"S1", START, START + 9)
    assert orjson.loads(raw)["event"]["type"] == "deadline_due"
    event = SubjectEvent.read(raw).event
    assert (event.time, event.recordedtime) == (
        datetime.fromtimestamp(START, tz=UTC),
        datetime.fromtimestamp(START + 9, tz=UTC),
    )
