"""The automaton, by cases: a row of fixes in, out, straddling or silent, and the visits that it must show.

A row is written as characters, a minute apart: `i` in, `o` out, `s` straddling, `x` crossed, `?` unknown, `-` no
such term in force, `.` a minute without a fix, `_` twenty minutes without.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from builders import NOW, POLICY, policy_with

from streams.core.policy import Visits
from streams.core.visits import Phase, Track, Visit, advance, is_silence, open_visit
from streams.core.zones import Placement

LETTERS = {
    "i": Placement.IN,
    "o": Placement.OUT,
    "s": Placement.STRADDLING,
    "x": Placement.CROSSED,
    "?": Placement.UNKNOWN,
    "-": None,
}


def minute(at: datetime | None) -> int | None:
    return None if at is None else round((at - NOW).total_seconds() / 60)


@dataclass
class Shown:
    """Visits as (began, ended, certain) in minutes; and how many began, of which upgraded."""

    visits: list[tuple[int | None, int | None, bool]]
    began: int
    upgraded: int
    flaps: list[int]


def run(row: str, rule: Visits = POLICY.visits) -> Shown:
    track, at, previous = Track(), NOW - timedelta(minutes=1), None
    visits: list[Visit] = []
    began = upgraded = 0
    for index, letter in enumerate(row):
        at += timedelta(minutes=20 if letter == "_" else 1)
        if letter not in LETTERS:
            continue
        step = advance(track, previous, at, f"e{index}", LETTERS[letter], rule)
        visits += [visit for visit in (step.ended, step.crossed) if visit]
        began += step.began is not None or step.crossed is not None
        upgraded += step.upgraded
        track, previous = step.track, at
    still = open_visit(track)
    visits += [still] if still else []
    told = [(minute(v.began), minute(v.ended), v.certain) for v in visits]
    return Shown(told, began, upgraded, [v.flaps for v in visits])


def rule(enter: int = 1, leave: int = 3, possible: int = 3) -> Visits:
    return policy_with(visits={"enter_fixes": enter, "leave_fixes": leave, "possible_fixes": possible}).visits


@pytest.mark.parametrize(
    ("name", "row", "visits"),
    [
        ("nothing", "ooo", []),
        ("the first fix is already inside", "i", [(0, None, True)]),
        ("in and out", "oiiooo", [(1, 2, True)]),
        ("not out until confirmed", "oiioo", [(1, None, True)]),
        ("a parked tag flaps", "iioiooii", [(0, None, True)]),
        ("a flap and then out", "iioioooi", [(0, 3, True), (7, None, True)]),
        ("straddling is neither: two are nothing", "osso", []),
        ("three straddling are possible", "osss", [(1, None, False)]),
        ("possible, then in: upgraded, from the first fix in", "osssi", [(4, None, True)]),
        ("possible and never in", "ossssooo", [(1, 4, False)]),
        ("straddling breaks no visit", "iissssi", [(0, None, True)]),
        ("straddling ends no visit, and no run of outs", "iisosoo", [(0, 1, True)]),
        ("out between: straddling starts again", "ssosss", [(3, None, False)]),
        ("a silence ends a visit at its last fix", "ii_i", [(0, 1, True), (22, None, True)]),
        ("a silence of ten minutes does not", "ii.........i", [(0, None, True)]),
        ("one of more than ten does", "ii..........i", [(0, 1, True), (12, None, True)]),
        ("straddling fixes do not bridge a silence", "ss_s", []),
        ("inside, silent, outside: never an exit seen", "ii_o", [(0, 1, True)]),
        ("the order ends while inside", "ii-", [(0, 1, True)]),
        ("the term returns", "ii-i", [(0, 1, True), (3, None, True)]),
        ("no term in force", "-----", []),
        ("unknown changes nothing", "ii??i", [(0, None, True)]),
        ("a crossing between two fixes outside", "oxo", [(0, 1, False)]),
        ("crossed twice", "oxx", [(0, 1, False), (1, 2, False)]),
        ("a crossing while leaving is only a fix out", "iiox", [(0, None, True)]),
    ],
)
def test_one_fix_in_three_out(name: str, row: str, visits: list[tuple[int, int | None, bool]]) -> None:
    assert run(row).visits == visits


@pytest.mark.parametrize("enter", [1, 2, 3, 5])
@pytest.mark.parametrize("leave", [1, 2, 3, 5])
def test_n_in_and_n_out(enter: int, leave: int) -> None:
    n = rule(enter, leave, possible=20)
    assert run("o" + "i" * (enter - 1) + "o" * 5, n).visits == []
    assert run("o" + "i" * enter, n).visits == [(1, None, True)]
    if enter > 1:
        assert run(("i" * (enter - 1) + "o") * 4, n).visits == []  # a run is broken by a fix out
        assert run("s".join("i" * enter), n).visits == [(0, None, True)]  # not by straddling ones
        assert run("i" * (enter - 1) + "_" + "i" * (enter - 1), n).visits == []  # and by a silence
    inside = "i" * enter
    assert run(inside + "o" * (leave - 1) + "i", n).visits == [(0, None, True)]
    assert run(inside + "o" * leave, n).visits == [(0, enter - 1, True)]
    assert run(inside + ("o" * (leave - 1) + "i") * 3 + "o" * leave, n).visits[0][0] == 0
    assert len(run(inside + ("o" * (leave - 1) + "i") * 3 + "o" * leave, n).visits) == 1


def test_flaps_are_counted_and_end_nothing() -> None:
    assert run("iioiooioi").flaps == [3]
    assert run("iii").flaps == [0]


def test_a_visit_begins_once_and_is_upgraded_once() -> None:
    assert (run("sssiii").began, run("sssiii").upgraded) == (2, 1)
    assert (run("iiiiii").began, run("iiiiii").upgraded) == (1, 0)


def test_a_visit_keeps_the_event_that_showed_it_first() -> None:
    track = Track()
    for index, placement in enumerate(
        (Placement.STRADDLING, Placement.STRADDLING, Placement.STRADDLING, Placement.IN)
    ):
        at = NOW + timedelta(minutes=index)
        step = advance(track, at - timedelta(minutes=1), at, f"e{index}", placement, rule())
        track = step.track
    assert track.phase is Phase.INSIDE
    assert track.visit_id == "e2"


def test_outside_is_remembered_as_nothing() -> None:
    """The row keeps no track of what is plainly outside."""
    step = advance(Track(), NOW, NOW, "e", Placement.OUT, rule())
    assert step.track == Track()


def test_silence_is_more_than_the_gap() -> None:
    assert not is_silence(None, NOW, rule())
    assert not is_silence(NOW, NOW + timedelta(seconds=600), rule())
    assert is_silence(NOW, NOW + timedelta(seconds=600, microseconds=1), rule())
