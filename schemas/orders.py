"""Court orders: versions, service and end. Senders: courts and police records systems. Topic `orders`.

Each `order` message states one version of the order in full (SPA 2019 s6: date made, period, each term with
its own period and locality). A null value or a missing message never ends an order; only `order_ended` does.
"""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, model_validator

from schemas.base import Area, Case, Event, Identity, Instant, Model, Narrative, SubjectId, Text, one_of_these


class OrderKind(StrEnum):
    """Kinds of order; the law of each is one row of `streams.core.kinds`."""

    SPO_FULL = "spo_full"
    SPO_INTERIM = "spo_interim"
    DAPO = "dapo"
    DAPN = "dapn"
    NON_MOLESTATION = "non_molestation"
    RESTRAINING = "restraining"
    COURT_BAIL = "court_bail"
    DVPO = "dvpo"
    DVPN = "dvpn"
    OCCUPATION = "occupation"
    SHPO = "shpo"
    SRO = "sro"
    SPO_NI = "spo_ni"
    POLICE_BAIL = "police_bail"
    LICENCE = "licence"


class IdentifierKind(StrEnum):
    """What an event can name a person by."""

    SUBJECT = "subject"
    ORDER = "order"
    PLATE = "plate"
    TAG = "tag"
    PHONE = "phone"
    FACE = "face"
    INCIDENT = "incident"
    """The number of an incident in a force's dispatch system, linked to a task of the subject."""


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

    subject_id: SubjectId
    name: Text | None = None
    date_of_birth: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")] | None = None


LocalTime = Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
"""A time of day in Europe/London, HH:MM."""
Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]


class SafeContact(Model):
    """How a protected person may be reached without danger; never a number or an address."""

    means: Annotated[
        list[Literal["phone", "text", "email", "in_person", "through_officer", "through_advocate"]],
        Field(min_length=1, max_length=6),
    ]
    start: LocalTime | None = None
    until: LocalTime | None = None
    """Only between these times, where they are given."""
    days: Annotated[list[Weekday], Field(max_length=7)] = []
    by: Text | None = None
    """Who speaks to them: an officer's or an advocate's role or reference."""
    held_at: Text | None = None
    """Where the number or address is held, as a reference."""
    never: Annotated[list[Literal["voicemail", "text", "email", "post", "home_visit", "marked_car"]], Field()] = []


class ProtectedPerson(Model):
    """Whom the order protects: the victim, and children or family named with them."""

    person_id: Identity
    relation: Literal["victim", "child", "family", "other"] = "victim"
    name: Text | None = None
    address: Text | None = None
    safe_contact: SafeContact | None = None


class CarveOut(Model):
    """What a term allows: it flags a possible excuse, and never drops an event."""

    kind: Literal["solicitor", "court", "child_contact", "religion", "work", "education", "other"]
    text: Text | None = None


class TermBase(Model):
    """One term of an order, with its own period and locality (SPA 2019 s2(4), s3(3))."""

    term_id: Identity
    carve_outs: Annotated[list[CarveOut], Field(max_length=20)] = []
    text: Narrative | None = None
    valid_from: Instant | None = None
    valid_to: Instant | None = None
    locality: Area | None = None


class ExclusionZone(TermBase):
    """Must not enter the area."""

    kind: Literal["exclusion_zone"]
    area: Area
    protects: list[Identity] = []


class Buffer(TermBase):
    """A wider area around a zone: entry warns, and is not a breach."""

    kind: Literal["buffer"]
    area: Area
    protects: list[Identity] = []


class Distance(TermBase):
    """Must not come within so many metres of a person whose own device reports where they are."""

    kind: Literal["distance"]
    metres: Annotated[float, Field(gt=0, le=50_000)]
    protects: Annotated[list[Identity], Field(min_length=1, max_length=20)]


class NoContact(TermBase):
    """Must not contact the named persons, directly or through others, by any channel."""

    kind: Literal["no_contact"]
    protects: list[Identity] = []


class NoSocialMedia(TermBase):
    """Must not refer to the protected persons on social media, directly or indirectly."""

    kind: Literal["no_social_media"]
    protects: list[Identity] = []


class NoSurveillance(TermBase):
    """Must not watch, follow, track or record the protected persons by any means."""

    kind: Literal["no_surveillance"]
    protects: list[Identity] = []


class OtherTerm(TermBase):
    """A prohibition or requirement that no other kind expresses: a person judges it by its text."""

    kind: Literal["other"]
    text: Narrative
    protects: list[Identity] = []


class Curfew(TermBase):
    """Must be within the area between two local times (over midnight where `until` is not after `start`)."""

    kind: Literal["curfew"]
    area: Area
    start: LocalTime
    until: LocalTime
    days: Annotated[list[Weekday], Field(max_length=7)] = []
    """The days on which the curfew begins; none means every day."""
    protects: list[Identity] = []


class Residence(TermBase):
    """Must live and sleep at an address; breached on a report that they do not."""

    kind: Literal["residence"]
    protects: list[Identity] = []


class Attend(TermBase):
    """Must attend each session: breached when one passes without a record of attendance."""

    kind: Literal["attend"]
    sessions: Annotated[list[Instant], Field(min_length=1, max_length=200)]
    protects: list[Identity] = []


