"""Who may move a task from where to where: one table, for people, dispatch systems and breachwatch itself."""

from dataclasses import dataclass
from datetime import datetime

from schemas.tasks import TaskState
from schemas.updates import TaskUpdateData
from streams.core.state import TaskRow

_S = TaskState
SEARCHING = frozenset({_S.OPEN, _S.ACKNOWLEDGED, _S.ASSIGNED, _S.EN_ROUTE, _S.ATTEMPTED})
"""The subject is to be found and arrested."""
LIVE = SEARCHING | {_S.WITHDRAWAL_RECOMMENDED}
"""A subject has at most one task in these; a new breach goes on it."""
WAITING = frozenset({_S.OPEN, _S.WITHDRAWAL_RECOMMENDED})
"""A person must act or decide: the task gets louder until somebody does."""
BEGUN = SEARCHING - {_S.OPEN}
"""Somebody has acted; without a further step that lapses."""
UNATTENDED = SEARCHING - {_S.ATTEMPTED}
"""Nobody has been there yet: the deadline is for this."""
OVER = frozenset({_S.CLOSED, _S.MERGED, _S.WITHDRAWN})
"""Nothing is left to do."""

ROOM = frozenset({"controller", "supervisor", "duty_inspector"})
SENIOR = frozenset({"supervisor", "duty_inspector"})
ANYBODY = ROOM | {"officer", "dispatch"}
SYSTEM = frozenset({"breachwatch"})
CUSTODY = frozenset({"custody"})


@dataclass(frozen=True)
class Move:
    """From any of `starts` to `to` (None: to where it was before), by somebody in one of `roles`, who states
    `needs`."""

    starts: frozenset[TaskState]
    to: TaskState | None
    roles: frozenset[str]
    needs: tuple[str, ...] = ()


TRANSITIONS: dict[str, Move] = {
    "acknowledge": Move(frozenset({_S.OPEN}), _S.ACKNOWLEDGED, ANYBODY),
    "assign": Move(SEARCHING, _S.ASSIGNED, ROOM | {"dispatch"}, ("assignee",)),
    "en_route": Move(frozenset({_S.ACKNOWLEDGED, _S.ASSIGNED, _S.ATTEMPTED}), _S.EN_ROUTE, ANYBODY),
    "attempted": Move(frozenset({_S.ACKNOWLEDGED, _S.ASSIGNED, _S.EN_ROUTE}), _S.ATTEMPTED, ANYBODY, ("reason",)),
    "arrested": Move(LIVE, _S.ARRESTED, ANYBODY | CUSTODY),
    "close": Move(LIVE | {_S.ARRESTED}, _S.CLOSED, ROOM, ("outcome",)),
    "withdraw": Move(frozenset({_S.WITHDRAWAL_RECOMMENDED}), _S.WITHDRAWN, ROOM, ("reason",)),
    "keep": Move(frozenset({_S.WITHDRAWAL_RECOMMENDED}), None, ROOM, ("reason",)),
    "lapse": Move(BEGUN, _S.OPEN, SYSTEM),
    "recommend_withdrawal": Move(SEARCHING, _S.WITHDRAWAL_RECOMMENDED, SYSTEM),
    "stand_again": Move(frozenset({_S.WITHDRAWAL_RECOMMENDED}), None, SYSTEM),
    "want_again": Move(frozenset({_S.ARRESTED}), _S.OPEN, CUSTODY),
    "merge": Move(LIVE | {_S.ARRESTED}, _S.MERGED, SYSTEM),
}
"""Action -> the move that it is. What is not here leaves every state as it is."""

NOTES = {"link": "incident", "note": "reason", "note_wishes": "reason"}
"""Actions that move nothing and may be taken in any state -> the field that says what is noted."""
_MISSING = {
    "assignee": "assigning needs an assignee: who goes",
    "outcome": "closing needs an outcome code",
    "incident": "linking needs the incident's number",
}


def refusal(task: TaskRow | None, update: TaskUpdateData, at: datetime, *, high_risk: bool) -> str | None:
    """Why this update, made at `at`, cannot be applied; None if it can.

    A protected person's wishes are noted on a task in any state, and move it nowhere.
    """
    if task is None:
        return "this subject has no task of that id: it may have left after later tasks, see the topic"
    if update.action in NOTES:
        what = NOTES[update.action]
        return _lacking(update, (what,))
    move = TRANSITIONS.get(update.action)
    if move is None:
        return f"'{update.action}' is not for an arrest task"
    if update.role not in move.roles:
        return f"'{update.action}' is for {_words(move.roles & ANYBODY)}, not for {update.role}"
    if task.state not in move.starts:
        return _wrong_state(task, update, move)
    # An arrest is a fact whenever it becomes known; all else was decided on what the task was then.
    if task.moved_at is not None and at < task.moved_at and update.action != "arrested":
        return (
            f"it comes too late: it was made at {at:%H:%M:%S}Z, and the task was moved at {task.moved_at:%H:%M:%S}Z; "
            "look at the task as it now stands"
        )
    if update.action != "arrested" and (stale := moved_since(update, task.moved_revision)) is not None:
        return stale
    if update.action in ("close", "withdraw") and (unseen := not_seen(update, task.news_revision)) is not None:
        return unseen
    if (lacking := _lacking(update, move.needs)) is not None:
        return lacking
    if update.role not in SENIOR and update.action == "close" and high_risk:
        return "the risk is high or not assessed: closing needs a supervisor"
    if update.role not in SENIOR and update.action == "withdraw" and (high_risk or task.assigned_to is not None):
        # A forged discharge must not call off a car.
        return "a unit is assigned, or the risk is high or not assessed: withdrawing needs a supervisor"
    return None


def moved_since(update: TaskUpdateData, moved_revision: int) -> str | None:
    """Why an update is not applied that was decided on an older revision than the newest that a person made."""
    if update.revision is None or update.revision >= moved_revision:
        return None
    return (
        f"it was decided on revision {update.revision}, and somebody moved the task in revision {moved_revision}: "
        "look at the task as it now stands"
    )


def not_seen(update: TaskUpdateData, news_revision: int) -> str | None:
    """Why an update does not end a task on which something came that whoever made it had not seen."""
    if update.revision is None or update.revision >= news_revision:
        return None
    return (
        f"it was decided on revision {update.revision}, and revision {news_revision} brought news: "
        "look at the task as it now stands"
    )


def _lacking(update: TaskUpdateData, needs: tuple[str, ...]) -> str | None:
    for field in needs:
        if getattr(update, field) is None:
            wishes = "say what the wishes are, in `reason`" if update.action == "note_wishes" else None
            return wishes or _MISSING.get(field, f"'{update.action}' needs a reason, in `reason`")
    return None


def _wrong_state(task: TaskRow, update: TaskUpdateData, move: Move) -> str:
    if task.state is move.to:
        by = f" by {task.acknowledged_by}" if update.action == "acknowledge" and task.acknowledged_by else ""
        return f"the task is {task.state} already{by}"
    return (
        f"a task that is {task.state} cannot be moved by '{update.action}': that is for one that is "
        f"{_words(frozenset(map(str, move.starts)))}"
    )


def _words(names: frozenset[str]) -> str:
    ordered = sorted(names)
    return ", ".join(ordered[:-1]) + (" or " if len(ordered) > 1 else "") + ordered[-1]
