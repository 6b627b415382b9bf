"""Geometry: in, out or straddling, against an independent projection (azimuthal equidistant, by pyproj)."""

import json
import math
from typing import Any

import pytest
import shapely
from builders import away, circle, square
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from pyproj import CRS, Transformer

from schemas.base import Area, Position
from streams.core.zones import (
    Placement,
    Zone,
    ZoneIndex,
    bounds_of,
    distance_m,
    is_surely_within,
    placed,
    prepare,
    within,
)

IN, STRADDLING, OUT = Placement.IN, Placement.STRADDLING, Placement.OUT
_AREA: TypeAdapter[Any] = TypeAdapter(Area)


# Within 0.2 degrees of each other and anywhere, up to the poles.
ORIGINS_ANYWHERE = st.tuples(st.floats(-90, 90), st.floats(-180, 180)) | st.tuples(
    st.floats(51, 51.2), st.floats(0, 0.2)
)


def zone(area: dict[str, Any]) -> Zone:
    return prepare(_AREA.validate_json(json.dumps(area)))


def at(east_m: float, north_m: float, origin: tuple[float, float] = (53.8, -1.55)) -> Position:
    return Position(**away(east_m, north_m, origin))


def box(half_m: float, origin: tuple[float, float]) -> list[list[float]]:
    corners = [(-1, -1), (1, -1), (1, 1), (-1, 1), (-1, -1)]
    places = [away(x * half_m, y * half_m, origin) for x, y in corners]
    return [[p["longitude"], p["latitude"]] for p in places]


@pytest.mark.parametrize(
    ("east", "accuracy", "where"),
    [(0, 15, IN), (184, 15, IN), (186, 15, STRADDLING), (214, 15, STRADDLING), (216, 15, OUT), (5000, 15, OUT)],
)
@pytest.mark.parametrize("area", [circle(200), square(200)], ids=["circle", "square"])
def test_the_whole_error_circle_counts(area: dict[str, Any], east: float, accuracy: float, where: Placement) -> None:
    assert zone(area).place(at(east, 0), accuracy) is where


def test_one_fix_55_m_inside_with_150_m_of_error_is_not_sure() -> None:
    assert zone(square(200)).place(at(145, 0), 150) is STRADDLING


def test_an_error_circle_larger_than_the_zone_is_never_in() -> None:
    assert zone(circle(200)).place(at(0, 0), 201) is STRADDLING
    assert zone(square(200)).place(at(0, 0), 201) is STRADDLING


def test_a_hole_is_outside() -> None:
    rings = [box(500, (53.8, -1.55)), box(200, (53.8, -1.55))[::-1]]
    holed = zone({"type": "Polygon", "coordinates": rings})
    assert holed.place(at(0, 0), 10) is OUT
    assert holed.place(at(195, 0), 10) is STRADDLING
    assert holed.place(at(350, 0), 10) is IN
    assert holed.place(at(600, 0), 10) is OUT


def test_each_part_of_a_multipolygon_counts() -> None:
    parts = [[box(200, (53.8, -1.55))], [box(200, (53.81, -1.55))]]
    two = zone({"type": "MultiPolygon", "coordinates": parts})
    assert two.place(at(0, 0), 10) is IN
    assert two.place(at(0, 0, (53.81, -1.55)), 10) is IN
    assert two.place(at(0, 550), 10) is OUT  # between them, within the box around both


@pytest.mark.parametrize("latitude", [0.0, 39.9, 51.5, 58.0, 60.8, -58.0])
def test_metres_are_metres_at_every_latitude(latitude: float) -> None:
    """58 N, Caithness: a degree of longitude is half as long as one of latitude."""
    origin = (latitude, -3.5)
    polygon = zone({"type": "Polygon", "coordinates": [box(300, origin)]})
    for east, north in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        assert polygon.place(at(284 * east, 284 * north, origin), 15) is IN
        assert polygon.place(at(300 * east, 300 * north, origin), 15) is STRADDLING
        assert polygon.place(at(316 * east, 316 * north, origin), 15) is OUT


