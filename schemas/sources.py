"""What a sender sees of its own events. Topic `source-status`, compacted."""

from schemas.base import Identity, Instant, Model


class NewestDeadLetter(Model):
    """The newest event of a source that could not be used: where it lay, and what was wrong with it."""

    at: Instant
    topic: str
    partition: int
    offset: int
    reason: str
    detail: str


class SourceStatus(Model):
    """What one process did with the events of one source since it started; keyed by process and source, the newest
    counts."""

    source: Identity
    worker: str
    """The process."""
    since: Instant
    """When it began to count."""
    until: Instant
    outcomes: dict[str, int]
    """`resolved`: passed on to the subjects that it names. `unresolved`: held, names nobody who is known yet.
    `dead_letter`: not usable, see `reasons` and the dead letter. `duplicate`: of the resolved, known already.
    `passed`: a plate read on no order."""
    reasons: dict[str, int]
    """Of dead letters."""
    newest_event_at: Instant | None
    """The latest time that an event of it states."""
    newest_dead_letter: NewestDeadLetter | None = None
