"""What a tag's fixes show of one zone, worked out with shapely alone: nothing here comes from streams.core.

A fix is in when its whole error circle lies inside the zone, out when the circle lies wholly outside, and
else neither. N consecutive fixes in begin a visit (fixes that are neither break no run), N out end it at its
last fix in, and so does a gap.
"""

import csv
import gzip
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import shapely

REAL_FIXES = Path(
    os.environ.get("BREACHWATCH_REAL_FIXES")
    or Path(__file__).parents[2] / "shared" / "data" / "gps-fixes-real.csv.gz"
)

# A zone of about 800 by 900 m on that person's route, GeoJSON (longitude first).
REAL_ZONE = [[116.3052, 40.0120], [116.3148, 40.0120], [116.3148, 40.0200], [116.3052, 40.0200], [116.3052, 40.0120]]
ACCURACY_M = 15.0
GAP = timedelta(minutes=10)

# WGS84: the ellipsoid's equatorial radius in metres and its first eccentricity squared.
_A, _E2 = 6_378_137.0, 0.00669437999014


@dataclass(frozen=True)
class RealFix:
    latitude: float
    longitude: float
    at: datetime


@dataclass(frozen=True)
class OracleVisit:
    began: datetime
    ended: datetime | None
    """None while it may still go on."""


def real_fixes(end: datetime) -> list[RealFix]:
    """The real fixes, their times moved by a constant so that the last is at `end`; skips where they are absent."""
    if not REAL_FIXES.exists():
        pytest.skip(f"the real fixes are not here ({REAL_FIXES}); set BREACHWATCH_REAL_FIXES")
    with gzip.open(REAL_FIXES, "rt") as lines:
        rows = [
            (float(row["lat"]), float(row["lng"]), datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC))
            for row in csv.DictReader(lines)
        ]
    shift = end - max(at for _, _, at in rows)
    return sorted((RealFix(lat, lon, at + shift) for lat, lon, at in rows), key=lambda fix: fix.at)


def _metres(ring: Sequence[Sequence[float]]) -> tuple[float, float, float, float]:
    """Origin of a local plane, and metres in a degree of longitude and of latitude there."""
    lon0, lat0 = ring[0]
    sine = math.sin(math.radians(lat0))
    across = _A / math.sqrt(1 - _E2 * sine**2)
    along = _A * (1 - _E2) / (1 - _E2 * sine**2) ** 1.5
    return lon0, lat0, math.radians(1) * across * math.cos(math.radians(lat0)), math.radians(1) * along


def edge_distances(fixes: Sequence[RealFix], ring: Sequence[Sequence[float]]) -> list[float]:
    """Metres to the zone's edge, negative inside."""
    lon0, lat0, per_lon, per_lat = _metres(ring)
    shape = shapely.Polygon([((lon - lon0) * per_lon, (lat - lat0) * per_lat) for lon, lat in ring])
    points = shapely.points([((f.longitude - lon0) * per_lon, (f.latitude - lat0) * per_lat) for f in fixes])
    apart = shapely.distance(shape.boundary, points)
    inside = shapely.contains(shape, points)
    return [-float(d) if within else float(d) for d, within in zip(apart, inside, strict=True)]


def visits(
    fixes: Sequence[RealFix], distances: Iterable[float], enter: int, leave: int, accuracy_m: float = ACCURACY_M
) -> list[OracleVisit]:
    """Every visit, by time."""
    found: list[OracleVisit] = []
    ins: list[datetime] = []
    inside, outs, last_in = False, 0, None
    began: datetime | None = None
    before: datetime | None = None
    for fix, distance in zip(fixes, distances, strict=True):
        if before is not None and fix.at - before > GAP:
            if inside and began is not None:
                found.append(OracleVisit(began, last_in))
            inside, ins, outs = False, [], 0
        before = fix.at
        if distance <= -accuracy_m:
            outs, last_in = 0, fix.at
            if not inside:
                ins.append(fix.at)
                if len(ins) >= enter:
                    inside, began = True, ins[0]
        elif distance >= accuracy_m:
            ins = []
            outs += 1
            if inside and outs >= leave and began is not None:
                found.append(OracleVisit(began, last_in))
                inside = False
    if inside and began is not None:
        found.append(OracleVisit(began, None))
    return found
