"""Erasure of a subject: what refuses it, what it deletes, and in which order, so that no crash leaves half of it.

The row's owner decides, on a command that lies in the log between the events that came before it and those after. It
happens in two steps:

1. The row becomes what is left of it: which records are beside it, and the effects of the erasure (identifiers that
   name nobody any more, null values for tasks, identifiers and held events) in its outbox, as any event's.
2. Once all that is committed, nothing from before can be read again. Then the records' null values are sent, and the
   audit entry that closes the subject's chain, and when they are safe the row's own null value.

Were the row deleted at once, a crash before the commit would have the events in front of the erasure applied to no
row: a late version of an order that was over would come into force.

What comes for the subject meanwhile is not kept where it is evidence, and begins a row of its own where it is an
order or what is said of one: a sender who publishes an order again publishes a new order.

Refused, each with the way out, while the subject is on a legal hold, an order binds them or may still be breached in
hindsight (the policy's horizon), or a task is open. DPA 2018 s47: what must be kept as evidence is not erased but
restricted; whether a case is one is a person's decision, and a hold is how they state it. For legal review.
"""

from datetime import datetime, timedelta

from schemas.erasure import Beside, ErasePerson, EraseSubject, LiftHold, PlaceHold
from schemas.internal import DeadlineDue, MovedEvidence, MovedMatter
from schemas.orders import (
    IdentifierRecord,
    IdentityCorrected,
    Order,
    OrderEnded,
    OrderServed,
    OrderStayed,
    RequirementMet,
)
from schemas.reports import BreachReport
from schemas.updates import TaskUpdate
from streams.core import holds, safeguarding
from streams.core.chain import CLOSING, NOBODY
from streams.core.draft import Draft
from streams.core.force import over_since
from streams.core.identity import by_incident, identifier_key, identifiers, never
from streams.core.policy import Policy
from streams.core.state import FINAL, Erased, SubjectState, is_left_over

_BEGINS_ANEW = (
    Order | OrderServed | OrderEnded | OrderStayed | RequirementMet | IdentityCorrected | MovedEvidence | MovedMatter
)
"""What is not evidence: of an order, or of another subject's row that turned out to be this one."""
_OF_A_ROW = ErasePerson | PlaceHold | LiftHold
_SAYS_NOTHING = DeadlineDue | TaskUpdate | EraseSubject | _OF_A_ROW
"""What leaves nothing of the subject on the row; an update gets its answer."""


def refusals(state: SubjectState, policy: Policy, now: datetime, merged_into: str | None = None) -> list[str]:
    """Why the subject is not erased, each with the way out; `merged_into` is who is erased together with them."""
    found = holds.described(state)
    if state.source is not None:
        found.append("this is a source of events, not a person")
    if state.merged_into not in (None, merged_into):
        return [*found, f"the subject is {state.merged_into}: erase that one, which erases both"]
    if state.merged_into is None:
        found += [why for order_id in state.orders if (why := _binds(state, order_id, policy, now)) is not None]
    return found + open_tasks(state)


def _binds(state: SubjectState, order_id: str, policy: Policy, now: datetime) -> str | None:
    since = over_since(state, state.orders[order_id], now)
    if since is None:
        return (
            f"order {order_id} is in force, or may yet be: erasing it would end a protection that nobody has ended; "
            "only an `order_ended` event does, or the day on which it expires"
        )
    return still_judged(order_id, since, policy, now)


def still_judged(order_id: str, since: datetime, policy: Policy, now: datetime) -> str | None:
    """Until when what happened before `since` may still come in and be judged on the order; None: not any more."""
    until = since + timedelta(seconds=policy.limits.horizon_s)
    if now >= until:
        return None
    return (
        f"order {order_id} is over since {since:%Y-%m-%d %H:%M}Z, and evidence from before that may come in until "
        f"{until:%Y-%m-%d %H:%M}Z: erase then"
    )


def open_tasks(state: SubjectState) -> list[str]:
    """Tasks that somebody has yet to close, with what to do."""
    found = [
        f"arrest task {task.task_id} is {task.state}: close it first, see `breachwatch tasks close`"
        for task in state.tasks
        if task.state not in FINAL
    ]
    return found + [
        f"safeguarding task {row.safeguarding_id} is {row.state}: close it first, see `breachwatch tasks close`"
        for row in state.safeguarding
        if row.state in safeguarding.LIVE
    ]


