"""Court orders: versions, service and end. Senders: courts and police records systems. Topic `orders`.

Each `order` message states one version of the order in full (SPA 2019 s6: date made, period, each term with
its own period and locality). A null value or a missing message never ends an order; only `order_ended` does.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, model_validator

from schemas.base import Area, Event, Identity, Instant, Model, Narrative, Text


class OrderKind(StrEnum):
    """Kinds of order; the law of each is one row of `streams.core.kinds`."""

    SPO_FULL = "spo_full"
    SPO_INTERIM = "spo_interim"


class IdentifierKind(StrEnum):
    """What an event can name a person by."""

    SUBJECT = "subject"
    ORDER = "order"
    PLATE = "plate"
    TAG = "tag"
    PHONE = "phone"
    FACE = "face"


class Role(StrEnum):
    """Whose identifier it is."""

    SUBJECT = "subject"
    PROTECTED_PERSON = "protected_person"


class Identifier(Model):
    """A plate, tag, phone number or watch-list reference of a person, for a period."""

    kind: Literal[IdentifierKind.PLATE, IdentifierKind.TAG, IdentifierKind.PHONE, IdentifierKind.FACE]
    value: Annotated[str, Field(min_length=1, max_length=64)]
    role: Role = Role.SUBJECT
    person_id: Identity | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None


class Respondent(Model):
    """The person whom the order restrains. `subject_id` is the police's own reference for the person."""

    subject_id: Identity
    name: Text | None = None
    date_of_birth: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None


class ProtectedPerson(Model):
    """Whom the order protects. Name and address stay in this message and the encrypted store behind it."""

    person_id: Identity
    name: Text | None = None
    address: Text | None = None


class TermBase(Model):
    """One term of an order, with its own period and locality (SPA 2019 s2(4), s3(3))."""

    term_id: Identity
    text: Narrative | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    locality: Area | None = None


class ExclusionZone(TermBase):
    """Must not enter the area."""

    kind: Literal["exclusion_zone"]
    area: Area
    protects: list[Identity] = []


class NoContact(TermBase):
    """Must not contact the named persons, by any channel unless some are listed."""

    kind: Literal["no_contact"]
    protects: list[Identity] = []


Term = Annotated[ExclusionZone | NoContact, Field(discriminator="kind")]


class Service(Model):
    """Proof that the subject was served with a version of the order."""

    served_at: Instant
    method: Literal["personal", "in_court", "post", "substituted"]
    reference: Text | None = None


class Marker(StrEnum):
    """Warnings and harm markers that go with the subject or the case."""

    WEAPONS = "weapons"
    VIOLENCE = "violence"
    THREATS_TO_KILL = "threats_to_kill"
    STRANGULATION = "strangulation"
    DOGS = "dogs"


class OrderData(Model):
    """One version of an order, in full."""

    order_id: Identity
    version: Annotated[int, Field(ge=1)]
    kind: OrderKind
    court: Text
    applicant: Text | None = None
    made_at: Instant
    effective_from: Instant | None = None
    expires_at: Instant | None = None
    """None means "until further order" (SPA 2019 s3(1)(b))."""
    respondent: Respondent
    present_in_court: bool = False
    service: Service | None = None
    protected_persons: Annotated[list[ProtectedPerson], Field(min_length=1, max_length=50)]
    terms: Annotated[list[Term], Field(min_length=1, max_length=1000)]
    identifiers: Annotated[list[Identifier], Field(max_length=200)] = []
    owning_force: Text
    risk: Literal["standard", "medium", "high"] | None = None
    markers: list[Marker] = []
    certified_copy: Text | None = None
    replaces: Identity | None = None
    """The interim order that this full order determines (SPA 2019 s5)."""

    @model_validator(mode="after")
    def _consistent(self) -> "OrderData":
        if self.expires_at is not None and self.expires_at <= self.made_at:
            raise ValueError("expires_at is not after made_at")
        if len({term.term_id for term in self.terms}) != len(self.terms):
            raise ValueError("two terms have the same term_id")
        known = {person.person_id for person in self.protected_persons}
        for term in self.terms:
            if not set(term.protects) <= known:
                raise ValueError("a term's `protects` names somebody who is not in protected_persons")
        return self


class Order(Event):
    """An order was made, or varied: this is its new version."""

    type: Literal["order"]
    data: OrderData


class OrderServedData(Model):
    order_id: Identity
    version: Annotated[int, Field(ge=1)]
    subject_id: Identity
    service: Service


class OrderServed(Event):
    """A version of an order was served on the subject."""

    type: Literal["order_served"]
    data: OrderServedData


class OrderEndedData(Model):
    order_id: Identity
    subject_id: Identity
    how: Literal["discharged", "quashed"]
    reference: Text


class OrderEnded(Event):
    """A court ended the order; `time` is when the end takes effect."""

    type: Literal["order_ended"]
    data: OrderEndedData


class IdentifierRecord(Model):
    """One row of the `identifiers` topic: a value that names a subject, under an order, for a period.

    The Kafka key is a hash: a protected person's number must not stand in a key.
    """

    kind: IdentifierKind
    value: str
    subject_id: Identity
    role: Role
    order_id: Identity
    valid_from: Instant | None = None
    valid_to: Instant | None = None
