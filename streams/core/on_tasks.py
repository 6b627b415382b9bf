"""Events about tasks: what dashboards do with them, and what custody says."""

from datetime import datetime

from schemas.custody import CustodyEvent
from schemas.tasks import TaskState, TaskUpdate
from streams.core.clocks import court_deadline
from streams.core.cross_checks import IN_CUSTODY
from streams.core.draft import Draft
from streams.core.kinds import KINDS
from streams.core.state import TaskRow
from streams.core.tasks import TRANSITIONS, breaches_of, is_high_risk, live_task, note, refusal


def custody(draft: Draft, event: CustodyEvent) -> None:
    """Custody's word on where the subject is; an arrest ends the search for what was before it, whenever it
    becomes known, and starts the court's clock."""
    state, data = draft.state, event.data
    newest = state.custody_at is None or event.time >= state.custody_at
    draft.audit("custody", f"custody state: {data.state}" + ("" if newest else ", older than what is known"))
    if newest:
        state.custody, state.custody_at = data.state, event.time
    task = live_task(state)
    if data.state not in IN_CUSTODY or task is None:
        return
    # What is only not done may fall due in a cell.
    done = [fact for fact in breaches_of(state, task) if not fact.track.startswith("omission:")]
    if all(fact.began_at <= event.time for fact in done):
        move(draft, task, TaskState.ARRESTED, data.state, event.source)
        arrest(draft, task, event.time)
    elif newest:
        draft.audit("custody_doubted", "a breach began after what custody reports: the search goes on")
        draft.alert(
            "verify_custody",
            "critical",
            "custody is recorded from before the newest breach: verify it now; the search goes on",
            task_id=task.task_id,
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
    """A dashboard's move, or the reason why it is refused; a refusal answers its sender by an alert."""
    data = event.data
    task = draft.task(data.task_id)
    why = refusal(task, data, high_risk=task is not None and is_high_risk(task, draft.state, draft.records))
    if why is not None or task is None:
        draft.audit("update_refused", why or "")
        draft.alert("update_refused", "low", f"{data.action} by {data.actor} refused: {why}", task_id=data.task_id)
        return
    by = f"{data.actor} ({data.role})"
    if data.action == "note_wishes":
        note(task, draft.now, f"the protected person's wishes: {data.reason}", by, event.event_id)
        draft.audit("wishes_recorded", "recorded; they close and downgrade nothing")
        draft.touch(task)
        return
    if data.action == "assign":
        task.assigned_to = data.assignee
    if data.action == "arrested":
        arrest(draft, task, event.time)
    if data.action == "close":
        task.outcome = data.outcome
    move(draft, task, TRANSITIONS[data.action][1], data.action, by)
    draft.audit("task_moved", f"{data.action} by {data.role}")


def move(draft: Draft, task: TaskRow, to: TaskState, what: str, by: str) -> None:
    task.state = to
    note(task, draft.now, what, by, draft.event.event_id)
    draft.touch(task)
