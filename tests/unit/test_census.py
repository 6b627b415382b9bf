"""How many orders are live, and what is silent, from rows as they are stored."""

from datetime import timedelta

from builders import NOW, Subject, after, fix, order, order_ended, wake
from hypothesis import given
from hypothesis import strategies as st

from streams.core import census
from streams.core.census import Census


def of(*subjects: Subject, after_s: float = 0) -> Census:
    rows = [subject.row for subject in subjects]
    return census.total([census.count(row) for row in rows if row is not None], after(after_s))


def test_orders_are_counted_by_kind_until_they_are_over() -> None:
    one, two, ended = (
        Subject(order()),
        Subject(order(kind="restraining")),
        Subject(order(), order_ended(at=after(60))),
    )
    assert of(one, two).live_orders == {"spo_full": 1, "restraining": 1}
    assert of(ended, after_s=59).live_orders == {"spo_full": 1}
    assert of(ended, after_s=61).live_orders == {}


def test_an_order_that_has_expired_is_not_live() -> None:
    subject = Subject(order(expires_at=NOW + timedelta(days=30)))
    assert of(subject).live_orders == {"spo_full": 1}
    assert of(subject, after_s=31 * 86_400).live_orders == {}


def test_a_second_version_is_no_second_order() -> None:
    subject = Subject(order(), order(version=2))
    assert of(subject).live_orders == {"spo_full": 1}


def test_exercises_are_not_counted() -> None:
    assert of(Subject(order(), subject_id="exercise/S1")) == of()


def test_a_tag_is_silent_from_its_alert_until_its_next_fix() -> None:
    subject = Subject(order(), fix(after(0)))
    assert of(subject).silent_devices == 0
    for hours in range(1, 30):
        subject.feed(wake(after(hours * 3600)))
    assert of(subject).silent_devices == 1
    subject.feed(fix(after(40 * 3600)))
    assert of(subject).silent_devices == 0


@given(st.lists(st.sampled_from(["spo_full", "restraining", "dapo"]), max_size=6))
def test_the_whole_is_the_sum_of_its_rows(kinds: list[str]) -> None:
    subjects = [Subject(order(kind=kind)) for kind in kinds]
    whole = of(*subjects)
    assert whole.live_orders == sum((of(each).live_orders for each in subjects), of().live_orders)
