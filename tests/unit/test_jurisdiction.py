"""Town or country, and whose jurisdiction, by the nearest town."""

from datetime import timedelta
from random import Random

import pytest
import reverse_geocode
from builders import NOW, POLICY, Subject, fix, order, zone

from schemas.base import Position
from streams.core.jurisdiction import is_rural, jurisdiction_flag, whereabouts

PLACES = {
    "Southwark": (51.501, -0.1),
    "Leeds": (53.8, -1.55),
    "Croydon": (51.376, -0.098),
    "Headingley": (53.82, -1.58),
    "Earls Court": (51.49, -0.2),
    "Ambleside": (54.43, -2.96),
    "Hawes": (54.3, -2.2),
    "Exmoor": (51.13, -3.65),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_quarter_of_a_city_is_town_and_a_small_town_alone_is_country(name: str) -> None:
    latitude, longitude = PLACES[name]
    rural = is_rural(
        Position(latitude=latitude, longitude=longitude),
        POLICY.places.urban_population,
        POLICY.places.urban_within_m,
    )
    assert rural == (name in {"Ambleside", "Hawes", "Exmoor"})


@pytest.mark.parametrize(("name", "minutes"), [("Leeds", 15), ("Ambleside", 20)])
def test_in_the_country_there_is_more_time(name: str, minutes: int) -> None:
    latitude, longitude = PLACES[name]
    at = {"latitude": latitude, "longitude": longitude}
    subject = Subject(order(risk="high", terms=[zone(area={"type": "Circle", "centre": at, "radius_m": 300.0})]))
    subject.feed(fix(NOW, at))
    assert subject.task.grade == "immediate"
    assert subject.task.deadline - NOW == timedelta(minutes=minutes)


def test_what_happens_in_scotland_is_flagged() -> None:
    edinburgh, leeds = Position(latitude=55.95, longitude=-3.19), Position(latitude=53.8, longitude=-1.55)
    assert "Scotland" in (jurisdiction_flag(edinburgh, "United Kingdom") or "")
    assert jurisdiction_flag(leeds, "United Kingdom") is None


def test_near_us_the_nearest_town_is_the_whole_gazetteers() -> None:
    random = Random(1)
    places = [(random.uniform(49.9, 59), random.uniform(-8, 1.8)) for _ in range(300)]
    for (latitude, longitude), nearest in zip(places, reverse_geocode.search(places), strict=True):
        place = whereabouts(Position(latitude=latitude, longitude=longitude))
        at_two_decimals = reverse_geocode.get((round(latitude, 2), round(longitude, 2)))
        assert place.town in {nearest["city"], at_two_decimals["city"]}


@pytest.mark.parametrize(
    ("latitude", "longitude", "country"),
    [(40.4, -3.7, "Spain"), (53.3, -6.3, "Ireland"), (50.95, 1.85, "France"), (-33.9, 151.2, "Australia")],
)
def test_abroad_the_country_is_right(latitude: float, longitude: float, country: str) -> None:
    assert whereabouts(Position(latitude=latitude, longitude=longitude)).nation == country
