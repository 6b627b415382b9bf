"""Two subjects who are one, or one who is two: orders, evidence and breaches go to the row that they belong to.

The row that gives up sends the orders, then the evidence, then the rest, all to the other row's partition, where
they arrive in this order and are judged as anything late is. What comes for a subject who is another goes on to
that one.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import orjson

from schemas.base import EXERCISE, Event
from schemas.erasure import ErasePerson, EraseSubject, LiftHold
from schemas.internal import DeadlineDue, MovedEvidence, MovedMatter, MovedMatterData, SubjectEvent
from schemas.orders import (
    NEVER,
    IdentifierKind,
    IdentifierRecord,
    IdentityCorrected,
    Order,
    OrderEnded,
    OrderEndedData,
    OrderServed,
    OrderServedData,
    OrderStayed,
    OrderStayedData,
    Role,
)
from schemas.safeguarding import SafeguardingState
from schemas.tasks import TaskChange
from schemas.updates import TaskUpdate
from streams.core import safeguarding
from streams.core.breaches import add_fact, withdraw
from streams.core.draft import Draft
from streams.core.effects import cause_id
from streams.core.identity import Named, by_incident, identifiers, is_somebody_elses, never
from streams.core.judge import is_zone_evidence
from streams.core.records import Observation
from streams.core.resolve import world_id
from streams.core.sightings import rejudge
from streams.core.state import BreachFact, OrderRef, TaskRow
from streams.core.stretches import settle_all
from streams.core.tasks import SYSTEM, change_state, live_task, note
from streams.core.transitions import TRANSITIONS

_AT_A_TIME = 200
"""Observations in one message: some 80 KB."""


def corrected(draft: Draft, event: IdentityCorrected) -> None:
    """The row of `subject_id` gives up what is the other's."""
    other = world_id(event.data.other_subject_id, event.exercise)
    if event.data.how == "merged":
        _merge(draft, event, other)
    else:
        _split(draft, event, other)


def _merge(draft: Draft, event: IdentityCorrected, other: str) -> None:
    state = draft.state
    if state.merged_into is not None:
        draft.audit("identity_corrected", f"already merged into {state.merged_into}")
        return
    named = identifiers(state, draft.records)
    _send(draft, other, _orders(draft, list(state.orders.values()), other))
    _send(draft, other, _evidence(draft, list(draft.records.all())))
    task = live_task(state)
    met = {ref.order_id: ref.met for ref in state.orders.values()}
    missed = {ref.order_id: ref.missed for ref in state.orders.values()}
    custody: dict[str, str | None] = {
        "state": state.custody,
        "at": state.custody_at.isoformat() if state.custody_at else None,
    }
    matter = MovedMatterData(
        from_subject=state.subject_id,
        how="merged",
        facts=[_json(fact) for fact in state.breaches if task is not None and fact.task_id == task.task_id],
        met=met,
        missed=missed,
        task=None if task is None else _json(task),
        custody=custody if state.custody else None,
        holds=state.holds,
    )
    _send(draft, other, [_matter(draft, matter)])
    _close(draft, named)
    bare = state.subject_id.removeprefix(EXERCISE)
    draft.effects.identifiers.append(
        IdentifierRecord(
            kind=IdentifierKind.SUBJECT, value=bare, subject_id=other, role=Role.SUBJECT, order_id=f"merged/{bare}"
        )
    )
    state.merged_into = other
    why = f"{state.subject_id} is {other}"
    for row in state.tasks:
        if row.state in TRANSITIONS["merge"].starts:
            change_state(draft, row, "merge", f"merged: {why}", SYSTEM)
            row.merged_into = other
            draft.touch(row, TaskChange.CORRECTION)
    for reach in state.safeguarding:
        if reach.state in safeguarding.LIVE:
            reach.state = SafeguardingState.MERGED
            note(reach, draft.now, f"merged: {why}", SYSTEM, event.event_id)
            draft.touch(reach)
    # Words that people typed are for the trail: a task is shown to whoever may not read them.
    draft.audit("identity_corrected", f"merged: {why}: {event.data.reason}")
    draft.alert(
        "subjects_merged",
        "medium",
        f"two subjects are one: the orders, evidence and task of {state.subject_id} go on under {other}",
        task_id=None if task is None else task.task_id,
    )


