"""The facts: which event breached which term, how certain, from when to when. However it arrived."""

from datetime import timedelta
from random import Random

from builders import POLICY, Subject, fix, order, policy_with, wake, zone
from histories import AREAS, LATER, PLACES, evidence, orders, tracks
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Event
from streams.core.judge import is_zone_evidence, lineages, visit_certainty, visits_in
from streams.core.policy import Policy

POLICIES = [
    policy_with(visits={"enter_fixes": enter, "leave_fixes": leave, "possible_fixes": possible})
    for enter, leave, possible in [(1, 3, 3), (3, 3, 3), (1, 1, 1), (2, 2, 20)]
]


def fed(events: list[Event], policy: Policy = POLICY) -> Subject:
    subject = Subject(policy=policy)
    subject.feed(*events, now=LATER)
    return subject


@given(orders(), evidence(), st.sampled_from(POLICIES), st.randoms(use_true_random=False))
def test_facts_do_not_depend_on_arrival_order(
    made: list[Event], shown: list[Event], policy: Policy, random: Random
) -> None:
    in_order = fed([*made, *sorted(shown, key=lambda event: event.time)], policy)
    arrived = [*made, *shown]
    random.shuffle(arrived)
    assert fed(arrived, policy).facts() == in_order.facts()


@given(orders(), evidence(), st.randoms(use_true_random=False))
def test_facts_do_not_depend_on_duplicates(made: list[Event], shown: list[Event], random: Random) -> None:
    once = [*made, *shown]
    random.shuffle(once)
    twice = [*once, *random.choices(once, k=len(once))]
    random.shuffle(twice)
    first_arrivals = list({event.event_id: event for event in twice}.values())
    again = fed(twice)
    assert again.facts() == fed(first_arrivals).facts()
    assert len(again.tasks) <= 1


@given(orders(), evidence(), st.sampled_from(POLICIES), st.randoms(use_true_random=False))
def test_facts_do_not_depend_on_when_the_row_was_woken(
    made: list[Event], shown: list[Event], policy: Policy, random: Random
) -> None:
    """A worker that wakes the row in the middle of a backlog ends visits by silence; what comes goes on with them."""
    quiet = [*made, *sorted(shown, key=lambda event: event.time)]
    woken = list(quiet)
    random.shuffle(woken)
    for _ in range(6):
        woken.insert(random.randrange(len(woken) + 1), wake(LATER))
    assert fed([*woken, wake(LATER)], policy).facts() == fed([*quiet, wake(LATER)], policy).facts()


@given(tracks("tag-1", max_size=30), st.sampled_from(POLICIES), st.randoms(use_true_random=False))
def test_judging_late_fixes_equals_judging_all_at_once(fixes: list[Event], policy: Policy, random: Random) -> None:
    """The automaton over everything, in one run, is what stretches of it must come to."""
    subject = Subject(order(terms=[zone("t-1", AREAS["circle"]), zone("t-2", AREAS["square"])]), policy=policy)
    random.shuffle(fixes)
    subject.feed(*fixes, now=LATER)
    state, records = subject.state, subject.records
    wanted = []
    for lineage in lineages(state, records):
        run = [o for o in records.all() if is_zone_evidence(o)]
        visits, track = visits_in(state, records, lineage, run, policy)
        wanted += [(lineage.term_id, v.began, v.ended, visit_certainty("tag:tag-1", v), v.flaps) for v in visits]
        kept = state.tracks.get(f"{lineage.order_id}|{lineage.term_id}|tag:tag-1")
        assert (kept or type(track)()) == track
    got = [(f.term_id, f.began_at, f.ended_at, f.certainty, f.flaps) for f in subject.breaches]
    assert sorted(got, key=str) == sorted(wanted, key=str)


@given(evidence(), st.sampled_from([50, 100, 150]), st.sampled_from(POLICIES))
def test_narrowing_a_term_never_adds_time_in_a_zone(shown: list[Event], radius: int, policy: Policy) -> None:
    """Each confirmed visit to the smaller circle lies within what the larger one shows, confirmed or possible."""
    shown = [event for event in shown if event.type in ("tag_fix", "officer_sighting")]  # type: ignore[attr-defined]
    wide = fed([order(terms=[zone("t", AREAS["circle"])]), *shown], policy)
    circle = {**AREAS["circle"], "radius_m": radius}
    narrow = fed([order(terms=[zone("t", circle)]), *shown], policy)
    for inner in narrow.breaches:
        if inner.certainty == "possible":
            continue
        assert any(
            outer.track == inner.track
            and outer.began_at <= inner.began_at
            and (outer.ended_at is None or (inner.ended_at is not None and inner.ended_at <= outer.ended_at))
            for outer in wide.breaches
        )


@given(st.integers(1, 600), st.integers(0, 400))
def test_a_fix_twice_is_a_fix_once(seconds: int, metres: int) -> None:
    first = fix(LATER - timedelta(seconds=seconds), PLACES["deep"])
    second = fix(LATER, PLACES["street"])
    once, twice = fed([order(), first, second]), fed([order(), first, first, second, first, second])
    assert once.facts() == twice.facts()
