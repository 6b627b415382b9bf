"""Behaviours 6, 7, 24, 36 and 37: what a term covers, where, until when, and what it allows."""

import pytest
from builders import away, circle, fix, no_contact, read, report, zone
from world import EDINBURGH, World, m, spo

LEEDS_LOCALITY = circle(radius_m=3000)


def _scotland(**more: object) -> dict[str, object]:
    centre = {"latitude": EDINBURGH["latitude"], "longitude": EDINBURGH["longitude"]}
    return zone("t-scot", {"type": "Circle", "centre": centre, "radius_m": 500.0}, **more)


# -- 6: periods of terms ---------------------------------------------------------------------------------------


def test_behaviour_06_expired_term_stops_matching_and_the_order_lives_on() -> None:
    world = World(spo(terms=[zone(valid_to=m(10)), no_contact()]))
    world.give(fix(m(20)))
    assert world.nothing_happened()
    world.give(report(m(21)))
    assert world.terms() == ["no_contact"]


def test_behaviour_06_term_matches_until_its_last_moment_and_not_before_its_first() -> None:
    world = World(spo(terms=[no_contact(valid_from=m(5), valid_to=m(10))]))
    world.give(report(m(4)), report(m(5)), report(m(9.99)), report(m(10)))
    assert [(b.began_at, b.term_kind) for b in world.breaches] == [
        (m(4), "unspecified"),
        (m(5), "no_contact"),
        (m(9.99), "no_contact"),
        (m(10), "unspecified"),
    ], "outside its period a report is still a person's matter under the order, not this term's breach"


# -- 7: places of terms ----------------------------------------------------------------------------------------


def test_behaviour_07_term_limited_to_a_locality_is_ignored_outside_it() -> None:
    world = World(spo(terms=[zone(area=circle(radius_m=20_000), locality=LEEDS_LOCALITY)]))
    world.give(fix(m(1), away(east_m=5000)))
    assert world.nothing_happened()
    world.give(fix(m(5), away(east_m=1000)))
    assert world.breach.began_at == m(5)


def test_behaviour_07_locality_limits_reported_contact_too_and_doubt_goes_to_a_person() -> None:
    order = spo(terms=[no_contact(locality=LEEDS_LOCALITY)])
    outside = World(order).give(report(m(1), position=EDINBURGH))
    assert outside.terms() == ["unspecified"], "not this term; a person decides about the rest"
    assert World(order).give(report(m(1), position=away())).terms() == ["no_contact"]
    assert World(order).give(report(m(1))).terms() == ["no_contact"], "no place was given: in doubt it holds"


def test_behaviour_07_unlimited_term_matches_in_scotland() -> None:
    world = World(spo(terms=[_scotland()])).give(fix(m(1), EDINBURGH))
    assert world.breach.flags == [
        "jurisdiction: outside England and Wales (Scotland); whether it can be charged here is for review"
    ]
    assert world.task.grade == "immediate"
    assert world.breach.flags[0] in world.task.flags


@pytest.mark.parametrize(
    ("town", "latitude", "longitude", "flagged"),
    [
        ("Leeds", 53.80, -1.55, None),
        ("Cardiff", 51.48, -3.18, None),
        ("Belfast", 54.597, -5.93, "Northern Ireland"),
        ("Glasgow", 55.86, -4.25, "Scotland"),
        ("Dublin", 53.35, -6.26, "Ireland"),
    ],
)
def test_behaviour_07_jurisdiction_is_flagged_only_outside_england_and_wales(
    town: str, latitude: float, longitude: float, flagged: str | None
) -> None:
    world = World(spo()).give(report(m(1), position={"latitude": latitude, "longitude": longitude}))
    flags = [flag for flag in world.breach.flags if flag.startswith("jurisdiction")]
    assert bool(flags) == bool(flagged)
    assert all(f"({flagged})" in flag for flag in flags)


# -- 24: buffers -----------------------------------------------------------------------------------------------


def test_behaviour_24_entry_into_a_buffer_warns_and_is_not_a_breach() -> None:
    buffer = {"term_id": "t-buffer", "kind": "buffer", "area": circle(radius_m=1000)}
    world = World(spo(terms=[zone(), buffer]))
    world.give(fix(m(1), away(east_m=2000)), fix(m(5), away(east_m=700)), fix(m(6), away(east_m=600)))
    assert not world.tasks
    warning = world.alert("buffer_entered")
    assert (warning.severity, warning.task_id) == ("medium", None)
    assert "not a breach yet" in warning.text
    assert world.audits("buffer_entered")

    world.give(fix(m(10), away()))
    assert world.terms() == ["exclusion_zone"]
    assert len(world.alerts("buffer_entered")) == 1, "one entry, one warning"


