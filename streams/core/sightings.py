"""Sightings: what a position that counts does to the visits, breaches and last seen of a subject's row.

The usual sighting, later than all that its device has sent, is one step of each automaton; a late one judges the
stretch again that it can change.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from schemas.orders import Buffer, Distance
from schemas.tasks import LastSeen
from streams.core.breaches import (
    alert_breach,
    fact_of_visit,
    judge_report_breaches,
    open_visit_breach,
    version_of_visit,
    visit_breach_id,
    withdraw,
)
from streams.core.cross_checks import compare_sources
from streams.core.draft import Draft
from streams.core.force import version_at, why_not
from streams.core.judge import (
    Lineage,
    accuracy_m,
    fix_of,
    is_filtered,
    is_jump,
    is_zone_evidence,
    lineages,
    lineages_near,
    place,
    term_at,
    visit_certainty,
    visits_in,
)
from streams.core.jurisdiction import place_name
from streams.core.records import Observation
from streams.core.state import MAX_TRACKS, BreachFact, Device, Fix
from streams.core.stretches import Stretch, settle, stretch_around
from streams.core.tasks import live_task
from streams.core.visits import Phase, Track, Visit, advance, open_visit
from streams.core.zones import Placement

LAPSED = "lapsed: the order ended before the subject was known to have left"


def sighting(draft: Draft, observation: Observation) -> None:
    state = draft.state
    before = len(draft.effects.audits) + len(draft.effects.alerts)
    fix = fix_of(observation, draft.policy)
    device = state.devices.setdefault(observation.track, Device())
    newest = device.newest
    if newest is not None and (fix.at, fix.id) < newest:
        _settle(draft, observation)
        for lineage in lineages(state, draft.records):
            _late(draft, lineage, observation)
    else:
        _newest(draft, device, observation, fix)
    # After the judging, so that a breach which this sighting has just opened is flagged too.
    compare_sources(draft, observation, fix)
    if len(draft.effects.audits) + len(draft.effects.alerts) == before:
        for reason in why_not(state, observation.at):
            draft.quietly("not_in_force", reason)
        draft.quietly("no_breach", "no term in force was breached or left by this sighting")


def _settle(draft: Draft, observation: Observation) -> None:
    """A late fix may refute or confirm a jump, and so move what counts as the device's newest fix."""
    before = draft.state.devices[observation.track].accepted
    settle(draft.state, draft.records, observation, draft.policy)
    accepted = draft.state.devices[observation.track].accepted
    if accepted is not None and accepted != before:
        for newest in draft.records.after(accepted.at, accepted.at):
            if newest.id == accepted.id:
                see(draft, newest)


def _newest(draft: Draft, device: Device, observation: Observation, fix: Fix) -> None:
    """The usual case, later than all that the device has sent: one step of each automaton.

    Unless it is a jump: then it waits for the next fix, which refutes it or confirms it.
    """
    if device.newest == (fix.at, fix.id):
        return  # a replay of what the row has already counted
    previous = device.accepted
    jump = previous is not None and is_filtered(observation.track) and is_jump(previous, fix, draft.policy)
    if jump and (device.pending is None or is_jump(device.pending, fix, draft.policy)):
        device.pending = fix
        draft.audit("implausible_jump", "kept, and not matched until the next fix: nobody travels that fast")
        draft.alert_once_an_hour(
            "implausible_jump", "low", f"{observation.track.replace(':', ' ')} jumped; check it", observation.track
        )
        return
    device.accepted, device.pending = fix, None
    see(draft, observation)
    if jump:  # the fix before, held back as a jump, counts after all
        for lineage in lineages(draft.state, draft.records):
            _late(draft, lineage, observation)
    else:
        for lineage in lineages_near(draft.state, draft.records, observation, previous, draft.policy):
            _advance(draft, lineage, observation, previous)


def _advance(draft: Draft, lineage: Lineage, observation: Observation, previous: Fix | None) -> None:
    key = track_key(lineage, observation.track)
    state, policy = draft.state, draft.policy
    placement = place(state, draft.records, lineage, observation, policy, previous)
    if placement is Placement.UNKNOWN:
        draft.alert_once_an_hour(
            "proximity_unknown",
            "medium",
            "the protected person's device is silent or stale: how near the subject is cannot be said",
            lineage.term_id,
        )
    if key not in state.tracks and len(state.tracks) >= MAX_TRACKS:
        if placement in (Placement.IN, Placement.STRADDLING):
            text = f"the subject is in more than {MAX_TRACKS} zones at once: a person must look at the other zones"
            draft.alert_once("too_many_zones", "high", text, (observation.track, f"{draft.now:%Y-%m-%d}"))
        return
    track = state.tracks.get(key, Track())
    before = previous.at if previous else None
    step = advance(track, before, observation.at, observation.id, placement, policy.visits)
    if step.ended is not None:
        _end_visit(draft, lineage, observation.track, step.ended)
    if step.crossed is not None:
        _begin_visit(draft, lineage, observation, step.crossed)
    if step.began is not None and step.upgraded:
        _upgrade_visit(draft, lineage, observation, step.began)
    elif step.began is not None:
        _begin_visit(draft, lineage, observation, step.began)
    elif step.ended is None and step.track.phase is not Phase.OUTSIDE:
        _go_on(draft, lineage, observation.track, step.track)
    keep_track(draft, key, step.track)


