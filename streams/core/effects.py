"""What a decision sends, and the ids that its effects have for ever."""

from dataclasses import dataclass, field
from uuid import UUID, uuid5

from schemas.internal import SubjectEvent
from schemas.orders import IdentifierRecord
from schemas.safeguarding import SafeguardingTask
from schemas.tasks import Alert, ArrestTask, AuditEntry
from schemas.updates import TaskAnswer

# RFC 9562 version 5: an id is a hash of its cause, so that the same cause sent twice is one thing to a reader.
_NAMESPACE = UUID("6f2d5b0e-5d0c-4d8c-9d52-0b8a3c1c7f10")


def cause_id(*cause: str) -> str:
    """The id of what these causes, together, bring about."""
    return str(uuid5(_NAMESPACE, "\x1f".join(cause)))


@dataclass
class Effects:
    """What is sent after the row is written. Tasks are snapshots: the newest per id wins."""

    identifiers: list[IdentifierRecord] = field(default_factory=list)
    audits: list[AuditEntry] = field(default_factory=list)
    alerts: list[Alert] = field(default_factory=list)
    tasks: list[ArrestTask] = field(default_factory=list)
    safeguarding: list[SafeguardingTask] = field(default_factory=list)
    answers: list[TaskAnswer] = field(default_factory=list)
    forwards: list[SubjectEvent] = field(default_factory=list)
    """Events for other subjects' rows."""
    tombstones: list[tuple[str, str]] = field(default_factory=list)
    """(topic, key) of messages that a null value deletes; after all the others."""
    suppressed: list[str] = field(default_factory=list)
    """Kinds of the alerts that were held back, for counting."""
    duplicate: bool = False
    """The event was known; nothing but its being a duplicate was decided."""
    again: bool = False
    """They were sent, or were to be, before the process ended."""
    commit_now: bool = False
    """The outbox is long: commit before the next event, so that it can be emptied."""
    purge: bool = False
    """Something was erased, which is to leave the files of this process too."""
    gone: bool = False
    """There is no row to be written: it is deleted, once the effects are safe."""

    def __bool__(self) -> bool:
        return bool(
            self.identifiers
            or self.audits
            or self.alerts
            or self.tasks
            or self.safeguarding
            or self.answers
            or self.forwards
            or self.tombstones
        )
