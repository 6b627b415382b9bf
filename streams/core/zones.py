"""Geometry of zones: is a position with its error circle in, out, or straddling the edge?

Distances are geodesic on WGS84 (pyproj); containment and nearest points are shapely's, on a plane local to
the zone on which a degree of longitude is as long as a degree of latitude.
"""

import math
from enum import StrEnum

import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from schemas.base import Circle, MultiPolygon, Polygon, Position

_GEOD = Geod(ellps="WGS84")
# Metres in a degree of latitude are 110,574 (equator) to 111,694 (pole); the smaller one makes the quick
# bounding-box test err towards measuring.
_MIN_METRES_PER_DEGREE = 110_500


class Placement(StrEnum):
    """Where a fix lies with respect to a zone."""

    IN = "in"
    STRADDLING = "straddling"
    OUT = "out"


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


class CircleZone:
    """A circle on the ground."""

    def __init__(self, circle: Circle) -> None:
        self._circle = circle

    def place(self, at: Position, accuracy_m: float) -> Placement:
        """As `AreaZone.place`."""
        centre_m = distance_m(at, self._circle.centre)
        if abs(centre_m - self._circle.radius_m) < accuracy_m:
            return Placement.STRADDLING
        return Placement.IN if centre_m < self._circle.radius_m else Placement.OUT


Zone = AreaZone | CircleZone


def prepare(area: Polygon | MultiPolygon | Circle) -> Zone:
    """Ready to place positions; worth keeping, since it costs some hundred times one placement."""
    return CircleZone(area) if isinstance(area, Circle) else AreaZone(area)
