"""Whom an event is about: directly, by a reference that the index must know, or by an identifier."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from schemas.base import EXERCISE, SOURCES, Event
from schemas.custody import CustodyEvent
from schemas.internal import Arrival, Routing
from schemas.orders import (
    IdentifierKind,
    IdentifierRecord,
    IdentityCorrected,
    Order,
    OrderEnded,
    OrderServed,
    OrderStayed,
    RequirementMet,
    Role,
)
from schemas.reports import BreachReport, Retraction, SourceHeartbeat
from schemas.searches import RetroSearch
from schemas.sightings import Adjudication, FaceMatch, OfficerSighting, PlateRead, TagFix
from schemas.updates import TaskUpdate


def world_id(subject_id: str, exercise: bool) -> str:
    """The key of a subject's row: exercise traffic has rows of its own."""
    return f"{EXERCISE}{subject_id}" if exercise else subject_id


def is_exercise(subject_id: str) -> bool:
    """Is it the id of a row of the exercises' world?"""
    return subject_id.startswith(EXERCISE)


_OF_A_SUBJECT = (
    OrderServed
    | OrderEnded
    | OrderStayed
    | RequirementMet
    | IdentityCorrected
    | Retraction
    | TaskUpdate
    | RetroSearch
)


class Index(Protocol):
    """What resolving asks of the identifier index."""

    def find(self, kind: IdentifierKind, value: str, at: datetime, exercise: bool) -> list[IdentifierRecord]: ...

    def look_alikes(self, vrm: str, at: datetime, exercise: bool) -> list[IdentifierRecord]: ...


@dataclass(frozen=True)
class Target:
    """A subject that an event goes to, as whom it names them, and how that is known."""

    subject_id: str
    role: Role = Role.SUBJECT
    match: str = "direct"
    person_id: str | None = None

    def routing(self, arrival: Arrival) -> Routing:
        """The way of an event that arrived so to this subject."""
        came = {name: getattr(arrival, name) for name in Arrival.model_fields}
        return Routing(**came, role=self.role, match=self.match, person_id=self.person_id)


def direct_subject(event: Event) -> str | None:
    """The subject that the event's sender names with authority; these make, move or end what we hold. A source that
    says that it is alive is one too."""
    if isinstance(event, Order):
        return event.data.respondent.subject_id
    if isinstance(event, SourceHeartbeat):
        return f"{SOURCES}{event.source}"
    if isinstance(event, _OF_A_SUBJECT):
        return event.data.subject_id
    return None


def references(event: Event) -> list[tuple[IdentifierKind, str]]:
    """What the event names somebody by, to be looked up."""
    if isinstance(event, BreachReport):
        data = event.data
        named: list[tuple[IdentifierKind, str]] = [(i.kind, i.value) for i in data.identifiers]
        if data.subject_id is not None:
            named.insert(0, (IdentifierKind.SUBJECT, data.subject_id))
        if data.order_id is not None:
            named.insert(0, (IdentifierKind.ORDER, data.order_id))
        return named
    if isinstance(event, OfficerSighting | CustodyEvent):
        return [(IdentifierKind.SUBJECT, event.data.subject_id)]
    if isinstance(event, TagFix):
        return [(IdentifierKind.TAG, event.data.device_id)]
    if isinstance(event, TaskUpdate) and event.data.incident is not None:
        return [(IdentifierKind.INCIDENT, event.data.incident)]
    if isinstance(event, PlateRead):
        return [(IdentifierKind.PLATE, event.data.vrm)]
    if isinstance(event, FaceMatch | Adjudication):
        return [(IdentifierKind.FACE, event.data.watchlist_ref)]
    return []


def resolve(event: Event, index: Index) -> list[Target]:
    """Everybody the event is about; empty when nobody is known by what it names."""
    subject = direct_subject(event)
    if subject is not None:
        return [Target(world_id(subject, event.exercise))]
    found: dict[tuple[str, Role], Target] = {}
    for kind, value in references(event):
        for record in index.find(kind, value, event.time, event.exercise):
            target = Target(record.subject_id, record.role, kind.value, record.person_id)
            found.setdefault((record.subject_id, record.role), target)
    if isinstance(event, PlateRead):
        for record in index.look_alikes(event.data.vrm, event.time, event.exercise):
            target = Target(record.subject_id, record.role, "look-alike")
            found.setdefault((record.subject_id, record.role), target)
    return list(found.values())
