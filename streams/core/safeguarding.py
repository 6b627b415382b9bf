"""Safeguarding: the people whom the orders protect are told what happened, by somebody, in a safe way.

A task of its own beside the arrest: it is opened by a breach, an arrest, a release and a failed tag, and goes
on until everybody has been told what happened last.
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Literal

from schemas.orders import ProtectedPerson
from schemas.safeguarding import (
    PersonToReach,
    SafeguardingReason,
    SafeguardingState,
    SafeguardingTask,
    Told,
)
from schemas.updates import TaskUpdate
from streams.core.draft import Draft, newest_orders
from streams.core.effects import cause_id
from streams.core.ladder import begin, next_step, told, wait
from streams.core.policy import Policy
from streams.core.records import Records
from streams.core.state import MAX_NOTE, MAX_REASONS, SafeguardingRow, SubjectState, Waiting
from streams.core.tasks import SYSTEM, UNKNOWN_FORCE, live_task, note
from streams.core.transitions import ANYBODY, ROOM, SENIOR, moved_since, not_seen

Kind = Literal["breach", "correction", "arrest", "release", "escape", "tag_failed"]
_S = SafeguardingState
LIVE = {_S.OPEN, _S.ACKNOWLEDGED, _S.ASSIGNED}
MOVES: dict[str, tuple[set[SafeguardingState], SafeguardingState | None, frozenset[str]]] = {
    "acknowledge": ({_S.OPEN}, _S.ACKNOWLEDGED, ANYBODY),
    "assign": (LIVE, _S.ASSIGNED, ROOM),
    "told": (LIVE, None, ANYBODY),
    "close": (LIVE, _S.CLOSED, SENIOR),
}
"""Action -> the states it may start from, where it leads (None: to closed, once nobody is owed a word), and who
may. Closing it before everybody has been told is for a supervisor, with a reason."""


def notify(draft: Draft, kind: Kind, text: str, people: Iterable[str] = ()) -> None:
    """Something happened that they must be told: by opening a task or adding to the one that is open.

    `people` are protected persons; none named means all whom the subject's orders protect.
    """
    state, now = draft.state, draft.now
    if not state.orders:
        return
    if kind == "correction" and not any(row.told for row in state.safeguarding):
        return  # nobody has heard of what is corrected; a later word will be of what then stands
    deadline = now + timedelta(seconds=draft.policy.safeguarding.within_s[kind])
    row = next((row for row in state.safeguarding if row.state in LIVE), None)
    named = list(dict.fromkeys(people))
    arrest = live_task(state) or (state.tasks[-1] if state.tasks else None)
    if row is None:
        row = SafeguardingRow(
            safeguarding_id=cause_id("safeguarding", state.subject_id, kind, draft.event.event_id, text),
            arrest_task_id=None if arrest is None else arrest.task_id,
            opened_at=now,
            updated_at=now,
            deadline=deadline,
            people=named,
            waiting=Waiting(since=now),
            traceparent=draft.routing.traceparent,
        )
        state.safeguarding.append(row)
        news = True
    else:
        news = kind not in {reason.kind for reason in row.reasons if _is_news(row, reason)}
        row.people = [*row.people, *(p for p in named if p not in row.people)] if row.people and named else []
        row.deadline = min(row.deadline, deadline)
        row.arrest_task_id = row.arrest_task_id or (None if arrest is None else arrest.task_id)
    row.reasons = [reason for reason in row.reasons if reason.kind != kind]
    row.reasons.append(SafeguardingReason(at=now, kind=kind, text=text, event_id=draft.event.event_id))
    row.reasons = row.reasons[-MAX_REASONS:]
    draft.touch(row)
    if news:
        row.news_revision = row.revision + 1
        note(row, now, f"{kind}: {text}", SYSTEM, draft.event.event_id)
        draft.audit("safeguarding", f"the protected persons are to be told: {text}")
    if news and kind in ("release", "escape"):
        # The rest is on the task's own topic; this cannot wait for whoever looks there.
        draft.alert(
            "safeguarding",
            "critical",
            f"tell the people whom the order protects, in the safe way: {text}",
            task_id=row.safeguarding_id,
            cause=(row.safeguarding_id, kind, draft.event.event_id),
            to="safeguarding",
        )


def _is_news(row: SafeguardingRow, reason: SafeguardingReason) -> bool:
    """Has nobody been told anything since?"""
    return all(word.at < reason.at for word in row.told.values())


def refusal(row: SafeguardingRow, event: TaskUpdate, people: Iterable[str]) -> str | None:
    """Why this update cannot be applied to the safeguarding task; None if it can."""
    data = event.data
    if data.action in ("note", "note_wishes"):
        return None if data.reason else f"'{data.action}' needs a reason, in `reason`"
    if data.action not in MOVES:
        return f"'{data.action}' is not for a safeguarding task; those are: {', '.join(MOVES)}, note, note_wishes"
    starts, _, roles = MOVES[data.action]
    if row.state not in starts:
        return f"a safeguarding task that is {row.state} cannot be moved by '{data.action}'"
    if data.role not in roles:
        return f"'{data.action}' of a safeguarding task is not for {data.role}"
    if data.action != "told" and row.moved_at is not None and event.time < row.moved_at:
        return f"it comes too late: it was made at {event.time:%H:%M:%S}Z, and the task was moved since"
    if data.action != "told" and (stale := moved_since(data, row.moved_revision)) is not None:
        return stale
    if data.action == "close" and (unseen := not_seen(data, row.news_revision)) is not None:
        return unseen
    if data.action == "assign" and data.assignee is None:
        return "assigning needs an assignee: who speaks to them"
    if data.action == "told" and (data.person_id is None or data.reason is None):
        return "say who was told, in `person_id`, and what, in `reason`"
    if data.action == "told" and data.person_id not in set(people):
        return "no order of this subject protects a person of that id"
    if data.action == "close" and data.reason is None:
        return "closing before everybody has been told needs a reason"
    return None


def update(draft: Draft, row: SafeguardingRow, event: TaskUpdate) -> str | None:
    """Apply a person's move, or say why it is refused."""
    data, now = event.data, draft.now
    people = reachable(row, draft.state, draft.records)
    why = refusal(row, event, (person.person_id for person in people))
    if why is not None:
        return why
    by = f"{data.actor} ({data.role})"
    draft.touch(row)
    draft.audit("safeguarding_moved", f"{data.action} by {data.role}")
    if data.action in ("note", "note_wishes"):
        what = data.reason if data.action == "note" else f"the protected person's wishes: {data.reason}"
        note(row, now, what or "", by, event.event_id)
        return None
    note(row, now, f"{data.action}{f': {data.reason}' if data.reason else ''}", by, event.event_id)
    if data.action == "told":
        assert data.person_id is not None
        assert data.reason is not None
        row.told[data.person_id] = Told(at=event.time, by=by, what=data.reason[:MAX_NOTE], event_id=event.event_id)
        if not any(_owed(row, person.person_id) for person in people):
            row.state = _S.CLOSED
        return None
    row.moved_at, row.moved_revision = event.time, row.revision + 1
    row.state = MOVES[data.action][1] or row.state
    if data.action == "acknowledge":
        row.acknowledged_by = data.actor
    if data.action == "assign":
        row.assigned_to = data.assignee
    if row.state in (_S.ACKNOWLEDGED, _S.ASSIGNED):
        begin(row.waiting, row.state, draft.policy.safeguarding, now)
    return None


