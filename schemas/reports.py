"""Breach reports, retractions and source heartbeats. Senders: call handlers, staff, upstream systems."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from schemas.base import Case, Event, Identity, Instant, Model, Narrative, Position, SubjectId, Text, one_of_these
from schemas.orders import Identifier


class BreachReportData(Model):
    """What somebody reports. At least one of `order_id`, `subject_id`, `identifiers` says who is meant."""

    model_config = ConfigDict(
        json_schema_extra=one_of_these(Case({"order_id"}), Case({"subject_id"}), Case({"identifiers"}))
    )

    nature: Literal[
        "contact", "entered_zone", "approach", "social_media", "surveillance", "not_at_residence", "other"
    ]
    order_id: Identity | None = None
    subject_id: SubjectId | None = None
    identifiers: Annotated[list[Identifier], Field(max_length=20)] = []
    protected_person_id: Identity | None = None
    channel: Literal["in_person", "phone", "text", "email", "post", "social_media", "third_party", "other"] | None = (
        None
    )
    description: Narrative | None = None
    position: Position | None = None
    force: Text | None = None
    """The force that took the report, where it is not the owning force."""
    excuse: Literal["solicitor", "court", "child_contact", "religion", "work", "education", "other"] | None = None
    """A carve-out that the subject claims or the circumstances suggest."""
    wishes: Text | None = None
    """What the protected person wishes; recorded, and never a reason to close or downgrade."""
    reported_by: Literal["protected_person", "police", "staff", "witness", "system"]

    @model_validator(mode="after")
    def _names_somebody(self) -> "BreachReportData":
        if self.order_id is None and self.subject_id is None and not self.identifiers:
            raise ValueError("say who is meant: order_id, subject_id or identifiers")
        return self


class BreachReport(Event):
    """Somebody reports a breach; `time` is when the breach happened. Topic `breach-reports`."""

    type: Literal["breach_report"]
    data: BreachReportData


class RetractionData(Model):
    retracts: Annotated[list[Identity], Field(min_length=1, max_length=100)]
    """Ids of events of the same source."""
    subject_id: SubjectId
    reason: Text


class Retraction(Event):
    """A source takes back events that it sent. Accepted on each inbound topic."""

    type: Literal["retraction"]
    data: RetractionData


class HeartbeatData(Model):
    sequence: Annotated[int, Field(ge=0)]
    next_due: Instant


class SourceHeartbeat(Event):
    """A source says that it is alive, and by when it will say so again. Topic `source-heartbeats`."""

    type: Literal["source_heartbeat"]
    data: HeartbeatData
