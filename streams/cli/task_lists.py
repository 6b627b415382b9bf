"""Tasks as a controller reads them: the list, one task in full, and the list for the shift that takes over.

Pure: from what the topics hold to lines of text. Nothing here names a protected person but by reference.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from schemas.safeguarding import SafeguardingState, SafeguardingTask
from schemas.tasks import Alert, ArrestTask, AuditEntry, TaskState
from streams.core.policy import Policy
from streams.core.safeguarding import LIVE as SAFEGUARDING_LIVE
from streams.core.transitions import LIVE, WAITING

TO_VERIFY = ("verify_custody", "identity_conflict", "wanted_again", "recalled")


@dataclass
class Board:
    """Everything that the topics hold: the newest of each task, and the alerts and audit entries of a period."""

    tasks: dict[str, ArrestTask] = field(default_factory=dict)
    safeguarding: dict[str, SafeguardingTask] = field(default_factory=dict)
    alerts: dict[str, Alert] = field(default_factory=dict)
    suppressed: list[AuditEntry] = field(default_factory=list)

    def only(self, *, exercise: bool, force: str | None) -> "Board":
        """The part of one world and, where one is named, of one force."""
        mine = {
            task_id: task
            for task_id, task in self.tasks.items()
            if task.exercise == exercise and (force is None or force in (task.owning_force, *task.forces))
        }
        subjects = {task.subject_id for task in mine.values()}

        def ours(subject: str | None, is_exercise: bool) -> bool:
            return is_exercise == exercise and (force is None or subject in subjects)

        return Board(
            mine,
            {k: s for k, s in self.safeguarding.items() if ours(s.subject_id, s.exercise)},
            {k: a for k, a in self.alerts.items() if ours(a.subject_id, a.exercise)},
            [entry for entry in self.suppressed if ours(entry.subject_id, entry.exercise)],
        )


def urgent_first(tasks: Iterable[ArrestTask], policy: Policy) -> list[ArrestTask]:
    """By grade, the gravest first, then by deadline."""
    grades = [grade.name for grade in policy.grades]
    return sorted(tasks, key=lambda t: (grades.index(t.grade) if t.grade in grades else -1, t.deadline, t.task_id))


def left(deadline: datetime, now: datetime) -> str:
    """How long until a deadline, or how long since."""
    minutes = round((deadline - now).total_seconds() / 60)
    return f"in {_span(minutes)}" if minutes >= 0 else f"OVERDUE {_span(-minutes)}"


def _span(minutes: int) -> str:
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h" if minutes < 48 * 60 else f"{minutes // 1440} d"


def _seen(task: ArrestTask, now: datetime) -> str:
    if task.last_seen is None:
        return "not seen"
    ago = _span(max(0, round((now - task.last_seen.time).total_seconds() / 60)))
    return f"seen {ago} ago {task.last_seen.place or ''}".rstrip()


def _with(task: ArrestTask | SafeguardingTask) -> str:
    return task.assigned_to or task.acknowledged_by or "NOBODY"


def task_lines(task: ArrestTask, now: datetime) -> list[str]:
    """One task of the list: what it is and who has it; what was breached; where they were."""
    who = f"{task.subject_name} [{task.subject_id}]" if task.subject_name else task.subject_id
    escalated = f", told {task.escalated_to.replace('_', ' ')}" if task.escalated_to else ""
    lines = [
        f"{task.grade.upper():10} {task.priority.score:>3}  {left(task.deadline, now):14} "
        f"{task.state.replace('_', ' ')} ({_with(task)}{escalated})  {who}"
    ]
    kinds = sorted({f"{b.term_kind.replace('_', ' ')} ({b.certainty})" for b in task.breaches})
    lines.append(f"    {', '.join(kinds) or 'no breach stands'}; {_seen(task, now)}")
    named = [f"task {task.task_id}", *(f"incident {number}" for number in task.incidents)]
    lines.append(f"    {', '.join(named)}")
    if task.warnings:
        lines.append(f"    WARNING: {', '.join(w.replace('_', ' ') for w in task.warnings)}")
    return lines


def safeguarding_lines(task: SafeguardingTask, now: datetime) -> list[str]:
    owed = [person.person_id for person in task.people if person.owed]
    kinds = ", ".join(dict.fromkeys(reason.kind.replace("_", " ") for reason in task.reasons))
    return [
        f"SAFEGUARDING    {left(task.deadline, now):14} {task.state} ({_with(task)})  {task.subject_id}",
        f"    to be told of {kinds}: {', '.join(owed) or 'nobody any more'}; task {task.safeguarding_id}",
    ]


def task_list(board: Board, policy: Policy, now: datetime, *, ended: bool) -> list[str]:
    """Live tasks, the most urgent first; with `ended` the others after them."""
    live = urgent_first((t for t in board.tasks.values() if t.state in LIVE), policy)
    lines = [line for task in live for line in task_lines(task, now)] or ["no arrest task is open"]
    if ended:
        over = sorted((t for t in board.tasks.values() if t.state not in LIVE), key=lambda t: t.updated_at)
        lines += [line for task in over for line in task_lines(task, now)]
    reach = sorted(
        (s for s in board.safeguarding.values() if ended or s.state in SAFEGUARDING_LIVE), key=lambda s: s.deadline
    )
    return lines + [line for task in reach for line in safeguarding_lines(task, now)]


def task_in_full(task: ArrestTask, beside: Iterable[SafeguardingTask], now: datetime) -> list[str]:
    """Everything about one task, officers' safety first."""
    lines = [f"WARNING: {warning.replace('_', ' ')}" for warning in task.warnings]
    lines += [*task_lines(task, now)[:2], f"    task {task.task_id}, revision {task.revision} ({task.change})"]
    lines += ["", "by when:", f"  attend by {task.deadline:%d %b %H:%M:%S}Z ({left(task.deadline, now)})"]
    if task.next_escalation_at is not None:
        lines.append(f"  nobody has acted: louder at {task.next_escalation_at:%d %b %H:%M:%S}Z")
    if task.court_deadline is not None:
        lines.append(f"  before a court by {task.court_deadline:%d %b %H:%M}Z")
    lines += ["", "grounds:"]
    for breach in task.breaches:
        lines += [
            f"  {breach.began_at:%d %b %H:%M}Z {breach.certainty}: {breach.reason}",
            f"    power: {breach.power}",
            *(f"    ! {flag}" for flag in breach.flags),
        ]
    if task.breach_count > len(task.breaches):
        lines.append(f"  ({task.breach_count} breaches in all)")
    lines += ["", f"priority {task.priority.score} under policy {task.policy_version}:"]
    lines += [f"  {c.points:+4}  {c.rule}: {c.reason}" for c in task.priority.contributions]
    lines += ["", f"forces: {', '.join(task.forces)}"]
    if task.incidents:
        lines.append(f"incidents: {', '.join(task.incidents)}")
    if task.merged_into:
        lines.append(f"the subject is {task.merged_into}: the task goes on there")
    if task.outcome:
        lines.append(f"outcome: {task.outcome.replace('_', ' ')}")
    lines += [f"! {flag}" for flag in task.flags]
    for reach in beside:
        lines += ["", *_reach_in_full(reach, now)]
    lines += ["", "history:"]
    lines += [f"  {entry.at:%d %b %H:%M:%S}Z {entry.by}: {entry.what}" for entry in task.history]
    return lines


