"""Where on the map a position lies, as far as jurisdiction and a place name go.

By the nearest town of an offline gazetteer (GeoNames, through reverse_geocode): right but near a border, which
is enough for a flag that a person checks. Distances and zones never use it.
"""

import gzip
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from tempfile import NamedTemporaryFile

import orjson
import reverse_geocode
from reverse_geocode import GeocodeData

from schemas.base import Position
from streams.core.zones import distance_m

ENGLAND_AND_WALES = {"England", "Wales"}
# The names under which forces outside the 43 of England and Wales appear in events.
OTHER_POLICE = {
    "Police Scotland": "Scottish police",
    "Police Service of Northern Ireland": "Northern Irish police",
    "Royal Military Police": "military police",
    "Royal Navy Police": "military police",
    "Royal Air Force Police": "military police",
    "Ministry of Defence Police": "Ministry of Defence police",
}


@dataclass(frozen=True)
class Whereabouts:
    """The nearest town, and the part of the United Kingdom or the country that it is in."""

    town: str
    nation: str


# The British Isles, and the coasts across the water, in degrees.
_NORTH, _EAST = (48.0, 62.0), (-12.0, 4.0)
# Farther away a town of this size tells the country, which is all that is said of it.
_FAR_POPULATION = 20_000


@cache
def _towns(population: int) -> GeocodeData:
    """The towns of so many people: near us all that the gazetteer has, and of the rest of the world the larger.

    The library keeps 155,000 towns for each number of people that it is asked for, which were 210 of the 380 MB of a
    worker; these are 32,000.
    """
    everywhere = orjson.loads(gzip.decompress(Path(reverse_geocode.__file__).with_name("geocode.gz").read_bytes()))
    kept = [town for town in everywhere if town["population"] >= _FAR_POPULATION or _is_near(town)]
    with NamedTemporaryFile(suffix=".gz") as file:
        file.write(gzip.compress(orjson.dumps(kept), 1))
        file.flush()
        return GeocodeData(population, file.name)


def _is_near(town: dict[str, float]) -> bool:
    return _NORTH[0] <= town["latitude"] <= _NORTH[1] and _EAST[0] <= town["longitude"] <= _EAST[1]


@lru_cache(maxsize=10_000)
def _nearest(latitude: float, longitude: float) -> Whereabouts:
    [found] = _towns(0).query([(latitude, longitude)])
    in_uk = found["country_code"] == "GB"
    nation = found.get("state", "") if in_uk else found["country"]
    return Whereabouts(found["city"], nation)


@lru_cache(maxsize=10_000)
def _from_town_m(latitude: float, longitude: float, population: int) -> float:
    """Metres to the middle of the nearest town of so many people."""
    [town] = _towns(population).query([(latitude, longitude)])
    middle = Position(latitude=town["latitude"], longitude=town["longitude"])
    return distance_m(Position(latitude=latitude, longitude=longitude), middle)


def whereabouts(position: Position) -> Whereabouts:
    """To two decimals of a degree (about 1 km): fine enough for a town, and cheap at each fix of a tag."""
    return _nearest(round(position.latitude, 2), round(position.longitude, 2))


def load(urban_population: int) -> None:
    """Read the gazetteer (some 1.5 s) before the first event needs it."""
    _nearest(51.5, -0.12)
    _from_town_m(51.5, -0.12, urban_population)


def place_name(position: Position) -> str:
    found = whereabouts(position)
    return f"near {found.town}, {found.nation}" if found.nation else f"near {found.town}"


def is_rural(position: Position, urban_population: int, urban_within_m: float) -> bool:
    """Is no town of so many people near? A quarter of a city may be listed as a small place of its own."""
    at = round(position.latitude, 2), round(position.longitude, 2)
    return _from_town_m(*at, urban_population) > urban_within_m


def jurisdiction_flag(position: Position, extent: str) -> str | None:
    """The flag of conduct outside England and Wales, where the Acts do not extend (SPA 2019 s15).

    `extent` is where the order's terms have effect. An unlimited term of a United Kingdom order still binds there
    (SPA 2019 s2(4)); whether the conduct can be charged here is for review.
    """
    nation = whereabouts(position).nation
    if nation in ENGLAND_AND_WALES:
        return None
    binds = "" if extent == "United Kingdom" else f", and this kind of order has effect in {extent} only"
    return f"jurisdiction: outside England and Wales ({nation}){binds}; whether it can be charged here is for review"


def force_flag(force: str) -> str | None:
    """The flag of a force that needs a contact outside the usual ones (Ruggles review)."""
    kind = OTHER_POLICE.get(force)
    return None if kind is None else f"tell the {kind}: {force}"
