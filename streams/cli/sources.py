"""`breachwatch sources`: switch a source of events off and on, with a reason, on the record."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.cli import load_settings

app = typer.Typer(no_args_is_help=True)
Source = Annotated[str, typer.Argument(help="The `source` of its events.")]
Reason = Annotated[str, typer.Option(help="Why.")]


@app.callback()
def _sources() -> None:
    """Sources of events."""


@app.command()
def off(source: Source, reason: Reason) -> None:
    """Take no more events of this source: each is a dead letter, until it is switched on again."""
    _switch(source, reason, off=True)


@app.command()
def on(source: Source, reason: Reason) -> None:
    """Take its events again. What came meanwhile is among the dead letters, for a replay."""
    _switch(source, reason, off=False)


def _switch(source: str, reason: str, *, off: bool) -> None:
    import uuid

    from schemas.internal import SourceControl
    from schemas.tasks import AuditEntry
    from streams.cli.user import user
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    settings, now, who = load_settings(), datetime.now(UTC), user()
    control = SourceControl(source=source, off=off, reason=reason, by=who, at=now)
    decision = "source_switched_off" if off else "source_switched_on"
    entry = AuditEntry(
        audit_id=str(uuid.uuid4()),
        at=now,
        subject_id="-",
        event_id=source,
        event_type="source_control",
        decision=decision,
        reasons=[f"by {who}: {reason}"],
        order_versions=[],
        policy_version="-",
        topic="source-controls",
        partition=0,
        offset=0,
    )
    messages = [
        Outgoing(full_name(settings, "audit"), b"-", entry.model_dump_json().encode()),
        Outgoing(full_name(settings, "source-controls"), source.encode(), control.model_dump_json().encode()),
    ]
    send_all(cluster_of(settings), messages)
    typer.echo(f"{source} is switched {'off' if off else 'on'}")
