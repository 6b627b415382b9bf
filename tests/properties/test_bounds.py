"""What must hold whatever happens for however long: the row's bound, one live task, ids, explained scores."""

from collections import defaultdict
from datetime import timedelta
from random import Random

from builders import (
    MADE,
    NOW,
    POLICY,
    Subject,
    after,
    away,
    circle,
    custody,
    fix,
    no_contact,
    order,
    order_served,
    policy_with,
    read,
    report,
    update,
    zone,
)
from histories import LATER, evidence, orders
from hypothesis import example, given, settings
from hypothesis import strategies as st

from schemas.base import Event
from schemas.orders import IdentifierKind
from streams.core.state import ROW_LIMIT_BYTES


def long_id(name: str, number: int) -> str:
    """As long as an id may be."""
    return f"{name}-{number}-".ljust(120, "x")


def big_order(order_id: str, version: int, terms: int, identifiers: int) -> Event:
    """An order with many terms: zones that overlap around HOME, and no-contact terms."""
    zones = [zone(f"z-{n}", circle(200 + n)) for n in range(terms // 2)]
    contacts = [no_contact(f"c-{n}") for n in range(terms - terms // 2)]
    named = [{"kind": IdentifierKind.PLATE, "value": f"AB{n:02}CDE"} for n in range(identifiers)]
    starts = MADE + timedelta(days=version)
    return order(order_id, version, terms=[*zones, *contacts], identifiers=named, effective_from=starts)


def crossings(count: int) -> list[Event]:
    """In and out of all zones around HOME."""
    return [fix(after(n * 700), away() if n % 2 else away(0, 5000), id=long_id("f", n)) for n in range(count)]


@st.composite
def busy_lives(draw: st.DrawFn) -> list[Event]:
    """Some hundreds of events, each kind many times."""
    events: list[Event] = []
    for number in range(draw(st.integers(1, 3))):
        terms = draw(st.sampled_from([2, 40, 120]))
        for version in range(1, draw(st.integers(1, 3)) + 1):
            events.append(big_order(f"O{number}", version, terms, draw(st.sampled_from([0, 200]))))
            events.append(order_served(f"O{number}", version, after(-100)))
    devices = draw(st.sampled_from([1, 5, 150]))
    places = [away(), away(300), away(0, 5000)]
    for number in range(draw(st.sampled_from([20, 100]))):
        at = after(number * draw(st.sampled_from([10, 700])))
        kind = draw(st.sampled_from(["fix", "fix", "read", "report", "update"]))
        where = draw(st.sampled_from(places))
        if kind == "fix":
            events.append(fix(at, where, device=long_id("tag", number % devices)[:64], id=long_id("f", number)))
        elif kind == "read":
            events.append(read(at, where, vrm=f"AB{number % devices:02}CDE", id=long_id("r", number)))
        elif kind == "report":
            events.append(report(at, wishes="w" * 200, id=long_id("b", number)))
        else:
            events.append(update("no-such-task", "note_wishes", at, reason="w" * 200))
    return draw(st.permutations(events)) if draw(st.booleans()) else events


@settings(max_examples=16)
@example([big_order("O0", 1, 300, 200), order_served("O0", 1, after(-100)), *crossings(20)], False)
@given(busy_lives(), st.booleans())
def test_no_row_outgrows_its_bound(events: list[Event], commits: bool) -> None:
    """`Subject` asserts the bound at each event, and that at most one task is live.

    Without commits the outbox grows until the core asks for one, as in a worker whose broker is slow.
    """
    subject = Subject()
    for number, event in enumerate(events):
        effects = subject.feed(event, now=LATER + timedelta(days=2), commits=commits)
        if effects.commit_now:
            subject.committed = subject.offset + 1
        task = subject.live
        if task is not None and number % 10 == 0:
            wishes = update(task.task_id, "note_wishes", event.time, reason="w" * 200)
            subject.feed(wishes, now=LATER + timedelta(days=2))
            done = update(task.task_id, "arrested", event.time) if number % 40 == 0 else custody("bailed", event.time)
            subject.feed(done, now=LATER + timedelta(days=2))
            for row in subject.state.safeguarding:
                told = update(row.safeguarding_id, "told", event.time, person_id="P1", reason="w" * 1000)
                subject.feed(told, now=LATER + timedelta(days=2))
    assert subject.max_row_bytes <= ROW_LIMIT_BYTES
    assert len(subject.state.orders) == len({e.data.order_id for e in events if e.type == "order"})  # type: ignore[attr-defined]


def test_a_year_of_breaches_fits_and_is_counted() -> None:
    """Hundreds of breaches of one task: the row keeps the newest, the task goes on counting."""
    subject = Subject(order())
    for day in range(300):
        at = after(day * 86400)
        subject.feed(fix(at), report(at + timedelta(seconds=5)))
    assert subject.task.breach_count == 600
    assert subject.max_row_bytes <= ROW_LIMIT_BYTES
    assert subject.breaches[-1].began_at == after(299 * 86400 + 5)


def test_fifty_protected_people_who_are_all_told_fit() -> None:
    people = [{"person_id": long_id("P", number)} for number in range(50)]
    subject = Subject(order(protected_persons=people, terms=[zone(protects=[])]), fix(NOW))
    for number in range(60):
        (row,) = subject.state.safeguarding
        who = long_id("P", number % 49)
        subject.feed(update(row.safeguarding_id, "told", after(number), person_id=who, reason="w" * 1000))
    assert subject.max_row_bytes <= ROW_LIMIT_BYTES
    (shown,) = subject.safeguarding.values()
    assert [person.owed for person in shown.people].count(True) == 1


def test_a_person_arrested_again_and_again_and_never_closed_fits() -> None:
    subject = Subject(order())
    for number in range(40):
        subject.feed(report(after(number * 1000), id=long_id("r", number)))
        subject.feed(custody("arrested", after(number * 1000 + 500)))
        subject.feed(custody("bailed", after(number * 1000 + 600)))
    assert subject.max_row_bytes <= ROW_LIMIT_BYTES
    assert len(subject.tasks) == 40


def test_judging_again_counts_no_breach_twice() -> None:
    subject = Subject(order())
    for hour in range(60):
        subject.feed(fix(after(hour * 3600)))
    assert subject.task.breach_count == 60
    subject.feed(order("O1", 2, effective_from=NOW - timedelta(days=1)))
    assert subject.task.breach_count == 60
    by_id = [alert.alert_id for alert in subject.alerts if alert.kind == "breach"]
    assert len(by_id) == len(set(by_id)) == 60


@given(orders(), evidence(), st.randoms(use_true_random=False))
def test_scores_are_the_sums_of_what_they_state_and_alert_ids_name_their_cause(
    made: list[Event], shown: list[Event], random: Random
) -> None:
    subject = Subject()
    arrived = [*made, *shown]
    random.shuffle(arrived)
    subject.feed(*arrived, now=LATER)
    names = [grade.name for grade in POLICY.grades]
    for effects in subject.effects:
        for task in effects.tasks:
            points = task.priority.contributions
            assert task.priority.score == sum(point.points for point in points)
            assert all(point.points and point.rule and point.reason for point in points)
            assert len({point.rule for point in points}) == len(points)
            # The grade only tightens, so it is at least what the score now asks for.
            assert names.index(task.grade) <= names.index(POLICY.grade_for(task.priority.score).name)
    causes = defaultdict(set)
    for alert in subject.alerts:
        causes[alert.alert_id].add((alert.kind, alert.subject_id, alert.breach_id))
    assert all(len(cause) == 1 for cause in causes.values())
    breach_alerts = defaultdict(set)
    for alert in subject.alerts:
        if alert.kind == "breach" and "stands again" not in alert.text:
            breach_alerts[alert.breach_id].add(alert.alert_id)
    assert all(len(ids) == 1 for ids in breach_alerts.values())
    assert {fact.breach_id for fact in subject.breaches} <= breach_alerts.keys()
    assert len({fact.breach_id for fact in subject.breaches}) == len(subject.breaches)


@given(st.integers(-100, 100), st.integers(-100, 100), st.booleans())
def test_any_points_sum_up(repeat: int, confirmed: int, weapons: bool) -> None:
    scores = POLICY.scores.model_dump()
    policy = policy_with(scores={"repeat": repeat, "certainty": scores["certainty"] | {"confirmed": confirmed}})
    subject = Subject(order(markers=["weapons"] if weapons else []), policy=policy)
    subject.feed(fix(after(0)), report(after(10)))
    priority = subject.task.priority
    assert priority.score == sum(point.points for point in priority.contributions)
    given_by = {point.rule: point.points for point in priority.contributions}
    assert given_by.get("repeat", 0) == repeat
    assert given_by.get("certainty.confirmed", 0) == confirmed
    assert ("marker.weapons" in given_by) == weapons
