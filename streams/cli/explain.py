"""`breachwatch explain TASK_ID`: the whole chain from the messages to the task, in words."""

from typing import Annotated

import typer

from streams.cli import load_settings
from streams.errors import BreachwatchError


def command(task_id: Annotated[str, typer.Argument(help="The task's id, as on the board or in `tail`.")]) -> None:
    """Explain a task: its events with their place in the log, the orders, the rules and what would change it."""
    from schemas.tasks import ArrestTask, AuditEntry
    from streams.core.explanation import explanation
    from streams.core.policy import load_policy
    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    cluster = cluster_of(settings)
    task: ArrestTask | None = None
    for message in read_all(cluster, full_name(settings, "arrest-tasks")):
        if message.key == task_id.encode() and message.value:
            task = ArrestTask.read(message.value)
    if task is None:
        raise BreachwatchError(f"there is no task {task_id}: see `breachwatch tail arrest-tasks --from-beginning`")
    entries: dict[str, AuditEntry] = {}
    for message in read_all(cluster, full_name(settings, "audit")):
        entry = AuditEntry.read(message.value or b"")
        if entry.subject_id == task.subject_id:
            entries[entry.audit_id] = entry
    for line in explanation(task, list(entries.values()), load_policy(settings.policy_file)):
        typer.echo(line)
