"""What every message has: its envelope, times, positions and zones.

The envelope uses the attribute names of CloudEvents 1.0 (`id`, `source`, `type`, `time`, `traceparent`,
`recordedtime`) with the domain content under `data`, so a message is also a structured CloudEvent.
"""

import re
from collections.abc import Callable, Mapping, Set
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple, Self

import shapely
from geojson_pydantic import MultiPolygon as GeoJsonMultiPolygon
from geojson_pydantic import Polygon as GeoJsonPolygon
from geojson_pydantic.types import BBox, MultiPolygonCoords, PolygonCoords
from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    field_validator,
)

SCHEMA_VERSION = 1

# RFC 3339 section 5.6 `date-time`: full date, "T", time with seconds, and an offset; nothing looser, no leap second.
_AFTER_THE_YEAR = r"-\d{2}-\d{2}[Tt]\d{2}:\d{2}:[0-5]\d(\.\d{1,9})?([Zz]|[+-]\d{2}:\d{2})$"
_RFC3339 = re.compile(r"^\d{4}" + _AFTER_THE_YEAR)
# Far from the ends of what datetime can hold, 1 and 9999, where adding a day or an offset raises OverflowError in
# a worker: an order "until 9999-12-31" would stop each worker that reads it.
_YEARS = range(1900, 9001)
_OF_THESE_YEARS = r"^(19\d{2}|[2-8]\d{3}|9000)" + _AFTER_THE_YEAR


def _rfc3339(value: Any) -> Any:
    """Refuse dates alone, naive times and epoch numbers before pydantic would read a meaning into them."""
    if isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not _RFC3339.match(value):
        raise ValueError("a time must be RFC 3339 text with seconds and an offset, like 2026-11-25T08:30:00Z")
    return value


def to_utc(value: datetime) -> datetime:
    """The same instant in UTC; a time is stored and compared in UTC only."""
    if value.year not in _YEARS:
        raise ValueError("a time must lie between the years 1900 and 9000; leave it out where there is no end")
    return value.astimezone(UTC)


TRACEPARENT = r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
"""W3C Trace Context, section 3.2.2."""


def format_time(value: datetime) -> str:
    """RFC 3339 in UTC, to the microsecond where it has one."""
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


Instant = Annotated[
    AwareDatetime,
    BeforeValidator(_rfc3339),
    AfterValidator(to_utc),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "pattern": _OF_THESE_YEARS}),
    Field(strict=False),
]
"""A point in time: RFC 3339 with an offset on the wire, UTC in memory."""

Text = Annotated[str, Field(min_length=1, max_length=200)]
Attribute = Annotated[str, Field(min_length=1, max_length=2000)]
Narrative = Annotated[str, Field(min_length=1, max_length=20_000)]
Identity = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/@+-]*$")]
"""An identifier minted by a system: letters, digits and ``. _ : / @ + -``; used in keys and labels of ids."""

EXERCISE = "exercise/"
"""What our own ids of an exercise's subjects begin with: their rows, tasks and identifiers are a world apart."""
SOURCES = "source/"
"""What the ids of the rows begin with that sources have."""


def _not_ours(subject_id: str) -> str:
    # A real person under such an id would be taken for the exercise's, and nobody would come.
    if subject_id.startswith((EXERCISE, SOURCES)):
        raise ValueError(f"must not begin with {EXERCISE} or {SOURCES}, this system's own: set `exercise` instead")
    return subject_id


SubjectId = Annotated[
    Identity, AfterValidator(_not_ours), Field(json_schema_extra={"not": {"pattern": f"^({EXERCISE}|{SOURCES})"}})
]
"""The police's own reference for the person whom orders restrain, as upstream systems state it."""


_IDENTITY: TypeAdapter[str] = TypeAdapter(Identity)


def is_identity(value: object) -> bool:
    """Is it an identifier as a system mints them?"""
    try:
        _IDENTITY.validate_python(value, strict=True)
    except ValidationError:
        return False
    return True


class Model(BaseModel):
    """Strict and closed: no coercion, no unknown field, no NaN; errors never repeat the input."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, allow_inf_nan=False, hide_input_in_errors=True
    )


class Output(Model):
    """What workers send and others read."""

    @classmethod
    def read(cls, raw: bytes) -> Self:
        """As a reader does. Raises ValidationError.

        A release may add fields for readers (`streams.compatibility`), and workers are upgraded first: what this
        process does not know yet must not hide a task from whoever looks.
        """
        return cls.model_validate_json(raw, extra="ignore")


class Case(NamedTuple):
    """A way to fill a model's fields: some say something, and some are as a JSON Schema tells."""

    stated: Set[str] = frozenset()
    where: Mapping[str, dict[str, Any]] = {}


def one_of_these(*cases: Case) -> Callable[[dict[str, Any]], None]:
    """For a model's JSON Schema: one of these cases at least is so."""

    def add(schema: dict[str, Any]) -> None:
        fields = schema["properties"]
        schema["anyOf"] = [
            {
                "required": sorted(case.stated),
                "properties": {name: _stated(fields[name]) for name in sorted(case.stated)} | dict(case.where),
            }
            for case in cases
        ]

    return add


def _stated(field: dict[str, Any]) -> dict[str, Any]:
    """The schema of a field that is not null, and not empty."""
    if field.get("type") == "array":
        return {"minItems": 1}
    return next(each for each in field["anyOf"] if each != {"type": "null"})


Longitude = Annotated[float, Field(ge=-180, le=180)]
Latitude = Annotated[float, Field(ge=-90, le=90)]


