"""Events about tasks: what people do with them, and what custody says."""

from datetime import datetime

from schemas.custody import CustodyEvent
from schemas.tasks import TaskChange, TaskState
from schemas.updates import TaskAnswer, TaskUpdate
from streams.core import safeguarding
from streams.core.clocks import court_deadline
from streams.core.cross_checks import IN_CUSTODY
from streams.core.draft import Draft
from streams.core.identity import by_incident
from streams.core.kinds import KINDS
from streams.core.safeguarding import notify
from streams.core.state import SafeguardingRow, TaskRow
from streams.core.tasks import breaches_of, change_state, forces_of, is_high_risk, live_task, note, respond_within
from streams.core.transitions import NOTES, refusal

OUT_OF_CUSTODY = {"released", "escaped", "bailed"}
MAX_INCIDENTS = 10


def custody(draft: Draft, event: CustodyEvent) -> None:
    """Custody's word on where the subject is, whenever it becomes known.

    An arrest ends the search for what was before it and starts the court's clock; a release ends the arrest
    where nobody has closed the task. A recall on licence is no arrest: the subject is unlawfully at large.
    """
    state, data = draft.state, event.data
    newest = state.custody_at is None or event.time >= state.custody_at
    draft.audit("custody", f"custody state: {data.state}" + ("" if newest else ", older than what is known"))
    if newest:
        state.custody, state.custody_at, state.disposal = data.state, event.time, data.disposal
    if data.state in IN_CUSTODY:
        _taken(draft, event, newest=newest)
        if not newest and state.custody in OUT_OF_CUSTODY and state.custody_at is not None:
            _out(draft, state.custody, state.custody_at, state.disposal)
    elif newest and data.state in OUT_OF_CUSTODY:
        _out(draft, data.state, event.time, data.disposal)
    elif newest:
        task = live_task(state)
        if task is not None:
            draft.touch(task)
        draft.alert(
            "recalled",
            "high",
            "the subject is recalled on licence: unlawfully at large, to be arrested and returned",
            task_id=None if task is None else task.task_id,
            to="controller",
        )


def _taken(draft: Draft, event: CustodyEvent, *, newest: bool) -> None:
    state = draft.state
    task = live_task(state)
    if newest:
        notify(draft, "arrest", f"the subject is {event.data.state}")
    if task is None:
        return
    # What is only not done may fall due in a cell.
    done = [fact for fact in breaches_of(state, task) if not fact.track.startswith("omission:")]
    if all(fact.began_at <= event.time for fact in done):
        change_state(draft, task, "arrested", event.data.state, event.source)
        arrest(draft, task, event.time)
    elif newest:
        draft.audit("custody_doubted", "a breach began after what custody reports: the search goes on")
        draft.touch(task)
        draft.alert(
            "verify_custody",
            "critical",
            "custody is recorded from before the newest breach: verify it now; the search goes on",
            task_id=task.task_id,
            to="controller",
        )


def _out(draft: Draft, how: str, at: datetime, disposal: str | None) -> None:
    """Out of custody: the protected people are told, and whoever is still wanted is wanted again.

    Bail, and a release that says how the matter was dealt with, leave the task arrested, for a person to close. A
    release that says nothing while the task stands open may be a mistake: the task waits for a person again, who
    closes it if custody has dealt with the breach.
    """
    state = draft.state
    notify(draft, "escape" if how == "escaped" else "release", f"the subject is {how}")
    task = live_task(state)
    if task is None and how != "bailed" and disposal is None:
        arrested = [t for t in state.tasks if t.state is TaskState.ARRESTED and (t.arrested_at or at) <= at]
        task = arrested[-1] if arrested else None
        if task is not None:
            change_state(draft, task, "want_again", f"{how} while the task stood open: wanted again", "custody")
            task.arrested_at = task.court_deadline = task.assigned_to = task.acknowledged_by = None
            within = respond_within(state, draft.policy.grade(task.grade), draft.policy)
            task.deadline, task.deadline_told = draft.now + within, False
    if task is None:
        return
    draft.touch(task, TaskChange.WANTED_AGAIN)
    draft.audit("wanted_again", f"{how} with a breach that nobody has dealt with")
    draft.alert(
        "wanted_again",
        "critical",
        f"the subject is {how} and an arrest task stands open: find them; if custody has dealt with the breach, "
        "close the task with that outcome",
        task_id=task.task_id,
        to="controller",
        forces=forces_of(task, state, draft.records),
    )


