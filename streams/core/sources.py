"""Sources that say how often they speak: one that falls silent, or of which something is missing, is an alert.

A source has a row of its own, as a subject has: its heartbeats go there, and the row is woken when the next is
overdue.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from schemas.reports import SourceHeartbeat
from streams.core.draft import Draft
from streams.core.policy import Policy
from streams.core.state import SourceRow, SubjectState


def heartbeat(draft: Draft, event: SourceHeartbeat) -> None:
    """It is alive. What its numbers say of heartbeats that never came is said too."""
    before, data = draft.state.source, event.data
    if before is not None and event.time <= before.heard_at:
        draft.quietly("heartbeat_late", "a heartbeat older than the newest one: it changes nothing")
        return
    if before is not None and before.silent:
        draft.audit("source_back", f"{event.source} is heard again")
        draft.alert(
            "source_back", "low", f"{event.source} is heard again; it was silent since {_text(before.heard_at)}"
        )
    if before is not None and data.sequence > before.sequence + 1:
        first, last = before.sequence + 1, data.sequence - 1
        missing = f"heartbeat {first}" if first == last else f"heartbeats {first} to {last}"
        draft.audit("source_gap", f"{missing} of {event.source} never came")
        draft.alert(
            "source_gap",
            "high",
            f"{missing} of {event.source} never came: what it sent besides may be missing too; ask for it again",
        )
    elif before is not None and data.sequence <= before.sequence:
        draft.audit("source_restarted", f"{event.source} counts its heartbeats from {data.sequence} again")
    else:
        draft.quietly("heartbeat", f"{event.source} is alive")
    draft.state.source = SourceRow(
        name=event.source, sequence=data.sequence, heard_at=event.time, next_due=data.next_due
    )


def dues(state: SubjectState, policy: Policy) -> Iterator[datetime]:
    """When its silence is an alert."""
    if state.source is not None and not state.source.silent:
        yield state.source.next_due + timedelta(seconds=policy.limits.heartbeat_grace_s)


def due(draft: Draft) -> None:
    """Say once that it is silent."""
    source = draft.state.source
    if source is None or not any(when <= draft.now for when in dues(draft.state, draft.policy)):
        return
    source.silent = True
    since = _text(source.heard_at)
    draft.audit("source_silent", f"no heartbeat of {source.name} since {since}")
    draft.alert(
        "source_silent",
        "high",
        f"{source.name} is silent since {since}: what it would report is not seen; the next heartbeat was due at "
        f"{_text(source.next_due)}",
        cause=(source.name, source.next_due.isoformat()),
    )


def _text(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}Z"
