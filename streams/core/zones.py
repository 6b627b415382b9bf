"""Geometry of zones: is a position with its error circle in, out, or straddling the edge?

Distances are geodesic on WGS84 (pyproj); containment and nearest points are shapely's, on a plane local to
the zone on which a degree of longitude is as long as a degree of latitude.
"""

import math
from collections.abc import Iterable, Mapping
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

import shapely
from pyproj import Geod
from shapely.geometry.base import BaseGeometry

from schemas.base import AnyArea, Circle, Corridor, MultiPolygon, Polygon, Position

_GEOD = Geod(ellps="WGS84")
# Metres in a degree of latitude are 110,574 (equator) to 111,694 (pole); the smaller one makes the quick
# bounding-box test err towards measuring.
_MIN_METRES_PER_DEGREE = 110_500
_MAX_METRES_PER_DEGREE = 111_700


class Placement(StrEnum):
    """Where a fix lies with respect to a zone."""

    IN = "in"
    STRADDLING = "straddling"
    OUT = "out"
    CROSSED = "crossed"
    """Out, but the straight line from the fix before runs through the zone."""
    UNKNOWN = "unknown"
    """Nothing can be said: a distance from somebody whose own position is not known."""


def is_surely_within(metres: float, a: Position, b: Position) -> bool:
    """By a bound that costs a tenth of measuring: along the meridian and then the parallel is no shorter a way."""
    way = abs(a.latitude - b.latitude) + abs(a.longitude - b.longitude)
    return way * _MAX_METRES_PER_DEGREE <= metres


def distance_m(a: Position, b: Position) -> float:
    """Geodesic distance in metres."""
    _, _, metres = _GEOD.inv(a.longitude, a.latitude, b.longitude, b.latitude)
    return float(metres)


class Bounds(NamedTuple):
    """A box in degrees that holds an area whole. One that would reach over the antimeridian goes all round."""

    west: float
    south: float
    east: float
    north: float

    def meets(self, other: "Bounds") -> bool:
        """Have the two a point in common?"""
        return (
            self.west <= other.east
            and other.west <= self.east
            and self.south <= other.north
            and other.south <= self.north
        )

    def widened(self, metres: float) -> "Bounds":
        """The box with all that is within so many metres of it."""
        up = metres / _MIN_METRES_PER_DEGREE
        south, north = max(-90.0, self.south - up), min(90.0, self.north + up)
        # 5 % more, since a degree of longitude narrows over the box itself.
        aside = up * 1.05 / max(math.cos(math.radians(max(abs(south), abs(north)))), 1e-6)
        west, east = self.west - aside, self.east + aside
        if west < -180 or east > 180:
            west, east = -180.0, 180.0
        return Bounds(west, south, east, north)


def bounds_of(positions: Iterable[Position]) -> Bounds:
    """The box round positions, and so round the straight lines between them."""
    places = [(position.longitude, position.latitude) for position in positions]
    longitudes, latitudes = zip(*places, strict=True)
    return Bounds(min(longitudes), min(latitudes), max(longitudes), max(latitudes))


class AreaZone:
    """A polygon or multipolygon."""

    def __init__(self, area: Polygon | MultiPolygon) -> None:
        shape = shapely.from_geojson(area.model_dump_json(exclude={"bbox"}))
        self.bounds = Bounds(*shape.bounds)
        self._scale = math.cos(math.radians((self.bounds.south + self.bounds.north) / 2))
        self._shape: BaseGeometry = shapely.transform(shape, lambda xy: xy * (self._scale, 1.0))
        self._edge = self._shape.boundary
        shapely.prepare(self._shape)
        shapely.prepare(self._edge)

    def place(self, at: Position, accuracy_m: float) -> Placement:
        """IN when the whole error circle lies inside, OUT when wholly outside, else STRADDLING."""
        reach = accuracy_m / _MIN_METRES_PER_DEGREE
        wide = reach / self._scale * 1.05
        if not (
            self.bounds.south - reach <= at.latitude <= self.bounds.north + reach
            and self.bounds.west - wide <= at.longitude <= self.bounds.east + wide
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
        self.bounds = bounds_of([circle.centre]).widened(circle.radius_m)

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
        line = [Position(latitude=lat, longitude=lon) for lon, lat in corridor.line]
        self.bounds = bounds_of(line).widened(corridor.half_width_m)
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


class ZoneIndex:
    """Zones by where they are: the few that a movement can touch, however many an order has."""

    # A query of the tree costs some 15 us, a look at one box 0.2.
    _FEW = 30

    def __init__(self, zones: Mapping[str, Zone]) -> None:
        self._bounds = {name: zone.bounds for name, zone in zones.items()}
        self._names = list(zones)
        self._tree = shapely.STRtree([shapely.box(*bounds) for bounds in self._bounds.values()])

    def near(self, bounds: Bounds) -> set[str]:
        """The names of all zones that reach into the box, and maybe of some that only come near."""
        if len(self._names) <= self._FEW:
            return {name for name, box in self._bounds.items() if box.meets(bounds)}
        return {self._names[number] for number in self._tree.query(shapely.box(*bounds))}


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