class Position(Model):
    """A WGS84 position in degrees, with the radius in metres that holds the true position (95 %)."""

    latitude: Latitude
    longitude: Longitude
    accuracy_m: Annotated[float, Field(gt=0, le=100_000)] | None = None

    @property
    def usable(self) -> bool:
        """False for 0,0: what receivers send when they have no fix, not a place."""
        return not (self.latitude == 0 and self.longitude == 0)


def _ordered(bbox: BBox | None) -> BBox | None:
    """Stands in for geojson_pydantic's own check, which puts the corners of a zone into its errors and warnings."""
    if bbox is None:
        return None
    lowest, highest = bbox[: len(bbox) // 2], bbox[len(bbox) // 2 :]
    # Across the antimeridian the western longitude is the larger (RFC 7946 section 5.2).
    if any(low > high for low, high in zip(lowest[1:], highest[1:], strict=True)):
        raise ValueError("the first corner of the bounding box lies above the second")
    return bbox


# Of a polygon's coordinates, which `_sound_area` checks.
_POLYGON = TypeAdapter(
    Annotated[
        list[Annotated[list[tuple[Longitude, Latitude] | tuple[Longitude, Latitude, float]], Field(min_length=4)]],
        Field(min_length=1),
    ]
).json_schema()


class Polygon(GeoJsonPolygon):
    """A GeoJSON polygon whose coordinates are JSON numbers.

    Its rings are closed, and cross neither themselves nor each other; the first is the outer one, the others are
    holes in it. It does not cross the antimeridian. A `bbox` has its southern and lower corner first.
    """

    model_config = Model.model_config
    coordinates: Annotated[PolygonCoords, WithJsonSchema(_POLYGON)]

    @field_validator("bbox")
    @classmethod
    def validate_bbox(cls, bbox: BBox | None) -> BBox | None:
        return _ordered(bbox)


class MultiPolygon(GeoJsonMultiPolygon):
    """A GeoJSON multipolygon whose coordinates are JSON numbers: polygons, of which none overlaps another."""

    model_config = Model.model_config
    coordinates: Annotated[MultiPolygonCoords, WithJsonSchema({"type": "array", "minItems": 1, "items": _POLYGON})]

    @field_validator("bbox")
    @classmethod
    def validate_bbox(cls, bbox: BBox | None) -> BBox | None:
        return _ordered(bbox)


class Circle(Model):
    """A circle on the ground: a centre and a radius in metres."""

    type: Literal["Circle"]
    centre: Position
    radius_m: Annotated[float, Field(gt=0, le=200_000)]


class Corridor(Model):
    """A strip along a road: its centre line (GeoJSON positions, longitude first) and its half width in metres.

    The line has two different positions at least, and does not cross the antimeridian.
    """

    type: Literal["Corridor"]
    line: Annotated[list[tuple[Longitude, Latitude]], Field(min_length=2, max_length=5000)]
    half_width_m: Annotated[float, Field(gt=0, le=5000)]


AnyArea = Polygon | MultiPolygon | Circle | Corridor


def _sound_area(area: AnyArea) -> AnyArea:
    """Refuse what has no single reading as an area; the message never names a coordinate."""
    if isinstance(area, Circle):
        return area
    if isinstance(area, Corridor):
        longitudes = [point[0] for point in area.line]
        if max(longitudes) - min(longitudes) > 180:
            raise ValueError("the corridor crosses the antimeridian: split it there")
        if len(set(area.line)) < 2:
            raise ValueError("the corridor's points are all the same")
        return area
    polygons = [area.coordinates] if isinstance(area, Polygon) else area.coordinates
    if not polygons or not all(polygons):
        raise ValueError("the area is empty: it has no ring")
    for rings in polygons:
        for ring in rings:
            longitudes = [point[0] for point in ring]
            if not all(-180 <= lon <= 180 for lon in longitudes):
                raise ValueError("a longitude of the ring is outside -180 to 180")
            if not all(-90 <= point[1] <= 90 for point in ring):
                raise ValueError("a latitude of the ring is outside -90 to 90")
            if max(longitudes) - min(longitudes) > 180:
                raise ValueError("the ring crosses the antimeridian: split it there (RFC 7946 section 3.1.9)")
    if not shapely.is_valid(shapely.from_geojson(area.model_dump_json(exclude={"bbox"}))):
        raise ValueError("the ring crosses or touches itself, so inside and outside are not defined")
    return area


Area = Annotated[AnyArea, Field(discriminator="type"), AfterValidator(_sound_area)]
"""A GeoJSON polygon or multipolygon (RFC 7946: longitude first, closed rings, not across the antimeridian), or
a circle or a corridor along a road, which GeoJSON does not have."""


class Event(Model):
    """The envelope of every inbound message. `(source, id)` names the event for ever.

    `time` is when it happened, `recordedtime` when the sender recorded it; `exercise` traffic goes the whole
    way and never dispatches.
    """

    specversion: Literal["1.0"] = "1.0"
    id: Identity
    source: Identity
    time: Instant
    recordedtime: Instant
    schemaversion: Literal[1] = 1
    exercise: bool = False
    traceparent: Annotated[str, Field(pattern=f"^{TRACEPARENT}$")] | None = None
    tracestate: Attribute | None = None
    datacontenttype: Literal["application/json"] | None = None
    dataschema: Attribute | None = None
    subject: Attribute | None = None
    """CloudEvents libraries add these four and the next; nothing here rests on them."""
    partitionkey: Attribute | None = None

    @property
    def event_id(self) -> str:
        """The name that duplicates share: source and id (CloudEvents 1.0 section 3.1.1)."""
        return f"{self.source}#{self.id}"
