"""What comes out: arrest tasks with their breaches, alerts, audit entries."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Identity, Instant, Model, Output, Position


class TaskState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    EN_ROUTE = "en_route"
    ATTEMPTED = "attempted"
    """Somebody went and did not find the subject: the search goes on."""
    ARRESTED = "arrested"
    CLOSED = "closed"
    MERGED = "merged"
    """The subject turned out to be another one whom we know: that one's task goes on."""
    WITHDRAWAL_RECOMMENDED = "withdrawal_recommended"
    """No breach stands any more; a person decides whether the task is withdrawn."""
    WITHDRAWN = "withdrawn"


class Outcome(StrEnum):
    """How a task ended: what closing it needs."""

    CHARGED = "charged"
    DEALT_WITH_IN_CUSTODY = "dealt_with_in_custody"
    """Arrested, and no charge yet or none at all: bailed, under investigation, no further action."""
    INTERVIEWED = "interviewed"
    """Came in of their own will (PACE 1984 s29)."""
    NO_OFFENCE = "no_offence"
    WRONG_PERSON = "wrong_person"
    NO_TRACE = "no_trace"
    TRANSFERRED = "transferred"
    """Another force or agency has taken it over."""
    DECEASED = "deceased"


class TaskChange(StrEnum):
    """What a revision of a task is about, so that a board can tell a correction from a new breach; least first."""

    DETAILS = "details"
    """A position, a note, proof of service: nothing that calls for anybody."""
    MOVED = "moved"
    """A person or custody moved it."""
    CORRECTION = "correction"
    """What was said of its breaches no longer holds, or holds otherwise."""
    ESCALATED = "escalated"
    BREACH = "breach"
    """A further breach, or one that is now more certain."""
    OPENED = "opened"
    WANTED_AGAIN = "wanted_again"
    """The subject is out of custody, and the task was not closed."""


NEWS = frozenset({TaskChange.BREACH, TaskChange.OPENED, TaskChange.WANTED_AGAIN})
"""What calls for somebody anew."""


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


class ArrestTask(Output):
    """The one open task for a subject: find and arrest. Topic `arrest-tasks`, compacted by `task_id`."""

    task_id: Identity
    revision: int
    change: TaskChange
    """The gravest of what this revision is about."""
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
    acknowledged_by: str | None = None
    acknowledged_at: Instant | None = None
    """When a person first acted on it: by our log's time, as `opened_at`."""
    arrested_at: Instant | None = None
    escalated_to: str | None = None
    """The highest that has been told that nobody acts; None once somebody does."""
    next_escalation_at: Instant | None = None
    incidents: list[str] = []
    """Numbers that the forces' dispatch systems know it by."""
    merged_into: str | None = None
    """The subject whose task goes on in its place."""
    outcome: Outcome | None = None
    exercise: bool
    policy_version: str
    history: list[HistoryEntry]
    traceparent: str | None = None


class Alert(Output):
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
    to: Literal["controller", "supervisor", "duty_inspector", "neighbouring_force", "safeguarding"] | None = None
    """Who must act on it; None: whoever watches."""
    forces: list[str] = []
    """Whose: the owning force, those where the events were, and a neighbour that is asked to help."""
    order_id: str | None = None
    """Of `retro_search_proposed` the order that was known late, of `order_missing`, `_differs` and `_extra` which."""
    since: Instant | None = None
    """Of the same: from when on its subject's vehicles may have been passed over."""
    exercise: bool = False
    traceparent: str | None = None


class AuditEntry(Output):
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
