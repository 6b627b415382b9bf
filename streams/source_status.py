"""What became of each source's events, as its sender sees it: counts by outcome and by reason, in `source-status`.

Each worker counts what it has read since it started, and sends what has changed every few seconds. Who reads adds up
the workers: `breachwatch sources status`.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import orjson

from schemas.base import is_identity
from schemas.inbound import BadMessageError
from schemas.sources import NewestDeadLetter, SourceStatus
from streams.dead_letters import Origin
from streams.outbound import Outbound, outbound

UNKNOWN = "unknown"
"""The source of what names none."""
_EVERY_S = 5.0
# Names come from senders: one that makes up a new one for each event must not fill the memory.
_MOST = 2000


def source_of(value: bytes | None) -> str:
    """The source that a message which is no event names all the same."""
    try:
        name = orjson.loads(value or b"")["source"]
    except (ValueError, TypeError, KeyError, IndexError):
        return UNKNOWN
    return name if is_identity(name) else UNKNOWN


@dataclass
class _Counts:
    outcomes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    newest: datetime | None = None
    newest_fault: tuple[Origin, BadMessageError] | None = None
    changed: bool = True


class SourceStatuses:
    """The counts of one worker. `start`, then `stop`."""

    def __init__(self, worker_id: str, send: Callable[[str, Outbound], Awaitable[None]]) -> None:
        self._send = send
        self._worker = worker_id
        self._since = datetime.now(UTC)
        self._counts: dict[str, _Counts] = {}
        self.task: asyncio.Task[None] | None = None

    def count(self, source: str, outcome: str, events: int = 1, *, at: datetime | None = None) -> None:
        """So many events of the source ended so; `at` is the event's own time."""
        counts = self._of(source)
        counts.outcomes[outcome] += events
        if at is not None and (counts.newest is None or at > counts.newest):
            counts.newest = at

    def dead_letter(self, source: str, newest: Origin, error: BadMessageError, events: int = 1) -> None:
        """So many events of the source could not be used, for one reason."""
        counts = self._of(source)
        counts.outcomes["dead_letter"] += events
        counts.reasons[error.reason] += events
        counts.newest_fault = (newest, error)

    def _of(self, source: str) -> _Counts:
        if source not in self._counts and len(self._counts) >= _MOST:
            source = UNKNOWN
        counts = self._counts.setdefault(source, _Counts())
        counts.changed = True
        return counts

    async def start(self) -> None:
        self.task = asyncio.create_task(self._run(), name="source-status")

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_EVERY_S)
            for source, counts in list(self._counts.items()):
                if counts.changed:
                    counts.changed = False
                    await self._send("source-status", outbound("source-status", self.status(source)))

    def status(self, source: str) -> SourceStatus:
        counts = self._counts[source]
        return SourceStatus(
            source=source,
            worker=self._worker,
            since=self._since,
            until=datetime.now(UTC),
            outcomes=dict(counts.outcomes),
            reasons=dict(counts.reasons),
            newest_event_at=counts.newest,
            newest_dead_letter=None if counts.newest_fault is None else _named(*counts.newest_fault),
        )


def _named(origin: Origin, error: BadMessageError) -> NewestDeadLetter:
    return NewestDeadLetter(
        at=origin.appended_at,
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        reason=error.reason,
        detail=error.detail,
    )
