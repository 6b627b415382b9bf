"""What a task's map shows, as GeoJSON (RFC 7946: WGS84, longitude first). Pure."""

import math
from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

import shapely
from pydantic import BaseModel, Field
from pyproj import Geod

from schemas.base import AnyArea, Circle, Corridor, Instant, Polygon, Position
from schemas.orders import Buffer, Curfew, ExclusionZone, OrderData, Term
from schemas.tasks import LastSeen
from streams.core.records import NOT_THEIRS, Observation

_GEOD = Geod(ellps="WGS84")
# Of a circle of 500 m, no point of the polygon is more than 0.6 m inside it.
_CORNERS = 64
_METRES_PER_DEGREE = 111_320.0
MOST_POINTS = 5000
"""Of a track; of a longer one the newest."""
# What a report says of a place may be where the protected person is.
_NOT_SHOWN = "report"

Ring = list[tuple[float, float]]


class Geometry(BaseModel):
    """A GeoJSON geometry."""

    type: Literal["Point", "Polygon", "MultiPolygon"]
    coordinates: list[Any]


class Shown(BaseModel):
    """What a feature is."""

    what: Literal["zone", "buffer", "curfew", "locality", "fix", "last_seen"]
    order_id: str | None = None
    """Of an area: the order, its version and the term."""
    version: int | None = None
    term_id: str | None = None
    at: Instant | None = None
    """Of a fix and of where the subject was last seen."""
    accuracy_m: float | None = None
    """Radius in metres of the circle that holds the true position (95 %); null: not stated."""
    source: str | None = None
    """`tag`, `plate`, `officer` or `face`; a plate shows a vehicle, not its driver."""
    evidence: bool = False
    """A breach of the task rests on it."""
    place: str | None = None


class Feature(BaseModel):
    type: Literal["Feature"] = "Feature"
    geometry: Geometry
    properties: Shown


class TaskMap(BaseModel):
    """A GeoJSON feature collection: areas first, then fixes by time, then where the subject was last seen."""

    type: Literal["FeatureCollection"] = "FeatureCollection"
    features: list[Feature]
    left_out: Annotated[int, Field(ge=0)] = 0
    """Older fixes that are not in it."""


def outline(area: AnyArea) -> Geometry:
    """The area as a polygon; a circle and a corridor are drawn with corners, for looking at and not for judging."""
    if isinstance(area, Circle):
        return Geometry(type="Polygon", coordinates=[_circle(area.centre, area.radius_m)])
    if isinstance(area, Corridor):
        return Geometry(type="Polygon", coordinates=_corridor(area))
    kind: Literal["Polygon", "MultiPolygon"] = "Polygon" if isinstance(area, Polygon) else "MultiPolygon"
    return Geometry(type=kind, coordinates=area.model_dump(mode="json")["coordinates"])


def _circle(centre: Position, radius_m: float) -> Ring:
    """Counter-clockwise, closed."""
    azimuths = [-360.0 * corner / _CORNERS for corner in range(_CORNERS)]
    many = [centre.longitude] * _CORNERS, [centre.latitude] * _CORNERS
    lons, lats, _ = _GEOD.fwd(*many, azimuths, [radius_m] * _CORNERS)
    ring = [(round(lon, 7), round(lat, 7)) for lon, lat in zip(lons, lats, strict=True)]
    return [*ring, ring[0]]


def _corridor(area: Corridor) -> list[Ring]:
    """A strip on a plane on which a degree of longitude is as long as a degree of latitude."""
    scale = math.cos(math.radians(sum(lat for _, lat in area.line) / len(area.line)))
    line = shapely.LineString([(lon * scale, lat) for lon, lat in area.line])
    strip = shapely.orient_polygons(line.buffer(area.half_width_m / _METRES_PER_DEGREE))
    rings = [strip.exterior, *strip.interiors]
    return [[(round(x / scale, 7), round(y, 7)) for x, y in ring.coords] for ring in rings]


def _areas(order: OrderData) -> Iterator[Feature]:
    for term in order.terms:
        for what, area in _of(term):
            said = Shown(what=what, order_id=order.order_id, version=order.version, term_id=term.term_id)
            yield Feature(geometry=outline(area), properties=said)


def _of(term: Term) -> Iterator[tuple[Literal["zone", "buffer", "curfew", "locality"], AnyArea]]:
    if isinstance(term, ExclusionZone):
        yield "zone", term.area
    elif isinstance(term, Buffer):
        yield "buffer", term.area
    elif isinstance(term, Curfew):
        yield "curfew", term.area
    if term.locality is not None:
        yield "locality", term.locality


def _point(position: Position, said: Shown) -> Feature:
    place = Geometry(type="Point", coordinates=[position.longitude, position.latitude])
    return Feature(geometry=place, properties=said)


def task_map(
    orders: Iterable[OrderData], track: Iterable[Observation], last_seen: LastSeen | None, evidence: frozenset[str]
) -> TaskMap:
    """`evidence` are the ids of the events that the task's breaches rest on."""
    fixes = [
        _point(
            seen.position,
            Shown(
                what="fix",
                at=seen.at,
                accuracy_m=seen.position.accuracy_m,
                source=seen.track.split(":", 1)[0],
                evidence=seen.id in evidence,
            ),
        )
        for seen in track
        if seen.position is not None and seen.track != _NOT_SHOWN and seen.nature != NOT_THEIRS
    ]
    features = [feature for order in orders for feature in _areas(order)] + fixes[-MOST_POINTS:]
    if last_seen is not None:
        said = Shown(
            what="last_seen",
            at=last_seen.time,
            accuracy_m=last_seen.position.accuracy_m,
            source=last_seen.source,
            place=last_seen.place,
        )
        features.append(_point(last_seen.position, said))
    return TaskMap(features=features, left_out=max(0, len(fixes) - MOST_POINTS))
