"""`breachwatch sources`: switch a source of events off and on, with a reason, on the record."""

from collections import Counter
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


@app.command()
def status(
    source: Annotated[str | None, typer.Argument(help="One source; without, all.")] = None,
    json: Annotated[bool, typer.Option("--json", help="One JSON object a source.")] = False,
) -> None:
    """What became of the events of each source, since each worker started; dead letters by reason."""
    import orjson

    from schemas.sources import SourceStatus
    from streams.core.canary import SOURCE as CANARY
    from streams.kafka.admin import cluster_of
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    newest: dict[bytes, SourceStatus] = {}
    for message in read_all(cluster_of(settings), full_name(settings, "source-status")):
        newest[message.key] = SourceStatus.model_validate_json(message.value)
    found: dict[str, list[SourceStatus]] = {}
    for one in newest.values():
        if source == one.source or (source is None and one.source != CANARY):
            found.setdefault(one.source, []).append(one)
    for name, statuses in sorted(found.items()):
        outcomes = sum((Counter(one.outcomes) for one in statuses), Counter[str]())
        reasons = sum((Counter(one.reasons) for one in statuses), Counter[str]())
        times = [one.newest_event_at for one in statuses if one.newest_event_at is not None]
        last = f"{max(times):%Y-%m-%d %H:%M:%S}Z" if times else None
        faults = [one.newest_dead_letter for one in statuses if one.newest_dead_letter is not None]
        fault = max(faults, key=lambda one: one.at, default=None)
        if json:
            body: dict[str, object] = {
                "source": name,
                "outcomes": outcomes,
                "reasons": reasons,
                "newest_event_at": last,
            }
            body["newest_dead_letter"] = None if fault is None else fault.model_dump(mode="json")
            typer.echo(orjson.dumps(body).decode())
            continue
        typer.echo(f"{name}: " + ", ".join(f"{count:,} {what}" for what, count in outcomes.most_common()))
        typer.echo(f"    newest event {last or 'none'}")
        for reason, count in reasons.most_common():
            typer.echo(f"    {count:,} dead letters: {reason}")
        if fault is not None:
            typer.echo(f"    the newest, {fault.topic}/{fault.partition}/{fault.offset}: {fault.detail}")
    if source is not None and not found:
        typer.echo(f"nothing has come from {source} since the workers started")


def _switch(source: str, reason: str, *, off: bool) -> None:
    from schemas.internal import SourceControl
    from streams.cli.user import on_record, user
    from streams.kafka.admin import cluster_of
    from streams.kafka.sending import Outgoing, send_all
    from streams.kafka.topics import full_name

    settings = load_settings()
    control = SourceControl(source=source, off=off, reason=reason, by=user(), at=datetime.now(UTC))
    decision = "source_switched_off" if off else "source_switched_on"
    send_all(
        cluster_of(settings),
        [
            on_record(settings, decision, reason, source, "source_control", ("source-controls", 0, 0)),
            Outgoing(full_name(settings, "source-controls"), source.encode(), control.model_dump_json().encode()),
        ],
    )
    typer.echo(f"{source} is switched {'off' if off else 'on'}")
