"""From the fixes of one device to its visits to one zone.

One automaton, advanced fix by fix in event-time order. Its `Track` is all that it remembers, so that the usual
fix (later than all before it) costs one step; a late fix is handled by running the automaton again over
the stretch that it can change (`streams.core.rejudge`).
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from schemas.base import Model
from streams.core.policy import Visits
from streams.core.zones import Placement


class Phase(StrEnum):
    OUTSIDE = "outside"
    POSSIBLE = "possible"
    """Inside as far as straddling fixes can say."""
    INSIDE = "inside"


class Track(Model):
    """What the automaton remembers of one device with respect to one zone term."""

    phase: Phase = Phase.OUTSIDE
    ins: int = 0
    nears: int = 0
    outs: int = 0
    first_in: datetime | None = None
    first_near: datetime | None = None
    last_in: datetime | None = None
    """Newest fix that belongs to the present visit."""
    flaps: int = 0
    """Short excursions within the present visit that did not end it."""
    visit_id: str | None = None


@dataclass(frozen=True)
class Visit:
    """One stay in a zone. `ended` is None while it may still go on."""

    began: datetime
    ended: datetime | None
    certain: bool
    opened_by: str
    """The event that showed it."""
    flaps: int = 0


@dataclass(frozen=True)
class Step:
    """What one fix did: at most one visit ended, then at most one began, was upgraded or went on."""

    track: Track
    ended: Visit | None = None
    began: Visit | None = None
    upgraded: bool = False
    """`began` replaces the possible visit that was open."""
    crossed: Visit | None = None
    """The zone was possibly crossed between the fix before and this one, both outside."""


def _current(track: Track, ended: bool) -> Visit:
    began = track.first_in if track.phase is Phase.INSIDE else track.first_near
    assert began is not None
    assert track.visit_id is not None
    return Visit(began, track.last_in if ended else None, track.phase is Phase.INSIDE, track.visit_id, track.flaps)


def open_visit(track: Track) -> Visit | None:
    """The visit that the track is in, if any."""
    return None if track.phase is Phase.OUTSIDE else _current(track, ended=False)


def is_silence(previous: datetime | None, at: datetime, rule: Visits) -> bool:
    """Was the device silent for longer than the rule allows within one visit?"""
    return previous is not None and at - previous > timedelta(seconds=rule.gap_s)


def advance(
    track: Track,
    previous: datetime | None,
    at: datetime,
    event_id: str,
    placement: Placement | None,
    rule: Visits,
) -> Step:
    """One fix at `at`, after one at `previous`. `placement` None: no such term was in force then.

    A straddling fix neither confirms nor denies: it breaks no run and ends no visit.
    """
    ended: Visit | None = None
    if placement is Placement.UNKNOWN:
        return Step(track)
    if placement is None or is_silence(previous, at, rule):
        if track.phase is not Phase.OUTSIDE:
            ended = _current(track, ended=True)
        track = Track()
    if placement is None:
        return Step(track, ended)
    out = placement in (Placement.OUT, Placement.CROSSED)
    if placement is Placement.CROSSED and track.phase is Phase.OUTSIDE and previous is not None:
        return Step(Track(), ended, crossed=Visit(previous, at, certain=False, opened_by=event_id))
    step = _out(track, rule) if out else _near(track, at, event_id, placement, rule)
    return replace(step, ended=ended or step.ended)


def _out(track: Track, rule: Visits) -> Step:
    if track.phase is Phase.OUTSIDE:
        return Step(Track())
    outs = track.outs + 1
    if outs >= rule.leave_fixes:
        return Step(Track(), ended=_current(track, ended=True))
    return Step(track.model_copy(update={"outs": outs, "ins": 0}))


def _near(track: Track, at: datetime, event_id: str, placement: Placement, rule: Visits) -> Step:
    inside = placement is Placement.IN
    update: dict[str, object] = {"nears": track.nears + 1, "first_near": track.first_near or at}
    if inside:
        first_in = track.first_in if track.ins else at
        update |= {
            "ins": track.ins + 1,
            "first_in": track.first_in if track.phase is Phase.INSIDE else first_in,
        }
        if track.outs:
            update |= {"flaps": track.flaps + 1}
        update |= {"outs": 0}
    if inside or track.phase is Phase.POSSIBLE:
        update |= {"last_in": at}
    track = track.model_copy(update=update)
    if track.phase is not Phase.INSIDE and track.ins >= rule.enter_fixes:
        upgraded = track.phase is Phase.POSSIBLE
        visit_id = track.visit_id if upgraded else event_id
        track = track.model_copy(update={"phase": Phase.INSIDE, "visit_id": visit_id, "flaps": 0})
        return Step(track, began=_current(track, ended=False), upgraded=upgraded)
    if track.phase is Phase.OUTSIDE and track.nears >= rule.possible_fixes:
        track = track.model_copy(update={"phase": Phase.POSSIBLE, "visit_id": event_id, "last_in": at})
        return Step(track, began=_current(track, ended=False))
    return Step(track)
