"""Histories of one subject for Hypothesis: orders in versions, evidence of each kind, and what ends them."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from builders import (
    MADE,
    NOW,
    after,
    away,
    circle,
    fix,
    no_contact,
    order,
    order_ended,
    order_served,
    order_stayed,
    read,
    report,
    seen,
    square,
    zone,
)
from hypothesis import strategies as st

from schemas.base import Event

LATER = NOW + timedelta(hours=12)
"""Append time of everything: after all that happens, well within the horizon."""

PLACES: dict[str, Mapping[str, float]] = {
    "deep": away(0, 0),
    "near centre": away(120, 0),
    "inner edge": away(0, 195),
    "outer edge": away(0, 205),
    "out west": away(-300, 0),
    "out east": away(300, 0),
    "street": away(0, 450),
    "second zone": away(0, 600),
    "far": away(0, 60_000),
}
AREAS = {"circle": circle(200), "small": circle(100), "square": square(200), "moved": circle(200, 0, 600)}
# Mostly within one visit, sometimes beyond a gap.
STEPS_S = st.sampled_from([15, 30, 60, 240, 590, 600, 601, 1500])


@st.composite
def tracks(draw: st.DrawFn, device: str, *, min_size: int = 1, max_size: int = 16) -> list[Event]:
    """Fixes of one tag, by time."""
    at, events = 0.0, []
    names = [*PLACES, "deep", "deep", "street"]
    for place in draw(st.lists(st.sampled_from(names), min_size=min_size, max_size=max_size)):
        at += draw(STEPS_S)
        events.append(fix(after(at), PLACES[place], device=device))
    return events


@st.composite
def orders(draw: st.DrawFn) -> list[Event]:
    """One to two orders in one to three versions, served or not, ended, stayed, superseded or none of these."""
    events: list[Event] = []
    for order_id in ("O1", "O2")[: draw(st.integers(1, 2))]:
        for version in range(1, draw(st.integers(1, 3)) + 1):
            starts = MADE if version == 1 else after(draw(st.sampled_from([100, 700, 2000])))
            events.append(order(order_id, version, effective_from=starts, **_content(draw, version)))
        if draw(st.booleans()):
            events.append(order_served(order_id, 1, after(draw(st.sampled_from([0, 500])))))
        if draw(st.integers(0, 3)) == 0:
            events.append(order_ended(order_id, after(draw(st.sampled_from([300, 1200, 4000])))))
        if draw(st.integers(0, 3)) == 0:
            begins = draw(st.sampled_from([200, 900]))
            events.append(order_stayed(order_id, after(begins), after(begins + 600)))
    if draw(st.integers(0, 3)) == 0:
        starts = after(draw(st.sampled_from([400, 1500])))
        events.append(order("O3", made_at=MADE, effective_from=starts, replaces="O1", kind="spo_full"))
    return events


def _content(draw: st.DrawFn, version: int) -> dict[str, Any]:
    terms = [zone("t-1", AREAS[draw(st.sampled_from(sorted(AREAS)))])]
    if draw(st.booleans()):
        terms.append(zone("t-2", AREAS["moved"], **_period(draw)))
    if draw(st.booleans()):
        terms.append({**zone("t-3", AREAS["circle"]), "kind": "buffer"})
    if draw(st.booleans()):
        terms.append(no_contact("t-4", **_period(draw)))
    return {
        "terms": terms,
        "served": draw(st.booleans()),
        "kind": "spo_interim" if draw(st.booleans()) else "restraining",
        "expires_at": draw(st.sampled_from([None, None, after(3000), after(86400)])),
    }


def _period(draw: st.DrawFn) -> dict[str, Any]:
    return draw(st.sampled_from([{}, {}, {"valid_from": after(500)}, {"valid_to": after(900)}]))


@st.composite
def evidence(draw: st.DrawFn) -> list[Event]:
    """A tag's fixes, perhaps a second tag's, reads, officers' sightings and reports."""
    events = draw(tracks("tag-1"))
    if draw(st.booleans()):
        events += draw(tracks("tag-2", max_size=5))
    times = st.integers(0, 5000)
    for at in draw(st.lists(times, max_size=4, unique=True)):
        events.append(read(after(at), PLACES[draw(st.sampled_from(sorted(PLACES)))]))
    for at in draw(st.lists(times, max_size=2, unique=True)):
        events.append(seen(after(at), PLACES[draw(st.sampled_from(sorted(PLACES)))]))
    for at in draw(st.lists(times, max_size=3, unique=True)):
        nature = draw(st.sampled_from(["contact", "entered_zone", "social_media", "other"]))
        events.append(report(after(at), nature))
    return events