def _reach_in_full(task: SafeguardingTask, now: datetime) -> list[str]:
    lines = safeguarding_lines(task, now)
    for person in task.people:
        safe = person.safe_contact
        how = "how to reach them safely is not known: ask before calling"
        if safe is not None:
            hours = f", {safe.start or '00:00'} to {safe.until or '24:00'}" if safe.start or safe.until else ""
            days = f" on {', '.join(safe.days)}" if safe.days else ""
            never = f"; never {', '.join(safe.never).replace('_', ' ')}" if safe.never else ""
            by = f"; {safe.by} speaks to them" if safe.by else ""
            held = f"; details at {safe.held_at}" if safe.held_at else ""
            how = f"{', '.join(safe.means).replace('_', ' ')}{hours}{days}{never}{by}{held}"
        lines.append(f"    {person.person_id} ({person.relation}): {how}")
        if person.told is not None:
            lines.append(f"      told {person.told.at:%d %b %H:%M}Z by {person.told.by}: {person.told.what}")
        if person.owed:
            lines.append("      to be told")
    return lines


def handover(board: Board, policy: Policy, since: datetime, now: datetime) -> list[str]:
    """The list for the shift that takes over: what waits, what is under way, what changed, what was held back."""
    live = urgent_first((t for t in board.tasks.values() if t.state in LIVE), policy)
    recent = [alert for alert in board.alerts.values() if alert.at >= since]
    sections: list[tuple[str, list[str]]] = [
        ("waits for a person", _lines((t for t in live if t.state in WAITING), now)),
        ("under way", _lines((t for t in live if t.state not in WAITING), now)),
        (
            "arrested, to be closed",
            [
                f"  {t.subject_id}: task {t.task_id}"
                + (f", before a court by {t.court_deadline:%d %b %H:%M}Z" if t.court_deadline else "")
                for t in board.tasks.values()
                if t.state is TaskState.ARRESTED
            ],
        ),
        ("custody and identity to verify", [_alert_line(a) for a in recent if a.kind in TO_VERIFY]),
        (
            "protected people to be told",
            [
                f"  {line}"
                for s in sorted(board.safeguarding.values(), key=lambda s: s.deadline)
                if s.state in SAFEGUARDING_LIVE
                for line in safeguarding_lines(s, now)
            ],
        ),
        (
            "escalated or missed in this shift",
            [_alert_line(a) for a in recent if a.kind in ("escalation", "lapsed", "deadline_missed")],
        ),
        (
            "ended in this shift",
            [
                f"  {t.subject_id}: {t.state}{f' ({t.outcome})' if t.outcome else ''}, task {t.task_id}"
                for t in board.tasks.values()
                if t.updated_at >= since and t.state in (TaskState.CLOSED, TaskState.WITHDRAWN, TaskState.MERGED)
            ],
        ),
        (
            "low alerts held back in this shift",
            [
                f"  {entry.subject_id}: {'; '.join(entry.reasons)}"
                for entry in sorted(board.suppressed, key=lambda e: e.at)
                if entry.at >= since
            ],
        ),
    ]
    opened = sum(1 for t in board.tasks.values() if t.opened_at >= since)
    told = sum(
        1 for s in board.safeguarding.values() if s.updated_at >= since and s.state is SafeguardingState.CLOSED
    )
    lines = [
        f"handover at {now:%d %b %Y %H:%M}Z for the time since {since:%d %b %H:%M}Z",
        f"{len(live)} tasks open, {opened} opened in this shift, {told} safeguarding tasks done",
    ]
    for title, found in sections:
        count = sum(1 for line in found if not line.startswith("    "))
        lines += ["", f"{title}: {count}", *found]
    return lines


def _lines(tasks: Iterable[ArrestTask], now: datetime) -> list[str]:
    return [f"  {line}" for task in tasks for line in task_lines(task, now)]


def _alert_line(alert: Alert) -> str:
    to = f" [{alert.to.replace('_', ' ')}]" if alert.to else ""
    return f"  {alert.at:%d %b %H:%M}Z{to} {alert.subject_id}: {alert.text}"


def named(tasks: Mapping[str, object], prefix: str) -> list[str]:
    """The ids that begin so."""
    return sorted(task_id for task_id in tasks if task_id.startswith(prefix))


def shift(text: str) -> timedelta:
    """A length of time as people write it: 12h, 90m, 2d. Raises ValueError for anything else."""
    units = {"m": 60, "h": 3600, "d": 86_400}
    if len(text) < 2 or text[-1] not in units or not text[:-1].isdigit():
        raise ValueError(f"{text!r} is not a length of time such as 12h, 90m or 2d")
    return timedelta(seconds=int(text[:-1]) * units[text[-1]])
