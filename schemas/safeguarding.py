"""Safeguarding tasks: somebody must speak to the people whom an order protects. Topic `safeguarding-tasks`.

No name, address or number of theirs is in them: `held_at` says where the contact details are.
"""

from enum import StrEnum
from typing import Literal

from schemas.base import Identity, Instant, Model, Output
from schemas.orders import SafeContact
from schemas.tasks import HistoryEntry


class SafeguardingState(StrEnum):
    OPEN = "open"
    ACKNOWLEDGED = "acknowledged"
    ASSIGNED = "assigned"
    CLOSED = "closed"
    MERGED = "merged"


class SafeguardingReason(Model):
    """What they must be told about."""

    at: Instant
    kind: Literal["breach", "correction", "arrest", "release", "escape", "tag_failed"]
    text: str
    event_id: str


class Told(Model):
    """That one of them was spoken to."""

    at: Instant
    by: str
    what: str
    event_id: str


class PersonToReach(Model):
    """One protected person, how they may be reached safely, and what they were last told."""

    person_id: Identity
    relation: str
    safe_contact: SafeContact | None
    """None: nobody has said what is safe; ask before calling."""
    told: Told | None = None
    owed: bool
    """Something has happened since."""


class SafeguardingTask(Output):
    """Speak to the people whom the subject's orders protect: one open task a subject, beside the arrest task."""

    safeguarding_id: Identity
    revision: int
    subject_id: Identity
    arrest_task_id: Identity | None
    state: SafeguardingState
    opened_at: Instant
    updated_at: Instant
    deadline: Instant
    people: list[PersonToReach]
    reasons: list[SafeguardingReason]
    """The newest last; older ones of a kind that has come again are left out."""
    assigned_to: str | None = None
    """Who speaks to them."""
    acknowledged_by: str | None = None
    escalated_to: str | None = None
    next_escalation_at: Instant | None = None
    owning_force: str
    exercise: bool
    policy_version: str
    history: list[HistoryEntry]
    traceparent: str | None = None
