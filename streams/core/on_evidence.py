"""Events that may show a breach: fixes, reads, sightings, matches, reports; and what takes them back."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice

from schemas.base import Event
from schemas.orders import Buffer, Distance, Role
from schemas.reports import BreachReport, Retraction
from schemas.sightings import Adjudication, FaceMatch, OfficerSighting, PlateRead, TagFix
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
from streams.core.draft import Draft
from streams.core.force import in_force, version_at, why_not
from streams.core.judge import (
    Lineage,
    accuracy_m,
    fix_of,
    is_filtered,
    is_jump,
    is_too_far,
    is_zone_evidence,
    lineages,
    place,
    term_at,
    visit_certainty,
    visits_in,
)
from streams.core.jurisdiction import place_name
from streams.core.plates import canonical
from streams.core.records import Observation
from streams.core.state import MAX_RETRACTED, MAX_TRACKS, BreachFact, Device, Fix, short_id
from streams.core.stretches import Stretch, settle, settle_all, stretch_around
from streams.core.tasks import live_task, note
from streams.core.visits import Phase, Track, Visit, advance, open_visit
from streams.core.zones import Placement

LAPSED = "lapsed: the order ended before the subject was known to have left"
# Not "recalled": from the recall to the arrest the subject is unlawfully at large.
IN_CUSTODY = {"arrested", "detained"}
TAKEN_BACK = "its source took back the fix that opened it: a person must judge what is left"
MAX_PARTNER_FIXES = 60
PARTNER_KEPT = timedelta(minutes=15)


def observed(draft: Draft) -> Observation | None:
    """The event as evidence; None if it cannot show a breach."""
    fields = _fields(draft.event)
    if fields is None or draft.routing.role is not Role.SUBJECT:
        return None
    return _observation(draft, match=draft.routing.match, **fields)


def _observation(draft: Draft, **fields: object) -> Observation:
    event, routing = draft.event, draft.routing
    return Observation.model_validate(
        {
            "id": event.event_id,
            "type": draft.event_type,
            "at": event.time,
            "topic": routing.topic,
            "partition": routing.partition,
            "offset": routing.offset,
            "sha256": routing.sha256,
            "applied_at": draft.offset,
            **fields,
        }
    )


def _fields(event: Event) -> dict[str, object] | None:
    if isinstance(event, TagFix) and event.data.position is not None:
        return {"track": f"tag:{event.data.device_id}", "position": event.data.position}
    if isinstance(event, PlateRead):
        track = f"plate:{canonical(event.data.vrm)}"
        return {"track": track, "position": event.data.position, "force": event.data.force}
    if isinstance(event, OfficerSighting):
        return {"track": "officer", "position": event.data.position, "force": event.data.force}
    if isinstance(event, FaceMatch):
        nature = {None: "unadjudicated", "confirmed": None, "rejected": "rejected"}[event.data.adjudication]
        return {"track": "face", "position": event.data.position, "nature": nature}
    if isinstance(event, BreachReport):
        data = event.data
        return {
            "track": "report",
            "position": data.position,
            "nature": data.nature,
            "channel": data.channel,
            "excuse": data.excuse,
            "force": data.force,
            "order_id": data.order_id,
            "protects": data.protected_person_id,
        }
    return None


def observe(draft: Draft, observation: Observation) -> None:
    """Keep one observation and judge it."""
    horizon = draft.now - timedelta(seconds=draft.policy.limits.horizon_s)
    if observation.at < horizon:
        _beyond_horizon(draft, observation)
        return
    if not draft.records.add(observation):
        draft.quietly("duplicate", "this event id was already applied; it changes nothing")
        draft.records.rewrite(draft.event.time)
        return
    draft.records.expire(horizon)
    if isinstance(draft.event, TagFix):
        device_state(draft, draft.event)
    if observation.track == "report":
        _report(draft, observation)
    elif observation.nature == "unadjudicated":
        _face(draft, observation)
    elif observation.nature == "rejected":
        draft.audit("rejected_match", "a person has rejected the face match")
    elif observation.position is not None and not observation.position.usable:
        draft.quietly("no_position", "0,0 is what a receiver sends without a fix, not a place")
    elif observation.match == "look-alike":
        _look_alike(draft, observation)
    else:
        _sighting(draft, observation)


def _sighting(draft: Draft, observation: Observation) -> None:
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
    _compare_sources(draft, observation, fix)
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
                _see(draft, newest)


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
    relocated = jump
    device.accepted, device.pending = fix, None
    _see(draft, observation)
    for lineage in lineages(draft.state, draft.records):
        if relocated:  # the fix before, held back as a jump, counts after all
            _late(draft, lineage, observation)
        else:
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
            draft.alert_once_an_hour("too_many_zones", "high", text, observation.track)
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


def _compare_sources(draft: Draft, observation: Observation, fix: Fix) -> None:
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
            draft.alert_once_an_hour(
                "position_conflict",
                "high",
                "two sources contradict each other on where the subject is: check both",
                "|".join(sorted((track, observation.track))),
            )


def _compare_custody(draft: Draft, observation: Observation) -> None:
    """Custody records go stale: a strong sighting asks for them to be checked, a weak one is a question of
    identity; neither lowers a grade."""
    state = draft.state
    if state.custody not in IN_CUSTODY or state.custody_at is None or observation.at <= state.custody_at:
        return
    if observation.track.startswith("plate:"):
        draft.quietly("identity_conflict", "recorded as in custody: somebody else may drive the vehicle")
        return
    draft.audit("custody_doubted", "recorded as in custody, and seen elsewhere by strong evidence")
    draft.alert_once_an_hour(
        "verify_custody",
        "critical",
        "the subject is recorded as in custody and was seen elsewhere: verify custody now, at the same grade",
        "custody",
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


def _report(draft: Draft, observation: Observation) -> None:
    event = draft.event
    found = judge_report_breaches(draft, observation)
    if isinstance(event, BreachReport) and event.data.wishes is not None:
        draft.audit("wishes_recorded", "the protected person's wishes are recorded; they change no grade")
        if (task := live_task(draft.state)) is not None:
            wishes = f"the protected person's wishes: {event.data.wishes}"
            note(task, draft.now, wishes, event.data.reported_by, event.event_id)
            draft.touch(task)
    if not found:
        draft.audit("no_order_in_force", *(why_not(draft.state, observation.at) or ["no order is known"]))
        draft.alert(
            "report_without_order",
            "high",
            "a breach was reported of a subject under no order in force at that time: a person must look at it, for "
            "the conduct may be an offence of its own",
        )


def _look_alike(draft: Draft, observation: Observation) -> None:
    """Shown, never silently picked; passed on only near a zone or with a task open (behaviour 20)."""
    if not _near_a_term(draft, observation) and live_task(draft.state) is None:
        draft.quietly("look_alike", "a look-alike plate away from every zone, with no task open")
        return
    draft.audit("look_alike", "a plate that could be the subject's was read: for a person to check, never an arrest")
    plate = observation.track.split(":", 1)[1]
    draft.alert("check_plate", "medium", f"a camera read {plate}, which may be the subject's plate misread: check it")


def _near_a_term(draft: Draft, observation: Observation) -> bool:
    return any(
        place(draft.state, draft.records, lineage, observation, draft.policy) in (Placement.IN, Placement.STRADDLING)
        for lineage in lineages(draft.state, draft.records)
    )


def _face(draft: Draft, observation: Observation) -> None:
    verdict = draft.records.find(_verdict_id(observation.id))
    if verdict is not None and _waits(draft, observation):
        _adjudicate(draft, observation, verdict.nature)
        return
    draft.audit("awaits_adjudication", "a face match counts only once a person has confirmed it")
    if _near_a_term(draft, observation) or live_task(draft.state) is not None:
        draft.alert("adjudicate", "high", "a face match that would matter waits for a person's adjudication")


def adjudication(draft: Draft, event: Adjudication) -> None:
    """A person's verdict on a face match, which is kept for a day to wait for it."""
    match_id = f"{event.source}#{event.data.event_id}"
    match = draft.records.find(match_id)
    nature = None if event.data.outcome == "confirmed" else "rejected"
    if match is None:
        draft.records.add(_observation(draft, id=_verdict_id(match_id), track="verdict", nature=nature))
        draft.audit("verdict_waits", "no face match of that id is here: the verdict is kept in case it comes later")
    # Already judged alike: a replay whose row does not know of it yet.
    elif match.nature not in ("unadjudicated", nature) or not _waits(draft, match):
        draft.audit("no_match_to_adjudicate", "the face match of that id no longer waits for adjudication")
    else:
        _adjudicate(draft, match, nature)


