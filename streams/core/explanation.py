"""Why a task is as it is, in words: its points, its grounds with their evidence, and what would have changed it."""

from collections.abc import Iterable

from schemas.tasks import ArrestTask, AuditEntry, Breach
from streams.core.policy import Policy


def heading(task: ArrestTask) -> str:
    return (
        f"task {task.task_id} on subject {task.subject_id}: {task.state}, grade {task.grade}, act by {task.deadline}"
    )


def points(task: ArrestTask) -> list[str]:
    """What each rule of the policy gave."""
    return [f"{c.points:+4}  {c.rule}: {c.reason}" for c in task.priority.contributions]


def ground(breach: Breach) -> list[str]:
    """One breach: when, why, under which order, with which power, on which messages of the log."""
    ends = f" to {breach.ended_at}" if breach.ended_at else ", not known to have ended"
    return [
        f"{breach.term_kind} ({breach.certainty}), {breach.began_at}{ends}",
        breach.reason,
        f"order {breach.order_id} version {breach.order_version}, term {breach.term_id or 'not stated'}; "
        f"certified copy: {breach.certified_copy or 'not stated'}; notice: {breach.proof_of_service or 'none'}",
        f"power: {breach.power}",
        *(
            f"evidence: {e.type} {e.event_id} at {e.time}, message {e.topic}/{e.partition}/{e.offset}, "
            f"sha256 {e.sha256}"
            for e in breach.evidence
        ),
        *(f"flag: {flag}" for flag in breach.flags),
    ]


def alternatives(task: ArrestTask, policy: Policy) -> list[str]:
    """Without each contribution in turn: the grade that the score would have given."""
    now = policy.grade_for(task.priority.score).name
    found = []
    for contribution in task.priority.contributions:
        score = task.priority.score - contribution.points
        grade = policy.grade_for(score).name
        verb = "would be" if grade != now else "would still be"
        found.append(f"without {contribution.rule} the score is {score}: the grade {verb} {grade}")
    if any(breach.proof_of_service is None for breach in task.breaches):
        found.append("proof of service would confirm the power of arrest; it would not change the grade")
    return found


def decisions(entries: Iterable[AuditEntry]) -> list[str]:
    """What was decided on a subject, in the order of its chain."""
    found = []
    for entry in sorted(entries, key=lambda e: (e.at, e.chain_day or "", e.chain_number)):
        where = f"{entry.topic}/{entry.partition}/{entry.offset}"
        reasons = "; ".join(entry.reasons)
        found.append(f"{entry.at}  {entry.decision} ({entry.event_type} {entry.event_id} at {where}): {reasons}")
    return found


def explanation(task: ArrestTask, entries: Iterable[AuditEntry], policy: Policy) -> list[str]:
    """The lines that explain a task from its snapshot and its subject's audit entries."""
    grounds = [
        f"{'    ' if number else '  '}{line}"
        for breach in task.breaches
        for number, line in enumerate(ground(breach))
    ]
    return [
        heading(task),
        "",
        f"priority {task.priority.score} under policy {task.policy_version}:",
        *(f"  {line}" for line in points(task)),
        "",
        "grounds:",
        *grounds,
        "",
        "what would have changed it:",
        *(f"  {line}" for line in alternatives(task, policy)),
        "",
        "decisions on this subject:",
        *(f"  {line}" for line in decisions(entries)),
    ]
