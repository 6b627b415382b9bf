"""What comes out: arrest tasks with their breaches, alerts, audit entries; and what dashboards send back."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Event, Identity, Instant, Model, Position, Text


class TaskState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    EN_ROUTE = "en_route"
    ARRESTED = "arrested"
    CLOSED = "closed"
    MERGED = "merged"


class Certainty(StrEnum):
    """How sure we are that the event breached the term, strongest first."""

    CONFIRMED = "confirmed"
    """A tag wholly inside the zone, or an officer's own observation."""
    REPORTED = "reported"
    """A person says so."""
    VEHICLE = "vehicle"
    """The subject's vehicle was there: not necessarily its driver."""
    POSSIBLE = "possible"
    """The evidence allows it, without showing it."""


class EvidenceRef(Model):
    """The event that a breach rests on, and where its message lies in the log."""

    event_id: str
    type: str
    time: Instant
    topic: str
    partition: Annotated[int, Field(ge=0)]
    offset: Annotated[int, Field(ge=0)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    """Of the message's value, as it was received."""


class Breach(Model):
    """One visit or contact, against one term of one order version."""

    breach_id: Identity
    order_id: Identity
    order_version: int
    term_id: Identity | None
    """None: reported under the order without a term that it plainly fits; a person decides."""
    term_kind: str
    protects: list[Identity]
    certainty: Certainty
    began_at: Instant
    ended_at: Instant | None
    """Of a visit: when it was last known to go on, once it has ended; None while it may still go on."""
    reason: str
    power: str
    """The power of arrest with its section, or what to consider where none is confirmed."""
    power_confirmed: bool
    """False where proof is lacking or a person must check the power first; the grade does not depend on it."""
    certified_copy: str | None
    """Reference of the certified copy of the order, which is evidence of it (SPA 2019 s8)."""
    proof_of_service: str | None
    evidence: list[EvidenceRef]
    flags: list[str] = []


class Contribution(Model):
    """Points that one rule of the policy gave, and why."""

    rule: str
    points: int
    reason: str


class Priority(Model):
    """`score` is the sum of the contributions' points."""

    score: int
    contributions: list[Contribution]


class LastSeen(Model):
    """The newest position known of the subject; its age is the reader's now minus `time`."""

    time: Instant
    position: Position
    place: str | None = None
    """The nearest town, for reading out; not evidence."""
    source: str
    event_id: str
    recorded_at: Instant


class HistoryEntry(Model):
    at: Instant
    what: str
    by: str
    event_id: str


class ArrestTask(Model):
    """The one open task for a subject: find and arrest. Topic `arrest-tasks`, compacted by `task_id`."""

    task_id: Identity
    revision: int
    subject_id: Identity
    subject_name: str | None
    state: TaskState
    grade: str
    priority: Priority
    opened_at: Instant
    updated_at: Instant
    deadline: Instant
    breaches: list[Breach]
    breach_count: int
    last_seen: LastSeen | None
    owning_force: str
    forces: list[str]
    """Everybody who must know: the owning force, and each force in whose area an event was."""
    warnings: list[str]
    """Officer-safety warnings: weapons, violence, dogs."""
    court_deadline: Instant | None = None
    """After an arrest under a power that has a court clock: by when the subject must be before a court."""
    flags: list[str]
    assigned_to: str | None = None
    outcome: str | None = None
    exercise: bool
    policy_version: str
    history: list[HistoryEntry]
    traceparent: str | None = None


class Alert(Model):
    """Something a person must see now. Topic `alerts`, append-only; `alert_id` is the reader's dedupe key."""

    alert_id: Identity
    kind: str
    severity: Literal["critical", "high", "medium", "low"]
    at: Instant
    text: str
    subject_id: str | None = None
    task_id: str | None = None
    breach_id: str | None = None
    event_id: str | None = None
    exercise: bool = False
    traceparent: str | None = None


class AuditEntry(Model):
    """One decision and why. Topic `audit`, append-only, keyed by subject."""

    audit_id: Identity
    at: Instant
    subject_id: str
    event_id: str
    event_type: str
    decision: str
    reasons: list[str]
    order_versions: list[str]
    policy_version: str
    topic: str
    partition: int
    offset: int
    exercise: bool = False
    chain_day: str | None = None
    """The London day of the subject's chain that this entry stands in; None: in no chain."""
    chain_number: int = 0
    previous_hash: str | None = None
    entry_hash: str | None = None
    """SHA-256 over the entry without this field; the next entry of the chain repeats it."""


class TaskUpdateData(Model):
    task_id: Identity
    subject_id: Identity
    action: Literal["acknowledge", "assign", "en_route", "arrested", "close", "note_wishes"]
    actor: Text
    role: Literal["controller", "supervisor", "officer"]
    assignee: Text | None = None
    outcome: Text | None = None
    reason: Text | None = None


class TaskUpdate(Event):
    """A dashboard moves a task. Topic `task-updates`."""

    type: Literal["task_update"]
    data: TaskUpdateData