def arrest(draft: Draft, task: TaskRow, at: datetime) -> None:
    """The task's search is over; where a power has a court clock, its end goes on the task."""
    task.arrested_at = at
    ends = []
    for fact in breaches_of(draft.state, task):
        clock = KINDS[draft.records.order(fact.order_id, fact.order_version).data.kind].court_clock
        if clock is not None:
            ends.append(court_deadline(at, clock))
    task.court_deadline = min(ends, default=None)


def update(draft: Draft, event: TaskUpdate) -> None:
    """A person's move, or the reason why it is refused; either way its sender gets an answer."""
    data = event.data
    found = _meant(draft, event)
    if isinstance(found, SafeguardingRow):
        why = safeguarding.update(draft, found, event)
    else:
        high = found is not None and is_high_risk(found, draft.state, draft.records)
        why = refusal(found, data, event.time, high_risk=high)
        if why is None and found is not None:
            _move(draft, found, event)
    if why is not None:
        draft.audit("update_refused", f"{data.action} by {data.role}: {why}")
    answer(draft, event, found, why)


def answer(draft: Draft, event: TaskUpdate, found: TaskRow | SafeguardingRow | None, why: str | None) -> None:
    """Tell the update's sender what became of it."""
    task_id = found.safeguarding_id if isinstance(found, SafeguardingRow) else found.task_id if found else None
    draft.effects.answers.append(
        TaskAnswer(
            event_id=event.event_id,
            task_id=task_id or event.data.task_id,
            subject_id=draft.state.subject_id,
            action=event.data.action,
            actor=event.data.actor,
            accepted=why is None,
            reason=why,
            state=None if found is None else found.state.value,
            at=draft.now,
            exercise=draft.state.exercise,
        )
    )


def repeated(draft: Draft, event: TaskUpdate) -> None:
    """The same update once more: it changes nothing, and its sender is told so."""
    answer(
        draft, event, _meant(draft, event), "an update of this id was applied or refused before; that answer stands"
    )


def _meant(draft: Draft, event: TaskUpdate) -> TaskRow | SafeguardingRow | None:
    """The task that the update names: by its id, or by the number of an incident linked to it."""
    data = event.data
    if data.task_id is None:
        return next((task for task in reversed(draft.state.tasks) if data.incident in task.incidents), None)
    rows = (row for row in draft.state.safeguarding if row.safeguarding_id == data.task_id)
    return draft.task(data.task_id) or next(rows, None)


def _move(draft: Draft, task: TaskRow, event: TaskUpdate) -> None:
    data, by = event.data, f"{event.data.actor} ({event.data.role})"
    if data.action in NOTES:
        _note(draft, task, event, by)
        return
    task.moved_at = max(event.time, task.moved_at or event.time)
    # `decide` raises it by one for all that an event changes.
    task.moved_revision = task.revision + 1
    task.acknowledged_at = task.acknowledged_at or draft.now
    what = data.action.replace("_", " ")
    said = [word for word in (data.assignee, data.outcome, data.reason) if word is not None]
    change_state(draft, task, data.action, f"{what}: {', '.join(said)}" if said else what, by)
    if data.action == "acknowledge":
        task.acknowledged_by = data.actor
    elif data.action == "assign":
        task.assigned_to = data.assignee
    elif data.action == "close":
        task.outcome = data.outcome
    elif data.action == "arrested":
        arrest(draft, task, event.time)
        notify(draft, "arrest", "the subject is arrested")
    draft.audit("task_moved", f"{data.action} by {data.role}")


def _note(draft: Draft, task: TaskRow, event: TaskUpdate, by: str) -> None:
    data = event.data
    draft.touch(task)
    if data.action == "note_wishes":
        note(task, draft.now, f"the protected person's wishes: {data.reason}", by, event.event_id)
        draft.audit("wishes_recorded", "recorded; they close and downgrade nothing")
        return
    if data.action == "note":
        note(task, draft.now, data.reason or "", by, event.event_id)
        draft.audit("task_noted", f"by {data.role}")
        return
    assert data.incident is not None
    if data.incident not in task.incidents:
        task.incidents = [*task.incidents, data.incident][-MAX_INCIDENTS:]
        draft.effects.identifiers.append(by_incident(draft.state.subject_id, task.task_id, data.incident))
    note(task, draft.now, f"linked to incident {data.incident}", by, event.event_id)
    draft.audit("task_linked", f"to incident {data.incident} by {data.role}")
