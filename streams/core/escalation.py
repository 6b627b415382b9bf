"""A task that nobody acts on gets louder: steps of its grade's ladder, and what was begun and has lapsed.

Only what is due by the log's time is taken, each step once: the row counts the steps. It stops the moment
somebody acts.
"""

from collections.abc import Iterator
from datetime import datetime

from schemas.safeguarding import SafeguardingState
from schemas.tasks import TaskChange, TaskState
from streams.core.draft import Draft
from streams.core.ladder import due_steps, next_step
from streams.core.policy import Policy
from streams.core.safeguarding import LIVE, lapse
from streams.core.state import SafeguardingRow, SubjectState, TaskRow
from streams.core.tasks import SYSTEM, change_state, forces_of, live_task, note
from streams.core.transitions import BEGUN, UNATTENDED, WAITING

_WHO = {
    "controller": "the controllers",
    "supervisor": "the supervisor",
    "duty_inspector": "the duty inspector",
    "neighbouring_force": "a neighbouring force",
}


def arrest_dues(task: TaskRow, policy: Policy) -> Iterator[datetime]:
    """When something next falls due on an arrest task that waits for people."""
    ladder = policy.grade(task.grade)
    if task.state in WAITING:
        yield next_step(task.waiting, ladder)[0]
    elif task.state in BEGUN and task.waiting.lapses_at is not None:
        yield task.waiting.lapses_at
    if _owes_attendance(task):
        yield task.deadline


def safeguarding_dues(row: SafeguardingRow, policy: Policy) -> Iterator[datetime]:
    if row.state is SafeguardingState.OPEN:
        yield next_step(row.waiting, policy.safeguarding)[0]
    elif row.state in LIVE and row.waiting.lapses_at is not None:
        yield row.waiting.lapses_at


def _owes_attendance(task: TaskRow) -> bool:
    """Nobody has been there yet."""
    return task.state in UNATTENDED and not task.deadline_told


def dues(state: SubjectState, policy: Policy) -> Iterator[datetime]:
    """When this row must be woken for a person's sake."""
    task = live_task(state)
    if task is not None:
        yield from arrest_dues(task, policy)
    for row in state.safeguarding:
        yield from safeguarding_dues(row, policy)


def due(draft: Draft) -> None:
    """Take what is due by now on the subject's tasks."""
    task = live_task(draft.state)
    if task is not None:
        _arrest_due(draft, task)
    for row in draft.state.safeguarding:
        _safeguarding_due(draft, row)


def _arrest_due(draft: Draft, task: TaskRow) -> None:
    policy, now = draft.policy, draft.now
    ladder = policy.grade(task.grade)
    forces = forces_of(task, draft.state, draft.records)
    if _owes_attendance(task) and task.deadline <= now:
        task.deadline_told = True
        note(task, now, "not attended by its deadline", SYSTEM, draft.event.event_id)
        draft.touch(task, TaskChange.ESCALATED)
        draft.audit("deadline_missed", f"not attended by {task.deadline:%Y-%m-%d %H:%M}Z; it is {task.state}")
        draft.alert(
            "deadline_missed",
            "critical" if task.grade == policy.grades[0].name else "high",
            f"a task of grade {task.grade} was to be attended by {task.deadline:%H:%M}Z and is {task.state}",
            task_id=task.task_id,
            cause=(task.task_id, "deadline", task.deadline.isoformat()),
            to="supervisor",
            forces=forces,
        )
    lapses_at = task.waiting.lapses_at
    if task.state in BEGUN and lapses_at is not None and lapses_at <= now:
        was, had = task.state, f" by {task.assigned_to}" if task.assigned_to else ""
        change_state(draft, task, "lapse", f"lapsed: {was}{had}, and no further step", SYSTEM, since=lapses_at)
        task.assigned_to = task.acknowledged_by = None
        draft.touch(task, TaskChange.ESCALATED)
        draft.audit("lapsed", f"it was {was}{had} and nothing followed by {lapses_at:%Y-%m-%d %H:%M}Z")
        draft.alert(
            "lapsed",
            "critical",
            f"a task of grade {task.grade} was {was}{had} and nothing has followed: it waits for a person again",
            task_id=task.task_id,
            cause=(task.task_id, "lapse", str(task.waiting.round)),
            to="supervisor",
            forces=forces,
        )
    if task.state not in WAITING:
        return
    for when, step in due_steps(task.waiting, ladder, now):
        what = "a withdrawal waits for a decision" if task.state is TaskState.WITHDRAWAL_RECOMMENDED else "unanswered"
        waited = (when - task.waiting.since).total_seconds() / 60
        asked = list(forces)
        if step == "neighbouring_force":
            asked += [name for force in forces[:1] for name in policy.neighbours.get(force, [])]
        note(task, now, f"{what} for {waited:.0f} min: told {_WHO[step]}", SYSTEM, draft.event.event_id)
        draft.touch(task, TaskChange.ESCALATED)
        draft.audit("escalated", f"{what} since {task.waiting.since:%Y-%m-%d %H:%M}Z: told {_WHO[step]}")
        draft.alert(
            "escalation",
            "high" if step == "controller" else "critical",
            f"a task of grade {task.grade}: {what} for {waited:.0f} min; it goes to {_WHO[step]}",
            task_id=task.task_id,
            cause=(task.task_id, "step", str(task.waiting.round), str(task.waiting.told)),
            to=step,
            forces=list(dict.fromkeys(asked)),
        )


def _safeguarding_due(draft: Draft, row: SafeguardingRow) -> None:
    now, ladder = draft.now, draft.policy.safeguarding
    lapse(draft, row)
    if row.state is not SafeguardingState.OPEN:
        return
    for when, step in due_steps(row.waiting, ladder, now):
        waited = (when - row.waiting.since).total_seconds() / 60
        note(row, now, f"unanswered for {waited:.0f} min: told {_WHO[step]}", SYSTEM, draft.event.event_id)
        draft.touch(row)
        draft.audit("escalated", f"nobody has spoken to the protected person: told {_WHO[step]}")
        draft.alert(
            "safeguarding_escalation",
            "high" if step == "controller" else "critical",
            f"nobody has taken on speaking to the protected person for {waited:.0f} min; it goes to {_WHO[step]}",
            task_id=row.safeguarding_id,
            cause=(row.safeguarding_id, "step", str(row.waiting.round), str(row.waiting.told)),
            to=step,
        )