def test_a_corridor_is_what_lies_within_its_half_width() -> None:
    ends = [away(-1000, 0), away(0, 0), away(0, 1000)]
    line = [[p["longitude"], p["latitude"]] for p in ends]
    road = zone({"type": "Corridor", "line": line, "half_width_m": 50})
    assert road.place(at(-500, 30), 10) is IN
    assert road.place(at(-500, 45), 10) is STRADDLING
    assert road.place(at(-500, 61), 10) is OUT
    assert road.place(at(-30, 700), 10) is IN
    assert road.place(at(30, -30), 5) is IN  # round the corner
    assert road.place(at(0, 1061), 10) is OUT  # beyond its end


@pytest.mark.parametrize("area", [circle(200), square(200)], ids=["circle", "square"])
def test_a_line_between_two_fixes_may_cross(area: dict[str, Any]) -> None:
    around = zone(area)
    assert around.crosses(at(-400, 0), at(400, 0))
    assert around.crosses(at(-400, 100), at(400, 150))
    assert not around.crosses(at(-400, 210), at(400, 210))
    assert not around.crosses(at(-400, 0), at(-210, 0))


def test_a_distance_against_a_limit() -> None:
    assert [within(d, 100, 10) for d in (89, 91, 109, 111)] == [IN, STRADDLING, STRADDLING, OUT]


def test_distances_are_geodesic() -> None:
    """London to Edinburgh, by Karney's own GeodSolve: 534.1 km, which a sphere of 6,371 km misses by 1 km."""
    london, edinburgh = Position(latitude=51.5074, longitude=-0.1278), Position(latitude=55.9533, longitude=-3.1883)
    assert distance_m(london, edinburgh) == pytest.approx(534_100, abs=500)


@given(ORIGINS_ANYWHERE, ORIGINS_ANYWHERE)
def test_what_is_surely_within_a_distance_is(a: tuple[float, float], b: tuple[float, float]) -> None:
    here, there = (Position(latitude=place[0], longitude=place[1]) for place in (a, b))
    measured = distance_m(here, there)
    assert not is_surely_within(measured * 0.999 - 0.001, here, there)
    assert is_surely_within(measured * 1.6 + 1, here, here)


# -- an independent way to measure -------------------------------------------------------------------------

_TO = {}


def aeqd(latitude: float, longitude: float) -> Transformer:
    """Metres on a plane that touches the earth there: exact distances from that point, good to mm nearby."""
    key = (latitude, longitude)
    if key not in _TO:
        crs = CRS.from_proj4(f"+proj=aeqd +lat_0={latitude} +lon_0={longitude} +ellps=WGS84 +units=m")
        _TO[key] = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    return _TO[key]


ORIGINS = st.sampled_from([(53.8, -1.55), (58.0, -3.5), (50.0, -5.2), (60.8, -0.8), (40.0, 116.3)])


@st.composite
def stars(draw: st.DrawFn) -> list[tuple[float, float]]:
    """A simple polygon around its origin, convex or not: metres east and north."""
    corners = draw(st.integers(3, 9))
    radii = draw(st.lists(st.integers(60, 900), min_size=corners, max_size=corners))
    turn = draw(st.floats(0, 1))
    angles = [2 * math.pi * (index + turn) / corners for index in range(corners)]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


@given(ORIGINS, stars(), st.integers(-1500, 1500), st.integers(-1500, 1500), st.sampled_from([5, 15, 50, 200]))
def test_places_agree_with_another_projection(
    origin: tuple[float, float], star: list[tuple[float, float]], east: int, north: int, accuracy: int
) -> None:
    """The quick test by bounding box must not change an answer either: points lie in, near and far."""
    ring = [[p["longitude"], p["latitude"]] for p in (away(x, y, origin) for x, y in star)]
    polygon = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    position = at(east, north, origin)
    plane = aeqd(position.latitude, position.longitude)
    shape = shapely.transform(shapely.Polygon(ring), plane.transform, interleaved=False)
    assume(shape.is_valid)
    edge_m, inside = shape.exterior.distance(shapely.Point(0, 0)), shape.contains(shapely.Point(0, 0))
    # A straight edge is straight on one plane only, and the planes' edges part by less than this.
    assume(abs(edge_m - accuracy) > 0.05 + edge_m * 0.004)
    wanted = STRADDLING if edge_m < accuracy else IN if inside else OUT
    area = zone(polygon)
    assert area.place(position, accuracy) is wanted
    assert placed(area, position.latitude, position.longitude, accuracy) is wanted