def _verdict_id(match_id: str) -> str:
    """Of a verdict that came before its face match; no event's id has a space."""
    return f"{match_id} verdict"


def _waits(draft: Draft, match: Observation) -> bool:
    return draft.now - match.at <= timedelta(seconds=draft.policy.evidence.face_keep_s)


def _adjudicate(draft: Draft, match: Observation, nature: str | None) -> None:
    draft.records.remove(match)
    draft.audit("adjudicated", f"the face match was {nature or 'confirmed'}")
    judged = match.model_copy(update={"nature": nature})
    draft.records.add(judged)
    if nature is None:
        _sighting(draft, judged)


def device_state(draft: Draft, event: TagFix) -> None:
    """Tamper and battery are alerts of their own, whatever the position says (behaviour 25)."""
    tag = event.data.device_id
    if event.data.tamper:
        draft.audit("tamper", "the tag reports tampering; no data is not compliance")
        draft.alert("tag_tamper", "high", f"tag {tag} reports tampering")
    if event.data.battery_low:
        draft.quietly("battery_low", "the tag reports a low battery")
        draft.alert_once_an_hour("tag_battery", "low", f"tag {tag} reports a low battery", tag)


def on_partner(draft: Draft, event: TagFix) -> None:
    """A protected person's own device: kept for a quarter of an hour, only to measure distances from it."""
    person = draft.routing.person_id
    position = event.data.position
    if event.data.tamper or event.data.battery_low:
        draft.alert_once_an_hour(
            "partner_device", "medium", "a protected person's device reports low battery or tampering", "partner"
        )
    if person is None or position is None or not position.usable:
        draft.quietly("partner_position", "a protected person's device sent no usable position, or is nobody's")
        return
    fix = Fix(
        at=event.time,
        id=event.event_id,
        position=position,
        accuracy_m=position.accuracy_m or draft.policy.accuracy.tag_m,
    )
    known = draft.state.partners.get(person, [])
    if any(kept.id == fix.id for kept in known):
        draft.quietly("duplicate", "this event id was already applied; it changes nothing")
        return
    newest = max(fix.at, *(kept.at for kept in known)) if known else fix.at
    fixes = sorted((f for f in [*known, fix] if newest - f.at <= PARTNER_KEPT), key=lambda f: f.at)
    draft.state.partners[person] = fixes[-MAX_PARTNER_FIXES:]
    draft.quietly("partner_position", "a protected person's position is known")
    _judge_distance_again(draft, fix)


