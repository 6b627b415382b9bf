"""Where a subject, their vehicle or their tag was. Topics `sightings` and `anpr-reads`."""

from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Event, Identity, Model, Position, SubjectId, Text

Hash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class PlateReadData(Model):
    """One read of a number plate (National ANPR Service terms: read, capture record)."""

    vrm: Annotated[str, Field(min_length=1, max_length=16)]
    camera_id: Identity
    position: Position
    confidence: Annotated[float, Field(ge=0, le=1)] | None = None
    force: Text | None = None
    direction: Text | None = None
    lane: Annotated[int, Field(ge=0, le=20)] | None = None
    images: Annotated[list[Hash], Field(max_length=10)] = []


class PlateRead(Event):
    """A camera read a plate: it shows a vehicle, not its driver."""

    type: Literal["plate_read"]
    data: PlateReadData


class TagFixData(Model):
    """One fix of an electronic tag; `position` is absent where it had none."""

    device_id: Identity
    position: Position | None = None
    tamper: bool = False
    battery_low: bool = False
    hdop: Annotated[float, Field(ge=0, le=100)] | None = None
    satellites: Annotated[int, Field(ge=0, le=100)] | None = None


class TagFix(Event):
    """A tag reports where it is and how it is."""

    type: Literal["tag_fix"]
    data: TagFixData


class OfficerSightingData(Model):
    """An officer saw the subject. Names the subject directly, or by an identifier such as a plate."""

    subject_id: SubjectId
    position: Position
    officer: Text
    force: Text | None = None
    description: Text | None = None


class OfficerSighting(Event):
    type: Literal["officer_sighting"]
    data: OfficerSightingData


class FaceMatchData(Model):
    """A live facial recognition alert: a watch-list reference and a score; never a template."""

    watchlist_ref: Identity
    camera_id: Identity
    position: Position
    score: Annotated[float, Field(ge=0, le=1)]
    adjudication: Literal["confirmed", "rejected"] | None = None


class FaceMatch(Event):
    type: Literal["face_match"]
    data: FaceMatchData


class AdjudicationData(Model):
    """A person's verdict on an earlier face match of the same source."""

    event_id: Identity
    watchlist_ref: Identity
    outcome: Literal["confirmed", "rejected"]
    adjudicator: Text


class Adjudication(Event):
    type: Literal["adjudication"]
    data: AdjudicationData
