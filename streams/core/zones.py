"""Geometry of zones: is a position with its error circle in, out, or straddling the edge?

Distances are geodesic on WGS84 (pyproj); containment and nearest points are shapely's, on a plane local to
the zone on which a degree of longitude is as long as a degree of latitude.
"""

import math
from enum import StrEnum
from functools import lru_cache

import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from schemas.base import AnyArea, Circle, Corridor, MultiPolygon, Polygon, Position

_GEOD = Geod(ellps="WGS84")
# Metres in a degree of latitude are 110,574 (equator) to 111,694 (pole); the smaller one makes the quick
# bounding-box test err towards measuring.
_MIN_METRES_PER_DEGREE = 110_500


class Placement(StrEnum):
    """Where a fix lies with respect to a zone."""

    IN = "in"
    STRADDLING = "straddling"
    OUT = "out"
    CROSSED = "crossed"
    """Out, but the straight line from the fix before runs through the zone."""
    UNKNOWN = "unknown"
    """Nothing can be said: a distance from somebody whose own position is not known."""


def distance_m(a: Position, b: Position) -> float:
    """Geodesic distance in metres."""
    _, _, metres = _GEOD.inv(a.longitude, a.latitude, b.longitude, b.latitude)
    return float(metres)


class AreaZone:
    """A polygon or multipolygon."""

    def __init__(self, area: Polygon | MultiPolygon) -> None:
        shape = shapely.from_geojson(area.model_dump_json(exclude={"bbox"}))
        self._min_lon, self._min_lat, self._max_lon, self._max_lat = shape.bounds
        self._scale = math.cos(math.radians((self._min_lat + self._max_lat) / 2))
        self._shape: BaseGeometry = shapely.transform(shape, lambda xy: xy * (self._scale, 1.0))
        self._edge = self._shape.boundary
        shapely.prepare(self._shape)
        shapely.prepare(self._edge)

    def place(self, at: Position, accuracy_m: float) -> Placement:
        """IN when the whole error circle lies inside, OUT when wholly outside, else STRADDLING."""
        reach = accuracy_m / _MIN_METRES_PER_DEGREE
        wide = reach / self._scale * 1.05
        if not (
            self._min_lat - reach <= at.latitude <= self._max_lat + reach
            and self._min_lon - wide <= at.longitude <= self._max_lon + wide
        ):
            return Placement.OUT
        point = shapely.Point(at.longitude * self._scale, at.latitude)
        nearest = shapely.shortest_line(self._edge, point).coords[0]
        edge_m = distance_m(at, Position(latitude=nearest[1], longitude=nearest[0] / self._scale))
        if edge_m < accuracy_m:
            return Placement.STRADDLING
        return Placement.IN if self._shape.contains(point) else Placement.OUT

    def crosses(self, a: Position, b: Position) -> bool:
        """Does the straight line between two positions run through the area?"""
        return bool(self._shape.intersects(_chord(a, b, self._scale)))


class CircleZone:
    """A circle on the ground."""

    def __init__(self, circle: Circle) -> None:
        self._circle = circle

    def place(self, at: Position, accuracy_m: float) -> Placement:
        """As `AreaZone.place`."""
        return within(distance_m(at, self._circle.centre), self._circle.radius_m, accuracy_m)

    def crosses(self, a: Position, b: Position) -> bool:
        """As `AreaZone.crosses`."""
        scale = math.cos(math.radians(self._circle.centre.latitude))
        centre = self._circle.centre
        chord = _chord(a, b, scale)
        nearest = shapely.shortest_line(chord, shapely.Point(centre.longitude * scale, centre.latitude)).coords[0]
        return distance_m(centre, Position(latitude=nearest[1], longitude=nearest[0] / scale)) < self._circle.radius_m


class CorridorZone:
    """A strip along a road: within its half width of the centre line."""

    def __init__(self, corridor: Corridor) -> None:
        self._half_width_m = corridor.half_width_m
        latitudes = [point[1] for point in corridor.line]
        self._scale = math.cos(math.radians((min(latitudes) + max(latitudes)) / 2))
        self._line = shapely.LineString([(lon * self._scale, lat) for lon, lat in corridor.line])
        shapely.prepare(self._line)

    def distance_m(self, at: Position) -> float:
        point = shapely.Point(at.longitude * self._scale, at.latitude)
        nearest = shapely.shortest_line(self._line, point).coords[0]
        return distance_m(at, Position(latitude=nearest[1], longitude=nearest[0] / self._scale))

    def place(self, at: Position, accuracy_m: float) -> Placement:
        """As `AreaZone.place`."""
        return within(self.distance_m(at), self._half_width_m, accuracy_m)

    def crosses(self, a: Position, b: Position) -> bool:
        """As `AreaZone.crosses`."""
        return bool(self._line.intersects(_chord(a, b, self._scale)))


def _chord(a: Position, b: Position, scale: float) -> shapely.LineString:
    return shapely.LineString([(a.longitude * scale, a.latitude), (b.longitude * scale, b.latitude)])


def within(distance: float, limit_m: float, accuracy_m: float) -> Placement:
    """A distance against a limit, both in metres, when the distance may be off by `accuracy_m`."""
    if abs(distance - limit_m) < accuracy_m:
        return Placement.STRADDLING
    return Placement.IN if distance < limit_m else Placement.OUT


Zone = AreaZone | CircleZone | CorridorZone


# A late fix has its whole stretch placed again, some hundreds of fixes that were placed a moment ago: without
# this, 20,000 fixes at a second's distance that arrive in disorder take 12 ms each.
@lru_cache(maxsize=50_000)
def placed(zone: Zone, latitude: float, longitude: float, accuracy_m: float) -> Placement:
    """`zone.place`, remembered."""
    return zone.place(Position(latitude=latitude, longitude=longitude), accuracy_m)


def prepare(area: AnyArea) -> Zone:
    """Ready to place positions; worth keeping, since it costs some hundred times one placement."""
    if isinstance(area, Circle):
        return CircleZone(area)
    return CorridorZone(area) if isinstance(area, Corridor) else AreaZone(area)
