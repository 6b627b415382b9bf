"""What only this pipeline writes: subject events, held events and the headers of dead letters."""

import hashlib
from typing import Annotated, Any, Literal, Self, TypeVar

import orjson
from pydantic import Field, ValidationError

from schemas import versions
from schemas.base import Event, Identity, Instant, Model, Text
from schemas.cloud_events import Headers
from schemas.erasure import ErasePerson, EraseSubject, Hold, LiftHold, PlaceHold
from schemas.inbound import AnyEvent
from schemas.orders import Role

M = TypeVar("M", bound=Model)


class Arrival(Model):
    """How an event arrived: coordinates of the inbound message and the broker's append time."""

    topic: str
    partition: int
    offset: int
    appended_at: Instant
    sha256: str
    """Of the inbound message's value, hex."""
    traceparent: str | None = None
    """W3C trace context: of the message's header, else of the event."""
    search_id: str | None = None
    """Of the search of retained reads that found it; None for what came by itself."""


class Routing(Arrival):
    """An arrival on its way to one subject."""

    role: Role = Role.SUBJECT
    """As whom the event names the subject: themselves, or a person whom their order protects."""
    person_id: str | None = None
    """The protected person, where the identifier is theirs."""
    through: list[str] = []
    """Subjects whose rows passed it on, because they turned out to be this one."""
    held: bool = False
    """It waited in `unresolved` until somebody was known for it."""
    match: str = "direct"
    """How the subject was found: `direct` by the message, else the kind of identifier; `look-alike` plates
    need a person's check."""


class DeadlineDue(Event):
    """Wake this subject: something that its row waits for is due. Only workers send it.

    `time` is how far the row's time has come at least; an early one changes nothing.
    """

    type: Literal["deadline_due"]
    data: dict[str, str] = {}


class MovedEvidence(Event):
    """Evidence that was kept for another subject and is this one's. Only assess sends it."""

    type: Literal["moved_evidence"]
    data: list[dict[str, Any]]
    """Observations, as the records keep them."""


class MovedMatterData(Model):
    from_subject: str
    how: Literal["merged", "split"]
    facts: list[dict[str, Any]]
    """Breaches that stood there, as the row keeps them: those whose evidence has left are not found again."""
    met: dict[str, dict[str, Instant]] = {}
    """Order -> requirements that were met."""
    missed: dict[str, list[str]] = {}
    task: dict[str, Any] | None = None
    """The live task there, as its row keeps it."""
    custody: dict[str, str | None] | None = None
    holds: dict[str, Hold] = {}
    """Legal holds there, which go where the evidence goes."""


class MovedMatter(Event):
    """What else another subject's row held of this one, after the orders and the evidence. Only assess sends it."""

    type: Literal["moved_matter"]
    data: MovedMatterData


class SubjectEvent(Model):
    """A message of `subject-events`, keyed by `subject_id`: one event, on its way to one subject's row."""

    subject_id: str
    routing: Routing
    event: Annotated[
        AnyEvent | DeadlineDue | MovedEvidence | MovedMatter | EraseSubject | ErasePerson | PlaceHold | LiftHold,
        Field(discriminator="type"),
    ]

    @classmethod
    def read(cls, value: bytes | str) -> Self:
        """From the log, also where its event is of an older schema version. Raises pydantic.ValidationError."""
        return _read(cls, value)


def encode_own_event(subject_id: str, topic: str, event: Event) -> bytes:
    """The wire form of a SubjectEvent that came by no inbound topic; `topic` says what it is there for."""
    routing = Routing(
        topic=topic,
        partition=0,
        offset=0,
        appended_at=event.recordedtime,
        sha256=hashlib.sha256(event.model_dump_json().encode()).hexdigest(),
    )
    return (
        SubjectEvent.model_validate({"subject_id": subject_id, "routing": routing, "event": event})
        .model_dump_json()
        .encode()
    )


def encode_subject_event(subject_id: str, routing: Routing, value: bytes) -> bytes:
    """The wire form of a SubjectEvent around the inbound value, which is carried unchanged."""
    return orjson.dumps(
        {
            "subject_id": subject_id,
            "routing": routing.model_dump(mode="json", exclude_none=True),
            "event": orjson.Fragment(value.strip()),
        }
    )


class Held(Arrival):
    """A message of `unresolved`: an event that names nobody whom an order is known for, yet.

    Keyed by a hash of the event id; a null value says that it has been driven on.
    """

    event: AnyEvent

    @classmethod
    def read(cls, value: bytes | str) -> Self:
        """As `SubjectEvent.read`."""
        return _read(cls, value)


def _read(model: type[M], value: bytes | str) -> M:
    try:
        return model.model_validate_json(value)
    except ValidationError:
        older = _upcast(value)
        if older is None:
            raise
    return model.model_validate_json(older)


def _upcast(value: bytes | str) -> bytes | None:
    """The same message around its event in the current version; None where it is not of an older one."""
    try:
        body = orjson.loads(value)
        event = body["event"]
        return orjson.dumps(body | {"event": versions.upcast(event)}) if versions.is_older(event) else None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return None


def encode_held(arrival: Arrival, value: bytes) -> bytes:
    """The wire form of a Held around the inbound value, which is carried unchanged."""
    return orjson.dumps(
        {**arrival.model_dump(mode="json", exclude_none=True), "event": orjson.Fragment(value.strip())}
    )


class SourceControl(Model):
    """A message of `source-controls`, keyed by `source`: the newest counts."""

    source: Identity
    off: bool
    reason: Text
    by: Text
    at: Instant


class _OfDeadLetters(Model):
    """What the Kafka headers of a message of `dead-letters` say."""

    def to_kafka(self) -> list[tuple[str, bytes]]:
        """Headers `bw-<field>`, UTF-8."""
        fields = self.model_dump(mode="json", exclude_none=True)
        return [(f"bw-{name.replace('_', '-')}", str(value).encode()) for name, value in fields.items()]

    @classmethod
    def from_kafka(cls, headers: Headers) -> Self:
        """Raises ValueError when a header is missing or unreadable."""
        fields: dict[str, Any] = {
            name.removeprefix("bw-").replace("-", "_"): (value or b"").decode()
            for name, value in headers
            if name.startswith("bw-")
        }
        for number in ("partition", "offset", "last_offset", "count"):
            if number in fields:
                fields[number] = int(fields[number])
        return cls.model_validate(fields)


class DeadLetterHandled(_OfDeadLetters):
    """The Kafka headers of a mark: the dead letter that has its key waits for nobody any more. It has no value."""

    handled: Literal["replayed", "dismissed"]
    by: Text
    """The user who did it, as the operating system names them; why is in the audit."""
    at: Instant
    last_offset: int | None = None
    """Of a letter that stands for many: up to where it did. What is added to it later waits again."""


class DeadLetterHeaders(_OfDeadLetters):
    """The Kafka headers of a dead letter; its value is the original bytes, its key a hash of ours.

    The original key is not among them: it may be anything, a victim's telephone number too, and nothing reads it.
    """

    reason: str
    detail: str
    topic: str
    partition: int
    offset: int
    appended_at: Instant
    source: str | None = None
    """The `source` of the event, where it names one."""
    count: int = 1
    """More than one: the letter stands for so many, from `offset` to `last_offset`, and has no bytes itself."""
    last_offset: int | None = None