def erase_subject(draft: Draft, event: EraseSubject) -> None:
    """The first step, or the reasons why not."""
    state, records, beside = draft.state, draft.records, event.data.beside
    why = refusals(state, draft.policy, draft.now, event.data.merged_into)
    if why:
        draft.audit("erasure_refused", *why)
        return
    named = [*identifiers(state, records).values(), *_incidents(state), *beside.links]
    draft.effects.identifiers += [never(record) for record in named]
    keys = [*(identifier_key(record).decode() for record in named), *beside.identifiers]
    draft.effects.tombstones += tombstones(
        beside,
        identifiers=keys,
        tasks=[task.task_id for task in state.tasks],
        safeguarding=[row.safeguarding_id for row in state.safeguarding],
    )
    orders = [
        records.order_key(ref.order_id, version.version).decode()
        for ref in state.orders.values()
        for version in ref.versions
    ]
    before = state.erased if state.erased is not None and state.erased.closing is not None else None
    # What the outbox needs goes when it is committed, as always.
    needed = {key.decode() for entry in state.outbox for key in records.effects_keys(entry.offset, entry.parts)}
    found = [key for key in beside.records if records.are_theirs(key) and key not in needed]
    left = list(dict.fromkeys([*(before.records if before else []), *orders, *found]))
    what = "row, records, identifiers and tasks, by command; the chain ends here"
    closing = before.closing if before else draft.audit_when_done(CLOSING, what)
    _empty(state)
    state.erased = Erased(until=draft.offset, closing=closing, records=left)


def tombstones(
    beside: Beside, *, identifiers: list[str], tasks: list[str], safeguarding: list[str]
) -> list[tuple[str, str]]:
    """(topic, key) of all that is to be deleted, each once."""
    return list(
        dict.fromkeys(
            (topic, key)
            for topic, keys in (
                ("identifiers", identifiers),
                ("arrest-tasks", [*tasks, *beside.tasks]),
                ("safeguarding-tasks", [*safeguarding, *beside.safeguarding]),
                ("unresolved", beside.held),
            )
            for key in keys
        )
    )


def _incidents(state: SubjectState) -> list[IdentifierRecord]:
    return [
        by_incident(state.subject_id, task.task_id, incident) for task in state.tasks for incident in task.incidents
    ]


_KEPT = {"subject_id", "exercise", "revision", "now", "applied", "version", "hours", "chain", "outbox"}
"""What the row still needs to delete what is beside it, and to send its last effects again after a crash."""


def _empty(state: SubjectState) -> None:
    bare = SubjectState(subject_id=state.subject_id)
    for name in SubjectState.model_fields.keys() - _KEPT:
        setattr(state, name, getattr(bare, name))


def may_restore(state: SubjectState, offset: int) -> bool:
    """May a record of this offset, which is read again, put back beside the row what a crash has lost?"""
    return state.erased is None or offset > state.erased.until


def turned_away(draft: Draft) -> bool:
    """Keep nothing of an event that comes after the erasure and is no order; True if that is so."""
    state, event = draft.state, draft.event
    if state.erased is None or state.erased.closing is None:
        return False
    if isinstance(event, _BEGINS_ANEW):
        _close(draft)
        state.chain, state.erased = None, Erased(until=draft.offset - 1)
        return False
    if isinstance(event, _SAYS_NOTHING):
        return False
    state.erased.until = draft.offset
    draft.quietly("not_kept", "the subject has been erased")
    if isinstance(event, BreachReport):
        draft.alert(
            "report_of_the_erased",
            "critical",
            "a breach is reported of a subject who has just been erased: no order is known here any more; look now",
        )
    return True


def is_over(state: SubjectState, committed: int) -> bool:
    """Is all that came for the erased subject committed, so that none of it can be read again?"""
    return is_left_over(state) and not state.outbox and state.applied < committed


def finish(draft: Draft) -> None:
    """The second step: nothing is left but the audit entry that closes the chain."""
    _close(draft)
    draft.effects.gone = True


def _close(draft: Draft) -> None:
    erased = draft.state.erased
    assert erased is not None
    assert erased.closing is not None
    draft.records.erase(erased.records)
    draft.effects.audits.append(erased.closing)
    draft.effects.purge = True


def concerns_nobody(draft: Draft) -> bool:
    """A wake-up that is read again after the row has gone, or a command about a subject of whom there is no row: none
    must come of it."""
    if draft.state.revision or not isinstance(draft.event, DeadlineDue | _OF_A_ROW):
        return False
    if not isinstance(draft.event, DeadlineDue):
        draft.audit(NOBODY, "nothing is known here of a subject of this id")
    draft.effects.gone = True
    return True
