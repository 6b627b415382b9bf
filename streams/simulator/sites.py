"""Exclusion zones with known insides and outsides: where a position must lie is decided before it is drawn."""

import math
from dataclasses import dataclass
from random import Random

from geojson_pydantic.types import Position2D
from pyproj import Geod

from schemas.base import Circle, Polygon, Position

_GEOD = Geod(ellps="WGS84")
LatLon = tuple[float, float]

# Metres that a position keeps from the edge beyond its error circle: 20 by contract, 25 for drift, and one
# for a chord of the edge against the geodesic (under a centimetre at these sizes).
DRIFT_MAX_M = 25.0
MARGIN_M = 20.0 + DRIFT_MAX_M + 1.0
MAX_ACCURACY_M = 40.0
# A camera states no accuracy: 30 m is taken for it, and it stands 50 m further in.
CAMERA_MARGIN_M = 30.0 + 50.0 + 1.0


def offset(origin: LatLon, bearing: float, metres: float) -> LatLon:
    """The place `metres` from `origin` at `bearing` (degrees from north), on WGS84; to 0.1 m."""
    lon, lat, _ = _GEOD.fwd(origin[1], origin[0], bearing, metres)
    return round(lat, 6), round(lon, 6)


def back_bearing(origin: LatLon, bearing: float, metres: float) -> float:
    """The bearing, degrees, in which `origin` is seen from the place at `bearing` and `metres`."""
    return float(_GEOD.fwd(origin[1], origin[0], bearing, metres)[2])


@dataclass(frozen=True)
class Site:
    """A zone about a centre. Every place within `inner_m` of the centre is inside, beyond `outer_m` outside."""

    centre: LatLon
    area: Polygon | Circle
    inner_m: float
    outer_m: float
    corners: tuple[tuple[float, float], ...] = ()
    """Of a polygon: metres east and north of the centre."""

    def edge_m(self, bearing: float) -> float:
        """Metres from the centre to the edge at `bearing`."""
        if not self.corners:
            return self.outer_m
        ux, uy = math.sin(math.radians(bearing)), math.cos(math.radians(bearing))
        crossings = []
        for (ax, ay), (bx, by) in zip(self.corners, (*self.corners[1:], self.corners[0]), strict=True):
            ex, ey = bx - ax, by - ay
            det = ex * uy - ux * ey
            if abs(det) < 1e-9:
                continue
            along, across = (ex * ay - ax * ey) / det, (ux * ay - ax * uy) / det
            if along > 0 and -1e-9 <= across <= 1 + 1e-9:
                crossings.append(along)
        return min(crossings)


def make_site(rng: Random, centre: LatLon) -> Site:
    """A circle of 200 to 800 m radius, or a polygon with five to eight corners 213 to 800 m from its centre."""
    if rng.random() < 0.5:
        radius = float(round(rng.uniform(200, 800)))
        area = Circle(type="Circle", centre=Position(latitude=centre[0], longitude=centre[1]), radius_m=radius)
        return Site(centre, area, radius, radius)
    size, count = rng.uniform(250, 800), rng.randint(5, 8)
    step = 360 / count
    polar = [(step * (i + rng.uniform(-0.1, 0.1)), size * rng.uniform(0.85, 1.0)) for i in range(count)]
    polar.reverse()  # RFC 7946: an exterior ring runs counter-clockwise, bearings run clockwise
    places = [offset(centre, bearing, metres) for bearing, metres in polar]
    ring = [Position2D(lon, lat) for lat, lon in (*places, places[0])]
    corners = tuple(
        (metres * math.sin(math.radians(bearing)), metres * math.cos(math.radians(bearing)))
        for bearing, metres in polar
    )
    return Site(
        centre, Polygon(type="Polygon", coordinates=[ring]), _inner_m(corners), max(m for _, m in polar), corners
    )


def _inner_m(corners: tuple[tuple[float, float], ...]) -> float:
    """Metres from the centre to the nearest point of the edge."""
    nearest = math.inf
    for (ax, ay), (bx, by) in zip(corners, (*corners[1:], corners[0]), strict=True):
        ex, ey = bx - ax, by - ay
        t = min(1.0, max(0.0, -(ax * ex + ay * ey) / (ex * ex + ey * ey)))
        nearest = min(nearest, math.hypot(ax + t * ex, ay + t * ey))
    return nearest
