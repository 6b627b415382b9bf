"""Real fixes against the core alone; the same on a real broker is in tests/integration/test_real_fixes.py."""

import random
from collections.abc import Sequence

import pytest
from builders import NOW, Subject, fix, order, policy_with, zone
from oracle import ACCURACY_M, REAL_ZONE, OracleVisit, RealFix, edge_distances, real_fixes, visits

from schemas.base import Event
from streams.core.policy import Policy

DAYS_30 = 30 * 86400
# A part with several visits: for what takes longer than the fixes in order.
SOME = slice(17_500, 19_500)


def policy(enter: int, leave: int) -> Policy:
    return policy_with(
        visits={"enter_fixes": enter, "leave_fixes": leave},
        limits={"horizon_s": DAYS_30, "stale_after_s": DAYS_30},
    )


def events(fixes: Sequence[RealFix]) -> list[Event]:
    return [
        fix(
            real.at,
            {"latitude": real.latitude, "longitude": real.longitude},
            accuracy_m=ACCURACY_M,
            id=f"r{number}",
        )
        for number, real in enumerate(fixes)
    ]


def judged(arrived: Sequence[Event], enter: int, leave: int) -> Subject:
    area = {"type": "Polygon", "coordinates": [REAL_ZONE]}
    subject = Subject(order(terms=[zone(area=area)]), policy=policy(enter, leave))
    subject.feed(*arrived, now=NOW)
    return subject


def confirmed(subject: Subject) -> list[OracleVisit]:
    assert len(subject.tasks) == 1
    return [OracleVisit(f.began_at, f.ended_at) for f in subject.breaches if f.certainty == "confirmed"]


def test_the_zone_is_a_fair_choice() -> None:
    """Visits enough, and no fix so near to the limit that two ways to measure could differ."""
    fixes = real_fixes(NOW)
    distances = edge_distances(fixes, REAL_ZONE)
    assert len(fixes) == 20_000
    assert min(abs(abs(distance) - ACCURACY_M) for distance in distances) > 0.1
    assert [len(visits(fixes, distances, enter, 3)) for enter in (1, 3)] == [17, 14]


@pytest.mark.parametrize(("enter", "leave"), [(1, 3), (3, 3)])
def test_breaches_of_the_real_fixes_are_the_oracles(enter: int, leave: int) -> None:
    fixes = real_fixes(NOW)
    wanted = visits(fixes, edge_distances(fixes, REAL_ZONE), enter, leave)
    assert confirmed(judged(events(fixes), enter, leave)) == wanted


@pytest.mark.parametrize(("enter", "leave"), [(1, 1), (1, 3), (3, 3), (5, 2)])
def test_shuffled_within_ten_minutes_they_are_the_same(enter: int, leave: int) -> None:
    fixes = real_fixes(NOW)[SOME]
    wanted = visits(fixes, edge_distances(fixes, REAL_ZONE), enter, leave)
    chance = random.Random(enter)
    arrived = sorted(events(fixes), key=lambda event: event.time.timestamp() + chance.uniform(0, 600))
    assert len(wanted) >= 3
    assert confirmed(judged(arrived, enter, leave)) == wanted


def test_every_fix_twice_they_are_the_same() -> None:
    fixes = real_fixes(NOW)[SOME]
    wanted = visits(fixes, edge_distances(fixes, REAL_ZONE), 1, 3)
    subject = judged([event for event in events(fixes) for _ in range(2)], 1, 3)
    assert confirmed(subject) == wanted
    assert len([alert for alert in subject.alerts if alert.kind == "breach"]) == len(subject.breaches)
