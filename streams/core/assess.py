"""The decision on one event for one subject: (state, event, policy, now) -> (new state, effects).

`decide` takes its draft of the state over and changes it; a caller that fails before the row is written must
read the row again. Nothing here knows Kafka, Faust or a clock. What each kind of event does is in
`on_orders`, `on_evidence`, `on_tasks` and `deadlines`.
"""

from datetime import datetime, timedelta

from schemas.base import Event
from schemas.custody import CustodyEvent
from schemas.erasure import ErasePerson, EraseSubject, LiftHold, PlaceHold
from schemas.internal import DeadlineDue, MovedEvidence, MovedMatter, SubjectEvent
from schemas.orders import IdentityCorrected, Order, OrderEnded, OrderServed, OrderStayed, RequirementMet, Role
from schemas.reports import BreachReport, Retraction, SourceHeartbeat
from schemas.searches import RetroSearch
from schemas.sightings import Adjudication, TagFix
from schemas.tasks import NEWS
from schemas.updates import TaskUpdate
from streams.core import (
    canary,
    deadlines,
    erasure,
    holds,
    moved,
    on_evidence,
    on_orders,
    on_tasks,
    persons,
    safeguarding,
    sources,
)
from streams.core.draft import Draft
from streams.core.effects import Effects
from streams.core.identity import changed, identifiers, in_index
from streams.core.policy import Policy
from streams.core.records import Records
from streams.core.replay import is_replay, restore
from streams.core.state import (
    MAX_KNOWN_IDS,
    MAX_OUTBOX,
    MAX_OUTBOX_BYTES,
    OutboxEntry,
    SubjectState,
    is_left_over,
    short_id,
    trim,
)
from streams.core.tasks import live_task, snapshot


def decide(
    state: SubjectState,
    records: Records,
    incoming: SubjectEvent,
    policy: Policy,
    appended_at: datetime,
    offset: int,
    committed: int,
) -> Effects:
    """Apply one `subject-events` record to its subject's row.

    `appended_at` and `offset` are the record's own; `committed` is the offset up to which the caller has
    committed, which empties the outbox.
    """
    replayed = is_replay(state, appended_at, offset)
    draft = Draft(state, records, incoming, policy, appended_at, offset)
    task_was_open = live_task(state) is not None
    if erasure.concerns_nobody(draft):
        return draft.effects
    state.now = draft.now
    _forget_committed(state, records, committed)
    observation = on_evidence.observed(draft)
    if replayed:
        if erasure.may_restore(state, offset):
            restore(draft, observation)
        state.hours = sorted(records.hours)
        sent = next((entry for entry in state.outbox if entry.offset == offset), None)
        return _again(draft, sent) if sent is not None else draft.effects
    if isinstance(draft.event, DeadlineDue) and erasure.is_over(state, committed):
        erasure.finish(draft)
        return draft.effects
    persons_leave = isinstance(draft.event, DeadlineDue) and persons.is_over(state, committed)
    probed = canary.is_canary(state.subject_id)
    if probed:
        canary.begin(draft, observation)
    state.applied = offset
    state.revision += 1
    if erasure.turned_away(draft):
        pass
    elif persons_leave:
        persons.finish(draft)
    elif draft.event.event_id in state.known:
        draft.duplicate()
        if isinstance(draft.event, TaskUpdate):
            on_tasks.repeated(draft, draft.event)
    elif state.retracted and short_id(draft.event.event_id) in state.retracted:
        draft.audit("retracted", "its source has taken it back")
    elif _claimed(draft.event) > draft.now + timedelta(seconds=policy.limits.future_tolerance_s):
        _quarantine(draft)
    elif moved.passed_on(draft):
        pass
    elif observation is not None:
        on_evidence.observe(draft, observation)
    else:
        _apply(draft)
    if probed:
        canary.end(draft)
    for task_id in trim(state, draft.now):
        draft.touched.pop(task_id, None)
    for task in state.tasks:
        if task.task_id in draft.touched:
            task.revision += 1
            task.updated_at, task.change = draft.now, draft.touched[task.task_id]
            if task.change in NEWS:
                task.news_revision = task.revision
            draft.effects.tasks.append(snapshot(task, state, records, policy))
    for row in state.safeguarding:
        if row.safeguarding_id in draft.touched:
            row.revision += 1
            row.updated_at = draft.now
            draft.effects.safeguarding.append(safeguarding.snapshot(row, state, records, policy))
    _follow_vehicles(draft, task_was_open)
    _remember(draft)
    state.hours = sorted(records.hours)
    waits = is_left_over(state) or bool(state.leaving)
    state.wake_at = draft.now if waits else deadlines.next_due(state, records, policy)
    return draft.effects


def _follow_vehicles(draft: Draft, task_was_open: bool) -> None:
    """With a task open every vehicle of the subject is looked for; afterwards only where a term is about places."""
    state, records = draft.state, draft.records
    task_is_open = live_task(state) is not None
    if task_is_open != task_was_open:
        named = identifiers(state, records)
        before, after = (
            in_index(records, state, named, task_open=is_open) for is_open in (task_was_open, task_is_open)
        )
        draft.effects.identifiers += changed(before, after)


