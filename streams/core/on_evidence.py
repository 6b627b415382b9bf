"""Events that may show a breach: what kind of evidence each is, and what takes it back."""

from datetime import timedelta

from schemas.base import Event, format_time
from schemas.orders import Role
from schemas.reports import BreachReport, Retraction
from schemas.searches import RetroSearch
from schemas.sightings import Adjudication, FaceMatch, OfficerSighting, PlateRead, TagFix
from streams.core.breaches import judge_report_breaches, withdraw
from streams.core.draft import Draft
from streams.core.force import in_force, why_not
from streams.core.identity import forget_track, identifiers, is_somebody_elses, unsee
from streams.core.judge import lineages, place
from streams.core.plates import canonical
from streams.core.records import NOT_THEIRS, Observation
from streams.core.safeguarding import notify
from streams.core.sightings import judge_distance_again, rejudge, sighting
from streams.core.state import MAX_RETRACTED, Fix, short_id
from streams.core.stretches import settle_all
from streams.core.tasks import live_task, note
from streams.core.zones import Placement

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
            "search_id": routing.search_id,
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
        draft.duplicate()
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
    elif is_somebody_elses(identifiers(draft.state, draft.records), observation.track, observation.at):
        draft.records.remove(observation)
        draft.records.add(observation.model_copy(update={"nature": NOT_THEIRS}))
        draft.audit("identity_corrected", "the orders now say that it was not the subject's at that time")
    else:
        sighting(draft, observation)


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
    match, nature = _verdict(draft, event)
    if match is None:
        _keep_verdict(draft, event, nature)
        draft.audit("verdict_waits", "no face match of that id is here: the verdict is kept in case it comes later")
    # Already judged alike: the row was lost in a crash, the record was not.
    elif match.nature not in ("unadjudicated", nature) or not _waits(draft, match):
        draft.audit("no_match_to_adjudicate", "the face match of that id no longer waits for adjudication")
    else:
        _adjudicate(draft, match, nature)


def adjudicated(draft: Draft, event: Adjudication) -> None:
    """Keep the verdict, on its face match or until that comes, without judging."""
    match, nature = _verdict(draft, event)
    if match is None:
        _keep_verdict(draft, event, nature)
    elif match.nature == "unadjudicated" and _waits(draft, match):
        draft.records.add(match.model_copy(update={"nature": nature}))


def _match_id(event: Adjudication) -> str:
    return f"{event.source}#{event.data.event_id}"


def _verdict(draft: Draft, event: Adjudication) -> tuple[Observation | None, str | None]:
    """The face match that is meant, if it is here, and what the verdict makes of its nature."""
    return draft.records.find(_match_id(event)), None if event.data.outcome == "confirmed" else "rejected"


def _keep_verdict(draft: Draft, event: Adjudication, nature: str | None) -> None:
    draft.records.add(_observation(draft, id=_verdict_id(_match_id(event)), track="verdict", nature=nature))


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
        sighting(draft, judged)


def device_state(draft: Draft, event: TagFix) -> None:
    """Tamper and battery are alerts of their own, whatever the position says (behaviour 25)."""
    tag = event.data.device_id
    if event.data.tamper:
        draft.audit("tamper", "the tag reports tampering; no data is not compliance")
        draft.alert("tag_tamper", "high", f"tag {tag} reports tampering")
        if any(in_force(draft.state, draft.records, event.time)):
            notify(draft, "tag_failed", "the subject's tag reports tampering")
    if event.data.battery_low:
        draft.quietly("battery_low", "the tag reports a low battery")
        draft.alert_once_an_hour("tag_battery", "low", f"tag {tag} reports a low battery", tag)


def retro_search(draft: Draft, event: RetroSearch) -> None:
    """Retained reads are searched for the subject's vehicles: under what authority, and what came of it."""
    data = event.data
    reasons = [f"search {data.search_id} of plate reads since {format_time(data.since)}", data.authority, data.reason]
    if data.retained_from is not None:
        reasons.append(f"reads before {format_time(data.retained_from)} are not retained any more")
    if data.phase == "ended":
        reasons.append(f"{data.reads} reads searched, {data.matches} passed on")
    draft.audit(f"retro_search_{data.phase}", *reasons, orders=data.order_ids)


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
        draft.duplicate()
        return
    newest = max(fix.at, *(kept.at for kept in known)) if known else fix.at
    fixes = sorted((f for f in [*known, fix] if newest - f.at <= PARTNER_KEPT), key=lambda f: f.at)
    draft.state.partners[person] = fixes[-MAX_PARTNER_FIXES:]
    draft.quietly("partner_position", "a protected person's position is known")
    judge_distance_again(draft, fix)


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
            unsee(draft, observation)
        facts = [f for f in draft.state.breaches if f.opened_by.event_id == event_id]
        if not _retract_from_orders(draft, event_id) and observation is None and not facts:
            _cannot_retract(draft, event_id)
            continue
        draft.audit("retracted", "the source took the event back; its message says why")
        _forget_for_good(draft, event_id)
        kept_tracks = {o.track for o in draft.records.all()}
        for fact in facts:
            if fact.track == "report" or fact.track not in kept_tracks:
                withdraw(draft, fact, "its source retracted what showed it")
            elif fact.term_kind == "distance" and TAKEN_BACK not in fact.flags:
                # The other person's positions of that time are not kept, so it cannot be judged again.
                fact.flags.append(TAKEN_BACK)
                draft.touch(fact)
        if observation is not None and observation.track not in kept_tracks:
            forget_track(draft, observation.track, "its source retracted what showed it")
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
    _forget_for_good(draft, event_id)


def _forget_for_good(draft: Draft, event_id: str) -> None:
    """If it comes, or is delivered once more, it does not count."""
    draft.state.retracted = [*draft.state.retracted, short_id(event_id)][-MAX_RETRACTED:]