def _go_on(draft: Draft, lineage: Lineage, device: str, track: Track) -> None:
    """The flaps of a visit are noted, and one that silence had ended for the time being goes on."""
    visit = open_visit(track)
    fact = fact_of_visit(draft, lineage, device, visit) if visit else None
    if fact is None or visit is None:
        return
    if fact.flaps != visit.flaps:
        fact.flaps = visit.flaps
        draft.quietly("flap", f"term {lineage.term_id}: a short excursion does not end the visit")
    if fact.provisional_end:
        fact.ended_at, fact.provisional_end = None, False
        draft.audit("visit_goes_on", f"term {lineage.term_id}: a fix arrived late", orders=[lineage.order_id])
        draft.touch(fact)


def track_key(lineage: Lineage, device: str) -> str:
    return f"{lineage.order_id}|{lineage.term_id}|{device}"


def keep_track(draft: Draft, key: str, track: Track) -> None:
    tracks = draft.state.tracks
    if track == Track():
        tracks.pop(key, None)
    elif key in tracks or len(tracks) < MAX_TRACKS:
        tracks[key] = track


def _is_buffer(draft: Draft, lineage: Lineage, at: Observation) -> bool:
    found = term_at(draft.state, draft.records, lineage, at.at, at.position)
    return found is not None and isinstance(found[1], Buffer)


def _begin_visit(draft: Draft, lineage: Lineage, observation: Observation, visit: Visit) -> None:
    if _is_buffer(draft, lineage, observation):
        draft.audit("buffer_entered", f"term {lineage.term_id}: a warning, not a breach", orders=[lineage.order_id])
        draft.alert(
            "buffer_entered",
            "medium",
            f"the subject is near a zone (buffer {lineage.term_id} of order {lineage.order_id}): not a breach yet",
            cause=(lineage.order_id, lineage.term_id, visit.opened_by),
        )
        return
    open_visit_breach(draft, lineage, observation.track, visit, observation)


def _end_visit(draft: Draft, lineage: Lineage, device: str, visit: Visit) -> None:
    fact = fact_of_visit(draft, lineage, device, visit)
    if fact is None:
        return
    fact.ended_at, fact.flaps, fact.provisional_end = visit.ended, visit.flaps, False
    _flag_lapsed(draft, fact, draft.event.time)
    draft.audit("visit_ended", f"term {lineage.term_id}: over", orders=[lineage.order_id])
    draft.touch(fact)


def _flag_lapsed(draft: Draft, fact: BreachFact, next_fix: datetime) -> None:
    """The visit's end was the order's: by the fix after it, the order was no more in force."""
    if version_at(draft.state, draft.state.orders[fact.order_id], next_fix) is None and LAPSED not in fact.flags:
        fact.flags.append(LAPSED)


def _upgrade_visit(draft: Draft, lineage: Lineage, observation: Observation, visit: Visit) -> None:
    fact = fact_of_visit(draft, lineage, observation.track, visit)
    if fact is None:
        _begin_visit(draft, lineage, observation, visit)
        return
    fact.began_at, fact.certainty = visit.began, visit_certainty(observation.track, visit)
    fact.order_version = version_of_visit(draft, lineage, visit, observation)
    draft.audit("breach_confirmed", "a fix wholly inside confirmed a possible visit", orders=[lineage.order_id])
    alert_breach(draft, fact, "breach_confirmed", f"confirmed: {fact.term_kind.replace('_', ' ')} breached")
    draft.touch(fact)


def _late(draft: Draft, lineage: Lineage, observation: Observation) -> None:
    """A fix from between earlier ones: judge again the stretch that it can change."""
    found = term_at(draft.state, draft.records, lineage, observation.at, observation.position)
    if found is not None and isinstance(found[1], Distance):
        return  # the other person's positions of that time are not kept; see on_partner
    state, policy = draft.state, draft.policy
    stretch = stretch_around(state, draft.records, lineage, observation, policy)
    visits, track = visits_in(state, draft.records, lineage, stretch.observations, policy)
    if stretch.reaches_end:
        keep_track(draft, track_key(lineage, observation.track), track)
    elif visits and visits[-1].ended is None:
        visits[-1] = replace(visits[-1], ended=track.last_in)
    _reconcile(draft, lineage, observation.track, visits, stretch)


def rejudge(draft: Draft, order_ids: set[str]) -> None:
    """Orders changed: judge everything retained against them again."""
    state = draft.state
    kept = list(draft.records.all())
    placed = [o for o in kept if is_zone_evidence(o)]
    horizon = draft.now - timedelta(seconds=draft.policy.limits.horizon_s)
    for order_id in sorted(order_ids & state.orders.keys()):
        for lineage in lineages(state, draft.records, order_id):
            if _is_distance(draft, lineage):
                continue
            for device in sorted({o.track for o in placed}):
                run = [o for o in placed if o.track == device]
                visits, track = visits_in(state, draft.records, lineage, run, draft.policy)
                keep_track(draft, track_key(lineage, device), track)
                _reconcile(draft, lineage, device, visits, Stretch(run, horizon, ends=None, open_start=True))
    for observation in kept:
        if observation.track == "report":
            judge_report_breaches(draft, observation)


