"""A source that falls silent, and one of which something is missing, is an alert; each is told once."""

from typing import Any

from builders import after, event
from world import World

from schemas.reports import SourceHeartbeat


def beat(sequence: int, at: float, next_after: float = 60) -> SourceHeartbeat:
    data: dict[str, Any] = {"sequence": sequence, "next_due": after(at + next_after)}
    return event(SourceHeartbeat, data, after(at), id=f"beat-{sequence}-{at}", source="tags/supplier")


def test_a_source_that_speaks_as_it_says_is_no_news() -> None:
    world = World().give(*(beat(number, 60 * number) for number in range(10)))
    assert not world.alerts()


def test_silence_is_told_once_when_the_grace_is_over_and_so_is_its_end() -> None:
    world = World().give(beat(0, 0)).wait(after(89))
    assert not world.alerts()
    world.wait(after(10_000))
    alert = world.alert("source_silent")
    assert (alert.severity, alert.subject_id) == ("high", "source/tags/supplier")
    assert "tags/supplier is silent since" in alert.text
    world.give(beat(1, 10_010))
    assert world.alert("source_back").severity == "low"
    world.wait(after(20_000))
    assert len(world.alerts("source_silent")) == 2


def test_heartbeats_that_never_came_are_named() -> None:
    world = World().give(beat(0, 0), beat(1, 60), beat(5, 120))
    assert "heartbeats 2 to 4 of tags/supplier never came" in world.alert("source_gap").text
    world.give(beat(7, 180))
    assert "heartbeat 6 of" in world.alerts("source_gap")[-1].text


def test_one_that_comes_late_or_twice_changes_nothing() -> None:
    world = World().give(beat(0, 0), beat(2, 60), beat(1, 30), beat(2, 60), beat(3, 120))
    assert world.kinds() == {"source_gap"}
    assert len(world.alerts()) == 1


def test_a_source_that_starts_again_counts_from_the_beginning() -> None:
    world = World().give(beat(7, 0), beat(0, 60), beat(1, 120))
    assert not world.alerts()
    assert world.audits("source_restarted")