def _judge_distance_again(draft: Draft, fix: Fix) -> None:
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


def _beyond_horizon(draft: Draft, observation: Observation) -> None:
    if observation.track == "report":
        breach = any(in_force(draft.state, draft.records, observation.at))
    else:
        breach = observation.position is not None and any(
            place(draft.state, draft.records, lineage, observation, draft.policy) is Placement.IN
            for lineage in lineages(draft.state, draft.records)
        )
    draft.audit("beyond_horizon", "older than the evidence that is kept: not judged with the rest")
    if breach:
        text = "an event older than the retained evidence shows a breach: a person must look at it"
        draft.alert("old_breach", "medium", text)


def retraction(draft: Draft, event: Retraction) -> None:
    """A source takes events back: without them, what they showed is judged again."""
    for retracted in event.data.retracts:
        event_id = f"{event.source}#{retracted}"
        observation = draft.records.find(event_id)
        if observation is not None:
            draft.records.remove(observation)
            settle_all(draft.state, draft.records, observation.track, draft.policy)
            _unsee(draft, observation)
        facts = [f for f in draft.state.breaches if f.opened_by.event_id == event_id]
        if not _retract_from_orders(draft, event_id) and observation is None and not facts:
            _cannot_retract(draft, event_id)
            continue
        draft.audit("retracted", "the source took the event back; its message says why")
        kept_tracks = {o.track for o in draft.records.all()}
        for fact in facts:
            if fact.track == "report" or fact.track not in kept_tracks:
                withdraw(draft, fact, "its source retracted what showed it")
            elif fact.term_kind == "distance" and TAKEN_BACK not in fact.flags:
                # The other person's positions of that time are not kept, so it cannot be judged again.
                fact.flags.append(TAKEN_BACK)
                draft.touch(fact)
        if observation is not None and observation.track not in kept_tracks:
            for key in [key for key in draft.state.tracks if key.endswith(f"|{observation.track}")]:
                del draft.state.tracks[key]
    rejudge(draft, set(draft.state.orders))


def _retract_from_orders(draft: Draft, event_id: str) -> bool:
    """Take back that a court ended or stayed an order."""
    found = False
    for ref in draft.state.orders.values():
        ends = [end for end in ref.ends if end.event_id != event_id]
        stays = [stay for stay in ref.stays if stay.event_id != event_id]
        found = found or (ends, stays) != (ref.ends, ref.stays)
        ref.ends, ref.stays = ends, stays
    return found


def _cannot_retract(draft: Draft, event_id: str) -> None:
    if event_id in draft.state.known:
        draft.audit("refused", "an event of this kind cannot be taken back")
        draft.alert(
            "retraction_refused",
            "high",
            "a source takes back an event that cannot be taken back once applied (an order, a service, a record): "
            "publish what is right, as a new version or event",
            cause=(event_id, draft.event.event_id),
        )
        return
    draft.audit("nothing_to_retract", "no retained event of that id and source; if it comes it will not count")
    draft.state.retracted = [*draft.state.retracted, short_id(event_id)][-MAX_RETRACTED:]


def _unsee(draft: Draft, retracted: Observation) -> None:
    """Where a retracted event was the last position known, the one before it is again."""
    state = draft.state
    if state.last_seen is None or state.last_seen.event_id != retracted.id:
        return
    state.last_seen = None
    accepted = [(device.accepted.at, device.accepted.id) for device in state.devices.values() if device.accepted]
    newest = draft.records.find(max(accepted)[1]) if accepted else None
    if newest is not None:
        _see(draft, newest)


def _see(draft: Draft, observation: Observation) -> None:
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