def reachable(row: SafeguardingRow, state: SubjectState, records: Records) -> list[ProtectedPerson]:
    """The people whom it is about, each once, as the newest order that names them says."""
    found: dict[str, ProtectedPerson] = {}
    for order in newest_orders(state, records):
        for person in order.protected_persons:
            if not row.people or person.person_id in row.people:
                known = found.get(person.person_id)
                if known is None or known.safe_contact is None:
                    found[person.person_id] = person
    return list(found.values())


def _owed(row: SafeguardingRow, person_id: str) -> bool:
    word = row.told.get(person_id)
    return word is None or any(word.at < reason.at for reason in row.reasons)


def lapse(draft: Draft, row: SafeguardingRow) -> None:
    """Somebody had taken it on and nothing followed: it waits again."""
    lapses_at = row.waiting.lapses_at
    if row.state not in (_S.ACKNOWLEDGED, _S.ASSIGNED) or lapses_at is None or lapses_at > draft.now:
        return
    note(row, draft.now, f"lapsed: {row.state}, and no further step", SYSTEM, draft.event.event_id)
    draft.audit("lapsed", f"the safeguarding task was {row.state} and nothing followed")
    row.state, row.assigned_to, row.acknowledged_by = _S.OPEN, None, None
    wait(row.waiting, lapses_at)
    draft.touch(row)


def snapshot(row: SafeguardingRow, state: SubjectState, records: Records, policy: Policy) -> SafeguardingTask:
    """The safeguarding task as dashboards get it: no name, address or number of a protected person."""
    waits = row.state is _S.OPEN
    orders = newest_orders(state, records)
    return SafeguardingTask(
        safeguarding_id=row.safeguarding_id,
        revision=row.revision,
        subject_id=state.subject_id,
        arrest_task_id=row.arrest_task_id,
        state=row.state,
        opened_at=row.opened_at,
        updated_at=row.updated_at,
        deadline=row.deadline,
        people=[
            PersonToReach(
                person_id=person.person_id,
                relation=person.relation,
                safe_contact=person.safe_contact,
                told=row.told.get(person.person_id),
                owed=row.state in LIVE and _owed(row, person.person_id),
            )
            for person in reachable(row, state, records)
        ],
        reasons=list(row.reasons),
        assigned_to=row.assigned_to,
        acknowledged_by=row.acknowledged_by,
        escalated_to=told(row.waiting, policy.safeguarding) if waits else None,
        next_escalation_at=next_step(row.waiting, policy.safeguarding)[0] if waits else None,
        owning_force=orders[-1].owning_force if orders else UNKNOWN_FORCE,
        exercise=state.exercise,
        policy_version=policy.version,
        history=list(row.history),
        traceparent=row.traceparent,
    )