@given(ORIGINS, st.integers(50, 3000), st.integers(-4000, 4000), st.integers(-4000, 4000), st.sampled_from([5, 50]))
def test_circles_agree_with_another_projection(
    origin: tuple[float, float], radius: int, east: int, north: int, accuracy: int
) -> None:
    centre = {"latitude": origin[0], "longitude": origin[1]}
    x, y = aeqd(*origin).transform(*(away(east, north, origin)[k] for k in ("longitude", "latitude")))
    apart = math.hypot(x, y)
    assume(abs(abs(apart - radius) - accuracy) > 0.01)
    wanted = STRADDLING if abs(apart - radius) < accuracy else IN if apart < radius else OUT
    area = zone({"type": "Circle", "centre": centre, "radius_m": radius})
    assert area.place(at(east, north, origin), accuracy) is wanted


# -- the index of zones ------------------------------------------------------------------------------------

METRES = st.integers(-4000, 4000)
ANYWHERE = st.tuples(METRES, METRES)


@st.composite
def areas(draw: st.DrawFn, origin: tuple[float, float]) -> dict[str, Any]:
    east, north = draw(ANYWHERE)
    centre = away(east, north, origin)
    shape = draw(st.sampled_from(["circle", "star", "corridor"]))
    if shape == "circle":
        return {"type": "Circle", "centre": centre, "radius_m": float(draw(st.integers(20, 3000)))}
    if shape == "star":
        ring = [away(east + x, north + y, origin) for x, y in draw(stars())]
        corners = [[corner["longitude"], corner["latitude"]] for corner in [*ring, ring[0]]]
        return {"type": "Polygon", "coordinates": [corners]}
    end = away(*draw(ANYWHERE.filter(lambda end: end != (east, north))), origin)
    line = [[point["longitude"], point["latitude"]] for point in (centre, end)]
    return {"type": "Corridor", "line": line, "half_width_m": float(draw(st.integers(10, 500)))}


@pytest.mark.parametrize("few", [0, 40], ids=["few", "many"])
@given(st.data(), ORIGINS, ANYWHERE, ANYWHERE, st.sampled_from([5, 60, 900]))
def test_what_the_index_leaves_out_lies_outside_the_whole_way(
    few: int,
    data: st.DataObject,
    origin: tuple[float, float],
    start: tuple[int, int],
    end: tuple[int, int],
    accuracy: float,
) -> None:
    drawn = {str(number): zone(data.draw(areas(origin))) for number in range(4)}
    zones = drawn | {f"far {number}": zone(circle(20, 0, 90_000 + number)) for number in range(few)}
    before, now = at(*start, origin), at(*end, origin)
    near = ZoneIndex(zones).near(bounds_of([before, now]).widened(accuracy))
    for name in zones.keys() - near:
        assert zones[name].place(now, accuracy) is OUT
        assert not zones[name].crosses(before, now)


def test_the_index_leaves_out_what_is_far() -> None:
    zones = {str(n): zone(circle(200, east_m=n * 1000)) for n in range(880)}
    assert ZoneIndex(zones).near(bounds_of([at(5000, 0), at(5100, 0)]).widened(15)) == {"5"}


def test_a_zone_at_the_antimeridian_is_near_both_its_sides() -> None:
    fiji = {"type": "Circle", "centre": {"latitude": -17.0, "longitude": 179.999}, "radius_m": 500.0}
    index = ZoneIndex({"fiji": zone(fiji)})
    beyond = Position(latitude=-17.0, longitude=-179.999)
    assert zone(fiji).place(beyond, 10) is IN
    assert index.near(bounds_of([beyond]).widened(10)) == {"fiji"}