def _is_distance(draft: Draft, lineage: Lineage) -> bool:
    ref = draft.state.orders[lineage.order_id]
    newest = max(ref.versions, key=lambda v: v.version)
    term = draft.records.order(ref.order_id, newest.version).terms.get(lineage.term_id)
    return isinstance(term, Distance)


def _reconcile(draft: Draft, lineage: Lineage, device: str, visits: list[Visit], stretch: Stretch) -> None:
    """Make the facts of one stretch equal to the visits that it shows, keeping identities that overlap."""
    by_id = {o.id: o for o in stretch.observations}
    theirs = [
        fact
        for fact in draft.state.breaches
        if (fact.order_id, fact.term_id, fact.track) == (lineage.order_id, lineage.term_id, device)
        and (stretch.tells(fact.began_at) or (stretch.open_start and fact.began_at < stretch.begins))
    ]
    for visit, fact in _matched(draft, lineage, [v for v in visits if stretch.owns(v)], theirs):
        if fact is None:
            _begin_visit(draft, lineage, by_id[visit.opened_by], visit)
            continue
        theirs.remove(fact)
        shown_by = by_id[visit.opened_by]
        # What began before the evidence that is kept has its beginning from then.
        began = fact.began_at if stretch.open_start and fact.began_at < stretch.begins else visit.began
        number = version_of_visit(draft, lineage, visit, shown_by)
        now_is = (began, visit.ended, visit_certainty(device, visit), number)
        if (fact.began_at, fact.ended_at, fact.certainty, fact.order_version) != now_is:
            fact.began_at, fact.ended_at, fact.certainty, fact.order_version = now_is
            after = next((o.at for o in stretch.observations if visit.ended and o.at > visit.ended), None)
            if after is not None:
                _flag_lapsed(draft, fact, after)
            draft.audit("breach_corrected", "late evidence or a changed order moved the visit or its version")
            draft.touch(fact)
        # Also where a silence had ended it at the same moment: or the next visit would pass for this one going on.
        fact.flaps, fact.provisional_end = visit.flaps, False
    for fact in theirs:
        if stretch.tells(fact.began_at):
            withdraw(draft, fact, "later evidence or a changed order no longer shows it")


def _matched(
    draft: Draft, lineage: Lineage, visits: list[Visit], facts: list[BreachFact]
) -> list[tuple[Visit, BreachFact | None]]:
    """Each visit with the fact that it is: by what opened it, else one left over that it overlaps."""
    left = {fact.breach_id: fact for fact in facts}
    same = {visit.opened_by: left.pop(visit_breach_id(draft, lineage, visit), None) for visit in visits}
    found = []
    for visit in visits:
        fact = same[visit.opened_by]
        if fact is None:
            fact = next((fact for fact in left.values() if _overlap(fact, visit)), None)
            if fact is not None:
                del left[fact.breach_id]
        found.append((visit, fact))
    return found


def _overlap(fact: BreachFact, visit: Visit) -> bool:
    return (visit.ended is None or fact.began_at <= visit.ended) and (
        fact.ended_at is None or visit.began <= fact.ended_at
    )


def judge_distance_again(draft: Draft, fix: Fix) -> None:
    """The other side moved: the subject's newest fixes are judged against it, as a visit's next step."""
    state, policy = draft.state, draft.policy
    window = timedelta(seconds=policy.evidence.partner_window_s)
    for track, device in list(state.devices.items()):
        own = device.accepted
        if own is None or abs(own.at - fix.at) > window:
            continue
        observation = next((o for o in draft.records.after(own.at, own.at) if o.id == own.id), None)
        for lineage in lineages(state, draft.records):
            if observation is None or not _is_distance(draft, lineage):
                continue
            placement = place(state, draft.records, lineage, observation, policy)
            key = track_key(lineage, track)
            if placement is Placement.IN and key not in state.tracks:
                _advance(draft, lineage, observation, own)


def see(draft: Draft, observation: Observation) -> None:
    """The subject's newest position; an open task is told at most once a minute."""
    state = draft.state
    seen = state.last_seen
    if observation.position is None or (seen is not None and observation.at <= seen.time):
        return
    position = observation.position
    if position.accuracy_m is None:
        position = position.model_copy(update={"accuracy_m": accuracy_m(observation, draft.policy)})
    state.last_seen = LastSeen(
        time=observation.at,
        position=position,
        place=place_name(position),
        source=observation.type,
        event_id=observation.id,
        recorded_at=draft.now,
    )
    task = live_task(state)
    if task is None:
        return
    interval = timedelta(seconds=draft.policy.limits.last_seen_interval_s)
    if task.last_seen_sent_at is None or draft.now - task.last_seen_sent_at >= interval:
        task.last_seen_sent_at = draft.now
        draft.touch(task)