class SignOn(TermBase):
    """Must sign on at a station on these days, by this local time."""

    kind: Literal["sign_on"]
    days: Annotated[list[Weekday], Field(min_length=1, max_length=7)]
    by: LocalTime
    protects: list[Identity] = []


class Surrender(TermBase):
    """Must hand over devices by a moment."""

    kind: Literal["surrender"]
    due: Instant
    protects: list[Identity] = []


Term = Annotated[
    ExclusionZone
    | Buffer
    | Distance
    | NoContact
    | NoSocialMedia
    | NoSurveillance
    | OtherTerm
    | Curfew
    | Residence
    | Attend
    | SignOn
    | Surrender,
    Field(discriminator="kind"),
]


class Service(Model):
    """Proof that the subject knows of a version of the order: served, told, or in court."""

    served_at: Instant
    method: Literal["personal", "in_court", "post", "substituted", "told"]
    reference: Text | None = None


class Marker(StrEnum):
    """Warnings and harm markers that go with the subject or the case."""

    WEAPONS = "weapons"
    VIOLENCE = "violence"
    THREATS_TO_KILL = "threats_to_kill"
    STRANGULATION = "strangulation"
    DOGS = "dogs"


class OrderData(Model):
    """One version of an order, in full.

    It expires after it was made; no two of its terms have the same `term_id`; whom a term protects is among the
    `protected_persons`.
    """

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
    without_notice: bool = False
    """Made or tightened without notice: an offence only once the subject is aware (DAA 2021 s39, s45(9))."""
    power_of_arrest_attached: bool = False
    """FLA 1996 s47, for occupation orders."""
    notifies_elsewhere: bool = False
    """The subject already notifies under another Act or order (SPA 2019 s9, DAA 2021 s41)."""
    effective_on_end_of: Identity | None = None
    """Takes effect only when this earlier order ends."""
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
    missing: Annotated[list[Text], Field(max_length=30)] = []
    """What could not be stated when it was entered by hand, from a paper copy; a later version states it."""

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
    subject_id: SubjectId
    service: Service


class OrderServed(Event):
    """A version of an order was served on the subject."""

    type: Literal["order_served"]
    data: OrderServedData


class OrderEndedData(Model):
    order_id: Identity
    subject_id: SubjectId
    how: Literal["discharged", "quashed", "determined", "stated_event"]
    reference: Text


class OrderStayedData(Model):
    order_id: Identity
    subject_id: SubjectId
    until: Instant | None = None
    """None: until a later message states when the stay ended."""
    reference: Text


class OrderStayed(Event):
    """A court stayed the order from `time`; an appeal alone changes nothing."""

    type: Literal["order_stayed"]
    data: OrderStayedData


class RequirementMetData(Model):
    order_id: Identity
    subject_id: SubjectId
    term_id: Identity | None = None
    """None: the statutory duty to notify name and address (SPA 2019 s9, DAA 2021 s41)."""
    reference: Text | None = None


class RequirementMet(Event):
    """The subject did what a requirement asks, at `time`: attended, signed on, notified, surrendered."""

    type: Literal["requirement_met"]
    data: RequirementMetData


class OrderEnded(Event):
    """A court ended the order; `time` is when the end takes effect."""

    type: Literal["order_ended"]
    data: OrderEndedData


class IdentityCorrectedData(Model):
    """Two subjects are one (`merged`), or what is held as one subject is two (`split`).

    `subject_id` and `other_subject_id` differ; `order_ids` are the other's after a split, and none after a merger.
    """

    model_config = ConfigDict(
        json_schema_extra=one_of_these(
            Case(where={"how": {"const": "merged"}, "order_ids": {"maxItems": 0}}),
            Case({"order_ids"}, {"how": {"const": "split"}}),
        )
    )

    how: Literal["merged", "split"]
    subject_id: SubjectId
    """Merged: who is no longer a subject of their own. Split: whose record holds what belongs to the other."""
    other_subject_id: SubjectId
    """Merged: who they are. Split: whose the orders named in `order_ids` are."""
    order_ids: Annotated[list[Identity], Field(max_length=50)] = []
    reason: Text

    @model_validator(mode="after")
    def _two_people(self) -> "IdentityCorrectedData":
        if self.subject_id == self.other_subject_id:
            raise ValueError("subject_id and other_subject_id are the same")
        if (self.how == "split") != bool(self.order_ids):
            raise ValueError("a split names in order_ids the orders that are the other's, a merger names none")
        return self


class IdentityCorrected(Event):
    """A records system found that it had taken two people for one, or one for two. Topic `orders`."""

    type: Literal["identity_corrected"]
    data: IdentityCorrectedData


NEVER = datetime(1970, 1, 1, tzinfo=UTC)
"""An identifier that is valid until then names nobody any more: the index forgets it."""


class IdentifierRecord(Model):
    """One row of the `identifiers` topic: a value that names a subject, under an order, for a period.

    The Kafka key is a hash: a protected person's number must not stand in a key.
    """

    kind: IdentifierKind
    value: str
    subject_id: Identity
    role: Role
    person_id: Identity | None = None
    order_id: Identity
    """Of an incident: the task's id."""
    valid_from: Instant | None = None
    valid_to: Instant | None = None