def _apply(draft: Draft) -> None:
    """Events that are not evidence; their ids are known by the row."""
    event = draft.event
    _know(draft)
    match event:
        case Order():
            on_orders.order(draft, event)
        case OrderServed():
            on_orders.served(draft, event)
        case OrderEnded():
            on_orders.ended(draft, event)
        case OrderStayed():
            on_orders.stayed(draft, event)
        case IdentityCorrected():
            moved.corrected(draft, event)
        case MovedEvidence():
            moved.take_evidence(draft, event)
        case MovedMatter():
            moved.take_matter(draft, event)
        case RequirementMet():
            on_orders.requirement_met(draft, event)
        case CustodyEvent():
            on_tasks.custody(draft, event)
        case TaskUpdate():
            on_tasks.update(draft, event)
        case Adjudication():
            on_evidence.adjudication(draft, event)
        case Retraction():
            on_evidence.retraction(draft, event)
        case SourceHeartbeat():
            sources.heartbeat(draft, event)
        case RetroSearch():
            on_evidence.retro_search(draft, event)
        case EraseSubject():
            erasure.erase_subject(draft, event)
        case ErasePerson():
            persons.erase_person(draft, event)
        case PlaceHold():
            holds.place(draft, event)
        case LiftHold():
            holds.lift(draft, event)
        case DeadlineDue():
            deadlines.due(draft)
        case TagFix() if draft.routing.role is Role.PROTECTED_PERSON:
            on_evidence.on_partner(draft, event)
        case TagFix():
            on_evidence.device_state(draft, event)
            draft.quietly("no_position", "the fix has no position")
        case _:
            draft.quietly("noted", f"a {draft.event_type} of somebody whom the order protects has no effect here")


def _again(draft: Draft, entry: OutboxEntry) -> Effects:
    """The same effects again: the process ended after the row was written, before the commit.

    Tasks are sent as they now stand, since an older snapshot must not follow a newer one.
    """
    tasks = [task for task in draft.state.tasks if task.task_id in entry.tasks]
    if entry.parts:
        whole = OutboxEntry.model_validate_json(draft.records.effects(entry.offset, entry.parts))
        entry = whole.model_copy(update={"tasks": entry.tasks, "safeguarding": entry.safeguarding})
    return Effects(
        identifiers=list(entry.identifiers),
        audits=list(entry.audits),
        alerts=list(entry.alerts),
        tasks=[snapshot(task, draft.state, draft.records, draft.policy) for task in tasks],
        safeguarding=[
            safeguarding.snapshot(row, draft.state, draft.records, draft.policy)
            for row in draft.state.safeguarding
            if row.safeguarding_id in entry.safeguarding
        ],
        answers=list(entry.answers),
        forwards=[SubjectEvent.read(raw) for raw in entry.forwards],
        tombstones=list(entry.tombstones),
        again=True,
    )


def _forget_committed(state: SubjectState, records: Records, committed: int) -> None:
    for entry in state.outbox:
        if entry.offset < committed:
            records.drop_effects(entry.offset, entry.parts)
    state.outbox = [entry for entry in state.outbox if entry.offset >= committed]


def _remember(draft: Draft) -> None:
    effects, outbox = draft.effects, draft.state.outbox
    if not effects:
        return
    entry = OutboxEntry(
        offset=draft.offset,
        event_id=draft.event.event_id,
        alerts=effects.alerts,
        audits=effects.audits,
        identifiers=effects.identifiers,
        answers=effects.answers,
        forwards=[forward.model_dump_json() for forward in effects.forwards],
        tombstones=effects.tombstones,
        tasks=[task.task_id for task in effects.tasks],
        safeguarding=[task.safeguarding_id for task in effects.safeguarding],
    )
    raw = entry.model_dump_json(exclude_defaults=True).encode()
    if sum(kept.size for kept in outbox) + len(raw) > MAX_OUTBOX_BYTES:
        parts = draft.records.put_effects(draft.offset, raw)
        entry = OutboxEntry(
            offset=entry.offset,
            event_id=entry.event_id,
            tasks=entry.tasks,
            safeguarding=entry.safeguarding,
            parts=parts,
        )
    else:
        entry.size = len(raw)
    outbox.append(entry)
    effects.commit_now = len(outbox) > MAX_OUTBOX


def _know(draft: Draft) -> None:
    known = draft.state.known
    # A partner's fixes are known by their own list, and a wake-up may come twice: neither fills this one.
    if draft.routing.role is Role.PROTECTED_PERSON or isinstance(draft.event, DeadlineDue):
        return
    known[draft.event.event_id] = draft.offset
    while len(known) > MAX_KNOWN_IDS:
        del known[next(iter(known))]


def _claimed(event: Event) -> datetime:
    """The time that the sender's clock claims; a court may end or stay an order from a later day on."""
    return event.recordedtime if isinstance(event, OrderEnded | OrderStayed) else event.time


def _quarantine(draft: Draft) -> None:
    """A clock that runs ahead must not become "latest" (behaviour 45)."""
    source = draft.event.source
    if isinstance(draft.event, TagFix) and draft.routing.role is Role.SUBJECT:
        on_evidence.device_state(draft, draft.event)
    if isinstance(draft.event, BreachReport):
        draft.alert("report_from_the_future", "high", "a breach is reported with a time still to come: look now")
    draft.audit("quarantined", "the event claims a time in the future: its sender's clock is wrong")
    draft.alert_once_an_hour(
        "clock_ahead", "low", f"{source} sends events from the future: check its clock; they are not acted on", source
    )