def test_behaviour_24_passing_outside_the_buffer_says_nothing() -> None:
    buffer = {"term_id": "t-buffer", "kind": "buffer", "area": circle(radius_m=1000)}
    world = World(spo(terms=[zone(), buffer])).give(fix(m(1), away(east_m=1500)), fix(m(2), away(east_m=1200)))
    assert world.kinds() == set()


# -- 36: carve-outs --------------------------------------------------------------------------------------------


def test_behaviour_36_claimed_carve_out_flags_a_possible_excuse_and_drops_nothing() -> None:
    allows = no_contact(carve_outs=[{"kind": "child_contact"}, {"kind": "solicitor"}])
    excused = World(spo(terms=[allows])).give(report(m(1), excuse="solicitor"))
    plain = World(spo(terms=[no_contact()])).give(report(m(1)))
    assert excused.breach.flags == [
        "possible excuse claimed: solicitor, which the order allows; check it, do not drop it"
    ]
    assert excused.task.priority == plain.task.priority
    assert (excused.task.grade, len(excused.alerts("breach"))) == (plain.task.grade, 1)
    assert plain.breach.flags == []


def test_behaviour_36_excuse_outside_the_order_and_exception_not_claimed_are_told_apart() -> None:
    foreign = World(spo(terms=[no_contact()])).give(report(m(1), excuse="work"))
    assert foreign.breach.flags == [
        "possible excuse claimed: work, which the order does not mention; check it, do not drop it"
    ]
    silent = World(spo(terms=[no_contact(carve_outs=[{"kind": "court"}])])).give(report(m(1)))
    assert silent.breach.flags == ["the term has an exception (court): check that it does not apply"]


def test_behaviour_36_carve_out_of_a_zone_flags_a_visit_too() -> None:
    world = World(spo(terms=[zone(carve_outs=[{"kind": "child_contact"}])])).give(fix(m(1)))
    assert world.breach.flags == ["the term has an exception (child_contact): check that it does not apply"]
    assert world.task.grade == "immediate"
    assert World(spo()).give(fix(m(1))).breach.flags == []


# -- 37: contact -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "channel", ["in_person", "phone", "text", "email", "post", "social_media", "third_party", "other", None]
)
def test_behaviour_37_contact_by_any_channel_and_through_others_matches(channel: str | None) -> None:
    world = World(spo()).give(report(m(1), channel=channel))
    assert world.terms() == ["no_contact"]


def test_behaviour_37_contact_with_protected_children_and_family_matches() -> None:
    persons = [
        {"person_id": "P1"},
        {"person_id": "C1", "relation": "child"},
        {"person_id": "F1", "relation": "family"},
    ]
    order = spo(protected_persons=persons, terms=[no_contact(protects=["P1", "C1", "F1"]), zone()])
    for person_id in ("P1", "C1", "F1"):
        world = World(order).give(report(m(1), protected_person_id=person_id, channel="third_party"))
        assert world.terms() == ["no_contact"]
        assert person_id in world.breach.protects
    everybody = World(spo(protected_persons=persons, terms=[no_contact(protects=[])]))
    assert everybody.give(report(m(1), protected_person_id="C1")).terms() == ["no_contact"]


def test_behaviour_37_contact_with_somebody_the_term_does_not_name_is_for_a_person_not_dropped() -> None:
    world = World(spo()).give(report(m(1), protected_person_id="P2"))
    assert (world.breach.term_id, world.breach.term_kind) == (None, "unspecified")
    assert "term unclear" in world.breach.flags[0]
    assert world.breach.protects == ["P2"]


@pytest.mark.parametrize(
    ("nature", "term"),
    [
        ("contact", "no_contact"),
        ("approach", "no_contact"),
        ("entered_zone", "exclusion_zone"),
        ("social_media", "no_social_media"),
        ("surveillance", "no_surveillance"),
        ("not_at_residence", "residence"),
        ("other", "unspecified"),
    ],
)
def test_behaviour_37_what_is_reported_matches_the_term_about_it_and_no_other(nature: str, term: str) -> None:
    kinds = ("no_social_media", "no_surveillance", "residence")
    order = spo(terms=[zone(), no_contact(), *({"term_id": f"t-{kind}", "kind": kind} for kind in kinds)])
    assert World(order).give(report(m(1), nature)).terms() == [term]


# -- zones of every shape --------------------------------------------------------------------------------------


def test_behaviour_24_corridor_along_a_road_is_a_zone_of_its_own_width() -> None:
    line = [away(east_m=-1000), away(east_m=1000)]
    road = {"type": "Corridor", "line": [[p["longitude"], p["latitude"]] for p in line], "half_width_m": 50.0}
    order = spo(terms=[zone("t-road", road)])
    assert World(order).give(fix(m(1), away(east_m=500, north_m=30))).terms() == ["exclusion_zone"]
    assert World(order).give(fix(m(1), away(east_m=500, north_m=70))).nothing_happened()
    assert World(order).give(read(m(1), away(east_m=900))).terms() == ["exclusion_zone"]
