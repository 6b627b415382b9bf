"""Cross-checks: sightings that contradict each other, or what custody says. Both sides are flagged, none hidden."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from streams.core.draft import Draft
from streams.core.judge import (
    fix_of,
    is_too_far,
    is_zone_evidence,
)
from streams.core.records import Observation
from streams.core.state import Fix

IN_CUSTODY = {"arrested", "detained"}


def compare_sources(draft: Draft, observation: Observation, fix: Fix) -> None:
    """Impossible journeys: both sides are flagged, neither is suppressed."""
    policy = draft.policy
    if observation.track.startswith("plate:"):
        neighbours = [
            *_nearest_of_track(observation, draft.records.before(observation.at)),
            *_nearest_of_track(observation, draft.records.after(observation.at, draft.now)),
        ]
        elsewhere = [o.at for o in neighbours if is_too_far(fix_of(o, policy), fix, policy)]
        if elsewhere:
            flag = "possible clone: two reads that one vehicle cannot have made"
            _flag(draft, observation.track, [observation.at, *elsewhere], flag)
            draft.audit("possible_clone", "two reads of the plate lie too far apart for one vehicle; both are kept")
            draft.alert_once_an_hour(
                "possible_clone", "medium", "a plate was read in two places at once: a clone?", observation.track
            )
    _compare_custody(draft, observation)
    window = timedelta(seconds=policy.evidence.conflict_window_s)
    for track, device in draft.state.devices.items():
        other = device.accepted
        if track == observation.track or other is None or abs(other.at - fix.at) > window:
            continue
        if is_too_far(other, fix, policy):
            flag = "conflict: another source places the subject elsewhere"
            _flag(draft, track, [other.at], flag)
            _flag(draft, observation.track, [observation.at], flag)
            draft.audit("position_conflict", "two sources place the subject too far apart; neither is suppressed")
            draft.alert_once(
                "position_conflict",
                "high",
                "two sources contradict each other on where the subject is: check both",
                (*sorted((track, observation.track)), f"{draft.now:%Y-%m-%d}"),
            )


def _compare_custody(draft: Draft, observation: Observation) -> None:
    """Custody records go stale: a strong sighting asks for them to be checked, a weak one is a question of
    identity; neither lowers a grade."""
    state = draft.state
    if state.custody not in IN_CUSTODY or state.custody_at is None or observation.at <= state.custody_at:
        return
    if observation.track.startswith("plate:") or observation.track == "face":
        what = "somebody else may drive the vehicle" if observation.track != "face" else "the face may be another's"
        draft.quietly("identity_conflict", f"recorded as in custody: {what}")
        draft.alert_once_an_hour(
            "identity_conflict",
            "medium",
            f"the subject is recorded as in custody, and was seen elsewhere by weak evidence: {what}; check both",
            observation.track,
        )
        return
    draft.audit("custody_doubted", "recorded as in custody, and seen elsewhere by strong evidence")
    draft.alert_once(
        "verify_custody",
        "critical",
        "the subject is recorded as in custody and was seen elsewhere: verify custody now, at the same grade",
        ("custody", state.custody_at.isoformat(), f"{draft.now:%Y-%m-%d}"),
        to="controller",
    )


def _nearest_of_track(observation: Observation, run: Iterator[Observation]) -> list[Observation]:
    same = (o for o in run if o.track == observation.track and o.id != observation.id and is_zone_evidence(o))
    return list(islice(same, 1))


def _flag(draft: Draft, track: str, times: list[datetime], flag: str) -> None:
    """Flag the visits that rest on this track's evidence of these times."""
    for fact in draft.state.breaches:
        theirs = fact.track == track and any(
            fact.began_at <= at and (fact.ended_at is None or at <= fact.ended_at) for at in times
        )
        if theirs and flag not in fact.flags:
            fact.flags.append(flag)
            draft.touch(fact)