def _split(draft: Draft, event: IdentityCorrected, other: str) -> None:
    state, records = draft.state, draft.records
    theirs = [state.orders[order_id] for order_id in event.data.order_ids if order_id in state.orders]
    unknown = [order_id for order_id in event.data.order_ids if order_id not in state.orders]
    if unknown:
        draft.audit("refused", f"not orders of this subject: {', '.join(unknown)}")
        draft.alert(
            "check_identity", "high", f"a split names orders that this subject does not have: {', '.join(unknown)}"
        )
    if not theirs:
        return
    records.needed_by_row = True  # a row without these orders must not meet their evidence again
    ids = {ref.order_id for ref in theirs}
    named = identifiers(state, records)
    gone = {key: record for key, record in named.items() if key[2] in ids}
    rest = {key: record for key, record in named.items() if key[2] not in ids}
    moving = [o for o in records.all() if o.order_id in ids or _names(gone, o)]
    matter = MovedMatterData(
        from_subject=state.subject_id,
        how="split",
        facts=[_json(fact) for fact in state.breaches if fact.order_id in ids],
        met={ref.order_id: ref.met for ref in theirs},
        missed={ref.order_id: ref.missed for ref in theirs},
        holds=state.holds,
    )
    _send(draft, other, [*_orders(draft, theirs, other), *_evidence(draft, moving), _matter(draft, matter)])
    for fact in [fact for fact in state.breaches if fact.order_id in ids]:
        withdraw(draft, fact, f"order {fact.order_id} is another person's ({other})")
    _close(draft, gone)
    for order_id in ids:
        del state.orders[order_id]
        for key in [key for key in state.tracks if key.startswith(f"{order_id}|")]:
            del state.tracks[key]
    for observation in moving:
        if observation.order_id in ids or not _names(rest, observation):
            records.remove(observation)
    for track in sorted({o.track for o in moving} & state.devices.keys()):
        settle_all(state, records, track, draft.policy)
    draft.audit("identity_corrected", f"split: {', '.join(sorted(ids))} to {other}: {event.data.reason}")
    rejudge(draft, set(state.orders))
    draft.alert(
        "subject_split",
        "medium",
        f"orders {', '.join(sorted(ids))} and what breached them are another person's, and go on under {other}",
    )


def _names(named: Named, observation: Observation) -> bool:
    """Is it of a tag or plate that these orders name for its time?"""
    kind, _, _ = observation.track.partition(":")
    if kind not in ("tag", "plate"):
        return False
    ended = {key: record.model_copy(update={"valid_to": NEVER}) for key, record in named.items()}
    ever_named = is_somebody_elses(ended, observation.track, observation.at)
    return ever_named and not is_somebody_elses(named, observation.track, observation.at)


def _close(draft: Draft, named: Named) -> None:
    draft.effects.identifiers += [never(record) for record in named.values()]


def _json(part: BreachFact | TaskRow) -> dict[str, Any]:
    return part.model_dump(mode="json", exclude_defaults=True)


def _id(draft: Draft, *what: str) -> str:
    return cause_id("moved", draft.event.event_id, *what)


def _send(draft: Draft, other: str, events: Iterator[Event] | list[Event]) -> None:
    for event in events:
        routing = draft.routing.model_copy(update={"through": [*draft.routing.through, draft.state.subject_id]})
        draft.effects.forwards.append(
            SubjectEvent.model_validate({"subject_id": other, "routing": routing, "event": event})
        )


def _orders(draft: Draft, refs: list[OrderRef], other: str) -> Iterator[Event]:
    """The events that make these orders anew; ends and stays keep the ids by which their source may retract them."""
    bare = other.removeprefix(EXERCISE)
    exercise = draft.state.exercise
    for ref in refs:
        for version in ref.versions:
            data = draft.records.order(ref.order_id, version.version).data
            respondent = data.respondent.model_copy(update={"subject_id": bare})
            yield Order(
                id=_id(draft, ref.order_id, str(version.version)),
                # Whose order it is stays known. The id is ours: nothing that they sent or will send has it.
                source=version.source or SYSTEM,
                time=min(data.made_at, draft.now),
                recordedtime=version.recorded_at,
                exercise=exercise,
                type="order",
                data=data.model_copy(update={"respondent": respondent}),
            )
        for number, service in ref.services.items():
            yield OrderServed(
                id=_id(draft, ref.order_id, "served", str(number)),
                source=SYSTEM,
                time=min(service.served_at, draft.now),
                recordedtime=draft.now,
                exercise=exercise,
                type="order_served",
                data=OrderServedData(order_id=ref.order_id, version=number, subject_id=bare, service=service),
            )
        why = f"as held for {draft.state.subject_id}"
        for end in ref.ends:
            source, _, name = end.event_id.rpartition("#")
            yield OrderEnded(
                id=name,
                source=source,
                time=end.at,
                recordedtime=draft.now,
                exercise=exercise,
                type="order_ended",
                data=OrderEndedData(order_id=ref.order_id, subject_id=bare, how="stated_event", reference=why),
            )
        for stay in ref.stays:
            source, _, name = stay.event_id.rpartition("#")
            yield OrderStayed(
                id=name,
                source=source,
                time=stay.begins,
                recordedtime=draft.now,
                exercise=exercise,
                type="order_stayed",
                data=OrderStayedData(order_id=ref.order_id, subject_id=bare, until=stay.until, reference=why),
            )


def _evidence(draft: Draft, kept: list[Observation]) -> Iterator[Event]:
    for start in range(0, len(kept), _AT_A_TIME):
        yield MovedEvidence(
            id=_id(draft, "evidence", str(start)),
            source=SYSTEM,
            time=draft.now,
            recordedtime=draft.now,
            exercise=draft.state.exercise,
            type="moved_evidence",
            data=[o.model_dump(mode="json", exclude_defaults=True) for o in kept[start : start + _AT_A_TIME]],
        )


