"""`breachwatch explain TASK_ID`: the whole chain from the messages to the task, in words."""

from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from schemas.tasks import ArrestTask, AuditEntry
    from streams.core.policy import Policy


def command(task_id: Annotated[str, typer.Argument(help="The task's id, as on the board or in `tail`.")]) -> None:
    """Explain a task: its events with their place in the log, the orders, the rules and what would change it."""
    from schemas.tasks import ArrestTask, AuditEntry
    from streams.core.policy import load_policy
    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    cluster = cluster_of(settings)
    task: ArrestTask | None = None
    for message in read_all(cluster, full_name(settings, "arrest-tasks")):
        if message.key == task_id.encode() and message.value:
            task = ArrestTask.model_validate_json(message.value)
    if task is None:
        raise BreachwatchError(f"there is no task {task_id}: see `breachwatch tail arrest-tasks --from-beginning`")
    entries: dict[str, AuditEntry] = {}
    for message in read_all(cluster, full_name(settings, "audit")):
        entry = AuditEntry.model_validate_json(message.value or b"")
        if entry.subject_id == task.subject_id:
            entries[entry.audit_id] = entry
    for line in explanation(task, list(entries.values()), load_policy(settings.policy_file)):
        typer.echo(line)


def explanation(task: "ArrestTask", entries: "list[AuditEntry]", policy: "Policy") -> list[str]:
    """The lines that explain a task from its snapshot and its subject's audit entries."""
    lines = [
        f"task {task.task_id} on subject {task.subject_id}: {task.state}, grade {task.grade}, act by {task.deadline}",
        "",
        f"priority {task.priority.score} under policy {task.policy_version}:",
        *(f"  {c.points:+4}  {c.rule}: {c.reason}" for c in task.priority.contributions),
        "",
        "grounds:",
    ]
    for breach in task.breaches:
        ends = f" to {breach.ended_at}" if breach.ended_at else ", not known to have ended"
        lines += [
            f"  {breach.term_kind} ({breach.certainty}), {breach.began_at}{ends}",
            f"    {breach.reason}",
            f"    order {breach.order_id} version {breach.order_version}, term {breach.term_id or 'not stated'}; "
            f"certified copy: {breach.certified_copy or 'not stated'}; notice: {breach.proof_of_service or 'none'}",
            f"    power: {breach.power}",
            *(
                f"    evidence: {e.type} {e.event_id} at {e.time}, message {e.topic}/{e.partition}/{e.offset}, "
                f"sha256 {e.sha256}"
                for e in breach.evidence
            ),
            *(f"    flag: {flag}" for flag in breach.flags),
        ]
    lines += ["", "what would have changed it:", *(f"  {line}" for line in _alternatives(task, policy))]
    lines += ["", "decisions on this subject:"]
    for entry in sorted(entries, key=lambda e: (e.at, e.chain_day or "", e.chain_number)):
        where = f"{entry.topic}/{entry.partition}/{entry.offset}"
        reasons = "; ".join(entry.reasons)
        lines.append(f"  {entry.at}  {entry.decision} ({entry.event_type} {entry.event_id} at {where}): {reasons}")
    return lines


def _alternatives(task: "ArrestTask", policy: "Policy") -> list[str]:
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
