"""Terms and maps of a task: what is in them, what is not, and that drawn areas are where the judged ones are."""

from datetime import datetime
from typing import Any

import pytest
import shapely
from builders import HOME, NOW, Subject, after, away, circle, fix, no_contact, order, report, square, zone
from geojson_pydantic import FeatureCollection
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.base import Area, Position
from streams.board.map import MOST_POINTS, outline, task_map
from streams.board.records import Index, Slice, observations, order_name, parts
from streams.board.terms import chosen, shown
from streams.core.records import NOT_THEIRS, Observation
from streams.core.zones import Placement, prepare

CORRIDOR = {
    "type": "Corridor",
    "line": [[away(-500, 0)["longitude"], HOME[0]], [away(500, 0)["longitude"], HOME[0]]],
    "half_width_m": 120,
}


@pytest.mark.parametrize("area", [circle(500), square(300), CORRIDOR], ids=["circle", "square", "corridor"])
@given(st.floats(-900, 900), st.floats(-900, 900))
def test_what_is_drawn_is_what_is_judged_but_for_its_edge(area: dict[str, Any], east: float, north: float) -> None:
    judged: Any = TypeAdapter(Area).validate_python(area, strict=False)
    drawn = shapely.from_geojson(outline(judged).model_dump_json())
    assert drawn.is_valid
    at = Position(**away(east, north))
    placement = prepare(judged).place(at, 10.0)
    if placement is not Placement.STRADDLING:
        assert drawn.contains(shapely.Point(at.longitude, at.latitude)) == (placement is Placement.IN)


@pytest.mark.parametrize("area", [circle(500), CORRIDOR], ids=["circle", "corridor"])
def test_what_is_drawn_is_geojson_with_its_outer_ring_counter_clockwise(area: dict[str, Any]) -> None:
    judged: Any = TypeAdapter(Area).validate_python(area, strict=False)
    drawn = shapely.from_geojson(outline(judged).model_dump_json())
    assert drawn.exterior.is_ccw


def observation(at: datetime, **more: Any) -> Observation:
    fixed = {"id": f"e{at:%H%M%S}", "type": "tag_fix", "track": "tag:T1", "topic": "sightings", "partition": 0}
    where = {"position": Position(**away(10, 10), accuracy_m=8.0), "offset": 1, "sha256": "0" * 64, "applied_at": 1}
    return Observation.model_validate({**fixed, **where, "at": at, **more})


def test_a_map_has_zones_the_track_and_the_last_position_and_no_place_of_a_report() -> None:
    subject = Subject(order(terms=[zone(), no_contact(locality=square(5000))]))
    subject.feed(fix(NOW))
    track = [
        observation(after(-60)),
        observation(NOW, id="the-evidence"),
        observation(after(1), track="report", id="at-her-door"),
        observation(after(2), nature=NOT_THEIRS),
        observation(after(3), position=None),
    ]
    data = [subject.records.order("O1", 1).data]
    found = task_map(data, track, subject.task.last_seen, frozenset({"the-evidence"}))
    FeatureCollection.model_validate_json(found.model_dump_json(exclude={"left_out"}))
    said = [feature.properties for feature in found.features]
    assert [each.what for each in said] == ["zone", "locality", "fix", "fix", "last_seen"]
    assert [(each.evidence, each.source) for each in said[2:4]] == [(False, "tag"), (True, "tag")]
    assert (said[0].order_id, said[0].version, said[0].term_id) == ("O1", 1, "t-zone")
    assert said[4].accuracy_m is None or said[4].accuracy_m > 0
    assert found.left_out == 0


def test_of_a_long_track_the_newest_part_is_shown_and_the_rest_is_counted() -> None:
    many = [observation(after(number)) for number in range(MOST_POINTS + 7)]
    found = task_map([], many, None, frozenset())
    assert (len(found.features), found.left_out) == (MOST_POINTS, 7)
    assert found.features[0].properties.at == after(7)


def test_terms_are_those_that_are_cited_and_the_newest_without_a_persons_name_or_address() -> None:
    people = [{"person_id": "P1", "name": "Jane Secret", "address": "4 Elm Road"}, {"person_id": "P2"}]
    made = [order("O1", version, protected_persons=people).data for version in (1, 2, 3)]
    cited = chosen(made, frozenset({("O1", 1)}))
    assert [each.version for each in cited] == [3, 1]
    body = shown(cited[1], frozenset({("O1", 1, "t-zone")}))
    assert [(term.term_id, term.breached) for term in body.terms] == [("t-zone", True), ("t-contact", False)]
    assert body.terms[0].meaning == "must not enter the area"
    assert body.title == "Stalking Protection Order"
    assert "Secret" not in body.model_dump_json()
    assert "Elm" not in body.model_dump_json()


def story() -> list[tuple[int, int, bytes, bytes | None]]:
    """The changelog of a subject's records, as a worker writes it."""
    subject = Subject(order("O1"), order("O1", 2), order("O2"))
    subject.feed(*(fix(after(60 * n)) for n in range(5)), report(after(400)))
    return [(0, n, key, value) for n, (key, value) in enumerate(subject.table.items())]


def test_the_index_knows_where_each_version_lies_and_keeps_the_evidence_of_whom_is_looked_at() -> None:
    index = Index()
    for message in story():
        index.apply(*message)
    assert sorted(index.orders["S1"]) == [("O1", 1), ("O1", 2), ("O2", 1)]
    assert index.tracks == {}, "of those whom nobody looks at nothing"
    track = index.look_at("S1")
    for message in story():
        index.apply(*message)
    seen = list(observations(track, 0))
    assert len(seen) == 6
    assert seen == sorted(seen, key=lambda each: each.at)
    assert len(list(observations(track, int(after(120).timestamp()) // 60))) == 4


@given(st.permutations(range(4)))
def test_of_a_minutes_slices_the_newest_counts_in_whatever_order_they_are_read(order_of: list[int]) -> None:
    versions: list[bytes | None] = [b"[]", b"[1]", None, b"[2]"]
    track: dict[int, Slice] = {}
    for offset in order_of:
        Index.add(track, 7, Slice(offset, versions[offset]))
    assert track[7] == Slice(3, b"[2]")


def test_an_order_that_is_deleted_is_gone_and_older_evidence_is_forgotten() -> None:
    index = Index()
    for message in story():
        index.apply(*message)
    for name in [b"O1|1", b"O1|2", b"O2|1"]:
        index.apply(0, 99, b"S1|o|" + name, None)
    assert index.orders == {}
    track = index.look_at("S1")
    Index.add(track, 5, Slice(1, b"[]"))
    Index.add(track, 9, Slice(1, b"[]"))
    index.forget(9)
    assert list(track) == [9]


def test_only_so_many_tracks_are_kept() -> None:
    index = Index()
    for number in range(150):
        index.look_at(f"S{number}")
    index.look_at("S60")
    index.look_at("S150")
    assert len(index.tracks) == 100
    assert "S60" in index.tracks
    assert "S50" not in index.tracks


@pytest.mark.parametrize("key", [b"", b"S1", b"S1|o", b"\xff|\xff"])
def test_what_is_no_key_of_a_record_is_passed_over(key: bytes) -> None:
    assert parts(key) is None
    Index().apply(0, 0, key, b"x")


@pytest.mark.parametrize(("rest", "name"), [("O1|2", ("O1", 2)), ("A/B|12", ("A/B", 12)), ("O1", None), ("|1", None)])
def test_an_orders_name_is_in_its_key(rest: str, name: object) -> None:
    assert order_name(rest) == name