def _matter(draft: Draft, data: MovedMatterData) -> MovedMatter:
    return MovedMatter(
        id=_id(draft, "matter"),
        source=SYSTEM,
        time=draft.now,
        recordedtime=draft.now,
        exercise=draft.state.exercise,
        type="moved_matter",
        data=data,
    )


def observations(draft: Draft, event: MovedEvidence) -> list[Observation]:
    """The evidence in the message, as applied by this record."""
    found = [Observation.model_validate_json(orjson.dumps(each)) for each in event.data]
    return [each.model_copy(update={"applied_at": draft.offset}) for each in found]


def take_evidence(draft: Draft, event: MovedEvidence) -> None:
    """Evidence that came with orders of ours: kept and judged with the rest."""
    state = draft.state
    fresh = [each for each in observations(draft, event) if draft.records.add(each)]
    for track in sorted({each.track for each in fresh if is_zone_evidence(each)}):
        settle_all(state, draft.records, track, draft.policy)
    draft.audit("evidence_moved", f"{len(fresh)} of {len(event.data)} observations were new here")
    rejudge(draft, set(state.orders))


def take_matter(draft: Draft, event: MovedMatter) -> None:
    """What the other row had beside: breaches whose evidence has left, requirements met, and its task's urgency."""
    state, data = draft.state, event.data
    state.holds = data.holds | state.holds
    for order_id, met in data.met.items():
        if order_id in state.orders:
            state.orders[order_id].met |= met
            state.orders[order_id].missed += [
                name for name in data.missed.get(order_id, []) if name not in state.orders[order_id].missed
            ]
    for raw in data.facts:
        fact = BreachFact.model_validate_json(orjson.dumps(raw))
        if fact.order_id in state.orders and not any(_is_same(fact, known) for known in state.breaches):
            moved = cause_id("breach", state.subject_id, "moved", fact.breach_id)
            add_fact(draft, fact.model_copy(update={"breach_id": moved, "task_id": None}))
    if data.custody is not None and data.custody["at"] is not None:
        at = datetime.fromisoformat(data.custody["at"])
        if state.custody_at is None or at > state.custody_at:
            state.custody, state.custody_at, state.disposal = data.custody["state"], at, None
    task = live_task(state)
    if data.task is not None and task is not None:
        theirs = TaskRow.model_validate_json(orjson.dumps(data.task))
        task.deadline = min(task.deadline, theirs.deadline)
        task.incidents = list(dict.fromkeys([*task.incidents, *theirs.incidents]))
        had = f", with {theirs.assigned_to}" if theirs.assigned_to else ""
        note(
            task,
            draft.now,
            f"joined by task {theirs.task_id} of {data.from_subject}, which was {theirs.state}{had}",
            SYSTEM,
            event.event_id,
        )
        draft.effects.identifiers += [
            by_incident(state.subject_id, task.task_id, incident) for incident in theirs.incidents
        ]
        draft.touch(task, TaskChange.CORRECTION)
    draft.audit("matter_moved", f"what {data.from_subject} held of this subject is here now")


def _is_same(a: BreachFact, b: BreachFact) -> bool:
    return (a.order_id, a.term_id, a.track) == (b.order_id, b.term_id, b.track) and (
        a.opened_by.event_id == b.opened_by.event_id or a.began_at == b.began_at
    )


def passed_on(draft: Draft) -> bool:
    """Send what came for a subject who is another to that one's row; False where it must be dealt with here.

    Of two that are each said to be the other the newer word stands: what comes back stays here, and a person is told.
    """
    state, event = draft.state, draft.event
    other = state.merged_into
    if other is None or isinstance(event, DeadlineDue | EraseSubject | ErasePerson):
        return False
    if isinstance(event, LiftHold) and event.data.reference in state.holds:
        return False
    if isinstance(event, IdentityCorrected) and event.data.how == "merged":
        return False
    if isinstance(event, TaskUpdate) and draft.task(event.data.task_id) is not None:
        return False
    if other in draft.routing.through:
        _afresh(draft)
        draft.audit("identity_corrected", f"no longer taken for {other}")
        draft.alert(
            "identity_corrected",
            "medium",
            f"{state.subject_id} was taken for {other}, who now sends back what is not theirs: a person was two",
            cause=(state.subject_id, other, draft.routing.sha256),
        )
        return False
    _send(draft, other, [event])
    draft.audit("passed_on", f"this subject is {other}")
    return True


def _afresh(draft: Draft) -> None:
    """The subject is one of their own again: what the row kept is history, and what stands comes back."""
    state = draft.state
    state.merged_into, state.last_seen = None, None
    state.orders, state.devices, state.tracks, state.breaches, state.dropped = {}, {}, {}, [], []
    for kept in list(draft.records.all()):
        draft.records.remove(kept)
