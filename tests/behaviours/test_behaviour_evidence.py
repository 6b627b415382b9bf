"""Behaviours 19 to 23, 25 to 27, 29, 34 and 45: what each source shows, and how surely."""

from datetime import timedelta

import orjson
import pytest
from builders import (
    POLICY,
    adjudicated,
    away,
    custody,
    face,
    fix,
    policy_with,
    read,
    report,
    retraction,
    seen,
    update,
    zone,
)
from world import World, m, spo

from schemas.inbound import BadMessageError, BadReason, decode
from schemas.sightings import FaceMatch
from schemas.tasks import Certainty, TaskState

IMAGE = "look at the image before acting: a plate shows a vehicle, not its driver"
CLONE = "possible clone: two reads that one vehicle cannot have made"
CONFLICT = "conflict: another source places the subject elsewhere"
FAR = {"latitude": 51.5072, "longitude": -0.1276}  # London, 270 km from Leeds
TWO_CITIES = [zone(), zone("t-london", {"type": "Circle", "centre": FAR, "radius_m": 500.0})]


# -- 19: a plate is a vehicle ----------------------------------------------------------------------------------


def test_behaviour_19_plate_read_shows_a_vehicle_not_its_driver() -> None:
    world = World(spo()).give(read(m(1)))
    assert world.breach.certainty is Certainty.VEHICLE
    assert world.breach.flags == [IMAGE]
    assert "not necessarily driven by them" in world.breach.reason
    tag = World(spo()).give(fix(m(1)))
    assert world.task.priority.score < tag.task.priority.score
    assert IMAGE not in tag.task.flags


def test_behaviour_19_several_reads_of_one_pass_are_one_sighting() -> None:
    world = World(spo()).give(read(m(1)), read(m(2), away(east_m=50)), read(m(4), away(east_m=100)))
    assert world.breach.began_at == m(1)
    assert len(world.alerts("breach")) == 1


# -- 20 and 21: confusable and partial plates ------------------------------------------------------------------


@pytest.mark.parametrize("spelt", ["BD15DLO", "BD15 DLO", "BD15 DL0", "BDI5DLO", "bdi5 dl0"])
def test_behaviour_20_o_and_0_and_i_and_1_are_matched_by_their_position(spelt: str) -> None:
    world = World(spo()).give(read(m(1), vrm=spelt))
    assert world.breach.certainty is Certainty.VEHICLE
    assert world.alerts("check_plate") == []


@pytest.mark.parametrize("look_alike", ["8D15DLO", "BD1SDLO", "BO15DLO", "BD15OLO"])
def test_behaviour_20_ambiguous_candidate_near_a_zone_is_shown_and_never_picked(look_alike: str) -> None:
    world = World(spo()).give(read(m(1), vrm=look_alike))
    assert not world.tasks
    alert = world.alert("check_plate")
    assert (alert.severity, alert.task_id, alert.breach_id) == ("medium", None, None)
    assert look_alike in alert.text
    assert world.state().last_seen is None, "who it was is not known"


def test_behaviour_20_ambiguous_candidate_elsewhere_is_passed_on_only_with_a_task_open() -> None:
    quiet = World(spo()).give(read(m(1), away(east_m=20_000), vrm="8D15DLO"))
    assert quiet.kinds() == set()
    assert quiet.audits("look_alike"), "considered, and why nothing came of it"
    wanted = World(spo()).give(report(m(1)), read(m(2), away(east_m=20_000), vrm="8D15DLO"))
    assert wanted.alert("check_plate")
    assert wanted.terms() == ["no_contact"]


def test_behaviour_20_another_plate_is_nobodys() -> None:
    world = World(spo()).give(read(m(1), vrm="BD15DLX"), read(m(2), vrm="AB12CDE"))
    assert world.nothing_happened()
    assert not world.audits("look_alike")


@pytest.mark.parametrize("partial", ["BD15DL", "D15DLO", "BD5DLO"])
def test_behaviour_21_partial_plate_never_recommends_arrest_by_itself(partial: str) -> None:
    world = World(spo()).give(read(m(1), vrm=partial), read(m(2), vrm=partial), read(m(3), vrm=partial))
    assert not world.tasks
    assert world.kinds() == {"check_plate"}


# -- 22: clones ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [5, 30, 50])
def test_behaviour_22_impossible_travel_flags_both_reads_as_a_possible_clone(minutes: float) -> None:
    world = World(spo(terms=TWO_CITIES)).give(read(m(1)), read(m(1 + minutes), FAR))
    assert [b.term_id for b in world.breaches] == ["t-zone", "t-london"], "neither is suppressed"
    assert all(CLONE in b.flags for b in world.breaches)
    assert world.alert("possible_clone").severity == "medium"


def test_behaviour_22_impossible_travel_is_found_whichever_read_arrives_first() -> None:
    world = World(spo(terms=TWO_CITIES)).give(read(m(6), FAR))
    world.give(read(m(1)), now=m(7))
    assert len(world.breaches) == 2
    assert all(CLONE in b.flags for b in world.breaches)


def test_behaviour_22_a_journey_that_can_be_driven_is_no_clone() -> None:
    world = World(spo(terms=TWO_CITIES)).give(read(m(1)), read(m(241), FAR))
    assert len(world.breaches) == 2
    assert not any(CLONE in b.flags for b in world.breaches)
    assert world.alerts("possible_clone") == []


# -- 23: error circles -----------------------------------------------------------------------------------------

EDGE = away(east_m=195)  # 5 m inside the zone's edge


def test_behaviour_23_fix_that_straddles_the_boundary_needs_more_fixes() -> None:
    world = World(spo()).give(fix(m(1), EDGE, accuracy_m=50))
    assert world.nothing_happened()
    world.give(fix(m(2), EDGE, accuracy_m=50))
    assert world.nothing_happened()
    world.give(fix(m(3), EDGE, accuracy_m=50))
    assert (world.breach.certainty, world.breach.began_at) == (Certainty.POSSIBLE, m(1))
    assert "possibly inside the exclusion zone" in world.breach.reason


def test_behaviour_23_possible_visit_is_confirmed_by_a_fix_wholly_inside() -> None:
    world = World(spo()).give(*(fix(m(i), EDGE, accuracy_m=50) for i in (1, 2, 3)))
    possible = world.task
    world.give(fix(m(4)))
    assert world.breach.certainty is Certainty.CONFIRMED
    assert world.breach.breach_id == possible.breaches[0].breach_id
    assert world.task.priority.score == possible.priority.score + POLICY.scores.certainty["confirmed"]
    assert world.alert("breach_confirmed").task_id == possible.task_id


def test_behaviour_23_circle_wholly_outside_is_out_and_wholly_inside_is_certain() -> None:
    assert World(spo()).give(*(fix(m(i), away(east_m=260), accuracy_m=50) for i in range(1, 9))).nothing_happened()
    assert World(spo()).give(fix(m(1), away(east_m=140), accuracy_m=50)).breach.certainty is Certainty.CONFIRMED


def test_behaviour_23_implausible_jump_is_kept_and_not_matched() -> None:
    world = World(spo()).give(fix(m(1), FAR), fix(m(2)), fix(m(3), FAR))
    assert world.breaches == []
    assert not world.tasks
    assert world.alert("implausible_jump").severity == "low"
    assert "kept, and not matched" in world.why("implausible_jump")
    assert world.state().last_seen is not None
    assert world.state().last_seen.time == m(3)
    assert world.state().last_seen.position.latitude == FAR["latitude"]


def test_behaviour_23_jump_that_the_next_fix_confirms_counts_from_its_own_time() -> None:
    world = World(spo()).give(fix(m(1), FAR), fix(m(2)), fix(m(3)))
    assert (world.breach.certainty, world.breach.began_at) == (Certainty.CONFIRMED, m(2))


def test_behaviour_23_zone_crossed_between_two_fixes_is_possible_only() -> None:
    world = World(spo()).give(fix(m(1), away(east_m=-400)), fix(m(2), away(east_m=400)))
    assert world.breach.certainty is Certainty.POSSIBLE
    assert world.breach.flags == ["no fix lies inside: the straight line between two fixes crosses the zone"]
    beside = World(spo()).give(fix(m(1), away(east_m=-400, north_m=300)), fix(m(2), away(east_m=400, north_m=300)))
    assert beside.nothing_happened()


# -- 25: the device itself -------------------------------------------------------------------------------------


def test_behaviour_25_strap_cut_flat_battery_and_silence_are_separate_alerts() -> None:
    home = away(east_m=5000)
    world = World(spo()).give(fix(m(0), home))
    assert world.kinds() == set()
    world.give(fix(m(1), home, tamper=True))
    assert [(a.kind, a.severity) for a in world.alerts()] == [("tag_tamper", "high")]
    world.give(fix(m(2), home, battery_low=True))
    assert [(a.kind, a.severity) for a in world.alerts()[1:]] == [("tag_battery", "low")]
    world.wait(m(61))
    assert [a.kind for a in world.alerts() if a.kind != "safeguarding_escalation"] == ["tag_tamper", "tag_battery"]
    world.wait(m(63))
    silent = world.alert("tag_silent")
    assert silent.severity == "high"
    assert "no data is not compliance" in world.why("tag_silent")
    assert not world.tasks, "a device's fault is no breach"
    world.wait(m(60 * 24))
    assert len(world.alerts("tag_silent")) == 1, "one silence, one alert"
    world.give(fix(m(60 * 25), home)).wait(m(60 * 27))
    assert len(world.alerts("tag_silent")) == 2, "it spoke, and fell silent again"


def test_behaviour_25_no_data_does_not_end_the_search() -> None:
    world = World(spo()).give(fix(m(1))).wait(m(60 * 24))
    assert world.task.state is TaskState.OPEN
    assert world.task.grade == "immediate"
    assert world.breach.ended_at == m(1), "when it was last known to go on"


def test_behaviour_25_tag_without_a_position_still_says_how_it_is() -> None:
    world = World(spo()).give(fix(m(1), no_position=True, tamper=True, battery_low=True))
    assert world.kinds() == {"tag_tamper", "tag_battery"}


# -- 26: contradictions ----------------------------------------------------------------------------------------


def test_behaviour_26_tag_80_km_away_and_plate_in_the_zone_conflict_and_neither_is_suppressed() -> None:
    world = World(spo()).give(fix(m(0), away(east_m=80_000)), read(m(2)))
    assert (world.breach.certainty, world.breach.term_kind) == (Certainty.VEHICLE, "exclusion_zone")
    assert CONFLICT in world.breach.flags
    conflict = world.alert("position_conflict")
    assert conflict.severity == "high"
    assert "neither is suppressed" in world.why("position_conflict")


def test_behaviour_26_the_other_way_round_the_breach_that_stands_is_flagged() -> None:
    world = World(spo()).give(read(m(0)), fix(m(2), away(east_m=80_000)))
    assert CONFLICT in world.breach.flags
    assert CONFLICT in world.task.flags
    assert world.task.state is TaskState.OPEN


def test_behaviour_26_sources_that_agree_or_are_hours_apart_do_not_conflict() -> None:
    agree = World(spo()).give(fix(m(0), away(east_m=3000)), read(m(4)))
    hours = World(spo()).give(fix(m(0), away(east_m=80_000)), read(m(120)))
    for world in (agree, hours):
        assert world.alerts("position_conflict") == []
        assert CONFLICT not in world.breach.flags


# -- 27: faces -------------------------------------------------------------------------------------------------


def test_behaviour_27_face_match_without_adjudication_makes_no_task_and_moves_no_position() -> None:
    world = World(spo()).give(face(m(1), id="f1"))
    assert not world.tasks
    assert world.state().last_seen is None
    assert world.alert("adjudicate").severity == "high"
    world.give(adjudicated("f1", m(5)))
    assert (world.breach.certainty, world.breach.began_at) == (Certainty.CONFIRMED, m(1))
    assert world.task.last_seen is not None
    assert world.task.last_seen.time == m(1)


def test_behaviour_27_rejected_match_never_counts() -> None:
    world = World(spo()).give(face(m(1), id="f1"), adjudicated("f1", m(5), "rejected"))
    assert not world.tasks
    assert world.state().last_seen is None
    world.give(adjudicated("f1", m(6)))
    assert not world.tasks, "a verdict is given once"
    assert World(spo()).give(face(m(1), adjudication="rejected")).nothing_happened()


def test_behaviour_27_adjudication_may_be_in_the_event_itself() -> None:
    world = World(spo()).give(face(m(1), adjudication="confirmed"))
    assert world.breach.certainty is Certainty.CONFIRMED
    assert world.alerts("adjudicate") == []


def test_behaviour_27_asks_only_if_it_would_matter() -> None:
    far = World(spo()).give(face(m(1), away(east_m=20_000)))
    assert far.kinds() == set()
    assert far.audits("awaits_adjudication")
    wanted = World(spo()).give(report(m(0)), face(m(1), away(east_m=20_000)))
    assert wanted.alert("adjudicate")


def test_behaviour_27_kept_for_a_day_only() -> None:
    world = World(spo()).give(face(m(1), id="f1"), adjudicated("f1", m(60 * 24 + 2)))
    assert not world.tasks
    in_time = World(spo()).give(face(m(1), id="f1"), adjudicated("f1", m(60 * 24)))
    assert in_time.breach.began_at == m(1)


def test_behaviour_27_adjudication_that_arrives_before_its_match_counts() -> None:
    world = World(spo()).give(adjudicated("f1", m(5)))
    world.give(face(m(1), id="f1"), now=m(6))
    assert world.breach.certainty is Certainty.CONFIRMED
    rejected = World(spo()).give(adjudicated("f1", m(5), "rejected"))
    rejected.give(face(m(1), id="f1"), now=m(6))
    assert rejected.nothing_happened()


def test_behaviour_27_no_template_is_accepted() -> None:
    body = face(m(1)).model_dump(mode="json", exclude_none=True)
    assert isinstance(decode("sightings", orjson.dumps(body)), FaceMatch)
    body["data"]["template"] = "AAAA"
    with pytest.raises(BadMessageError) as refused:
        decode("sightings", orjson.dumps(body))
    assert refused.value.reason is BadReason.INVALID_FIELD
    assert "a field that the schema does not have" in refused.value.detail
    assert "AAAA" not in refused.value.detail


# -- 29 and 34: late news, and the search ----------------------------------------------------------------------


@pytest.mark.parametrize("lag_minutes", [0, 10, 20, 120, 239])
def test_behaviour_29_lag_within_the_policy_never_downgrades(lag_minutes: float) -> None:
    world = World(spo(), now=m(-300)).give(fix(m(1)), now=m(1 + lag_minutes))
    assert world.task.grade == "immediate"
    assert world.task.priority.score == 100
    assert world.task.deadline == m(1 + lag_minutes + 15)
    assert world.task.last_seen is not None
    assert world.task.last_seen.time == m(1)


def test_behaviour_29_older_than_the_policy_is_evidence_of_a_breach_and_says_so() -> None:
    world = World(spo(), now=m(-300)).give(fix(m(1)), now=m(1 + 241))
    assert world.breach.certainty is Certainty.CONFIRMED
    rules = {c.rule: c.points for c in world.task.priority.contributions}
    assert rules["stale"] < 0
    assert "fresh" not in rules
    assert world.task.grade == "priority"


def test_behaviour_29_later_position_contradicts_the_place_and_not_the_breach() -> None:
    world = World(spo(), now=m(-300)).give(fix(m(60), away(east_m=9000)))
    world.give(fix(m(1)), now=m(62))
    assert world.breach.began_at == m(1)
    assert world.task.last_seen is not None
    assert world.task.last_seen.time == m(60), "the car goes where the subject was last seen"


def test_behaviour_29_older_position_of_another_source_does_not_become_the_last_seen() -> None:
    world = World(spo()).give(report(m(1)), fix(m(60), away(east_m=9000)))
    world.give(seen(m(30), away(east_m=4000)), read(m(20), away(east_m=2000)), now=m(61))
    world.wait(m(70))
    assert world.task.last_seen is not None
    assert (world.task.last_seen.time, world.task.last_seen.source) == (m(60), "tag_fix")


def test_behaviour_29_older_than_what_is_kept_goes_to_a_person() -> None:
    early = m(-9 * 24 * 60)
    world = World(spo(), now=m(-10)).give(fix(early), now=m(0))
    assert not world.tasks
    assert world.alert("old_breach").severity == "medium"
    harmless = World(spo()).give(fix(early, away(east_m=9000)), now=m(0))
    assert harmless.kinds() == set()
    assert harmless.audits("beyond_horizon")


def test_behaviour_34_subject_stays_wanted_until_arrested_and_a_location_shows_its_age() -> None:
    world = World(spo()).give(fix(m(1)), *(fix(m(i), away(east_m=5000)) for i in (10, 11, 12, 13)))
    assert world.breach.ended_at == m(1)
    assert world.task.state is TaskState.OPEN
    world.wait(m(60 * 24 * 5))
    assert (world.task.state, world.task.grade) == (TaskState.OPEN, "immediate")
    assert world.task.last_seen is not None
    assert world.task.last_seen.time == m(13)
    assert world.task.last_seen.recorded_at == m(13)
    assert world.task.last_seen.place is not None
    assert world.task.last_seen.place.endswith(", England")
    world.give(custody("arrested", m(60 * 24 * 5 + 5)))
    assert world.task.state is TaskState.ARRESTED


def test_behaviour_34_after_an_arrest_a_new_breach_is_a_new_task_and_an_older_one_a_further_ground() -> None:
    world = World(spo()).give(report(m(1)), custody("arrested", m(30)))
    world.give(custody("released", m(60), disposal="charged"), report(m(20)), now=m(61))
    assert len(world.tasks) == 1
    assert world.task.breach_count == 2
    assert world.task.state is TaskState.ARRESTED
    world.give(report(m(70)))
    assert [task.breach_count for task in world.live] == [1]


def test_behaviour_34_arrest_from_before_the_breach_does_not_end_the_search_however_late_it_is_known() -> None:
    world = World(spo()).give(report(m(60)))
    world.give(custody("arrested", m(30)), now=m(61))
    assert world.task.state is TaskState.OPEN
    assert world.alert("verify_custody").severity == "critical"
    world.give(custody("released", m(45)), now=m(62))
    assert world.task.state is TaskState.OPEN
    world.give(custody("arrested", m(90)))
    assert world.task.state is TaskState.ARRESTED


def test_behaviour_34_arrest_that_is_known_after_the_release_still_ended_the_search() -> None:
    world = World(spo()).give(report(m(1)), custody("released", m(60), disposal="charged"))
    assert world.task.state is TaskState.OPEN
    world.give(custody("arrested", m(30)), now=m(61))
    assert world.task.state is TaskState.ARRESTED
    assert world.state().custody == "released"
    assert world.alerts("verify_custody") == []


def test_behaviour_34_recalled_is_not_in_custody() -> None:
    world = World(spo(kind="licence")).give(report(m(1)), custody("recalled", m(10)))
    assert world.task.state is TaskState.OPEN, "unlawfully at large, until arrested"
    world.give(fix(m(20)))
    assert world.alerts("verify_custody") == []


def test_behaviour_34_custody_that_grew_stale_is_doubted_by_a_strong_sighting_at_the_same_grade() -> None:
    world = World(spo()).give(report(m(1)), custody("detained", m(10)), fix(m(60)))
    doubt = world.alert("verify_custody")
    assert doubt.severity == "critical"
    assert "at the same grade" in doubt.text
    assert [task.grade for task in world.live] == ["immediate"]
    weak = World(spo()).give(custody("detained", m(10)), read(m(60)))
    assert weak.alerts("verify_custody") == []
    assert weak.audits("identity_conflict")
    assert weak.alert("identity_conflict").severity == "medium"
    assert weak.breach.certainty is Certainty.VEHICLE


def test_behaviour_34_last_seen_moves_the_task_at_most_once_a_minute_and_without_an_alert() -> None:
    world = World(spo()).give(report(m(1)))
    revision = world.task.revision
    world.give(*(fix(m(2) + timedelta(seconds=10 * i), away(east_m=5000 + i)) for i in range(6)))
    assert world.task.revision - revision == 1
    assert {a.kind for a in world.alerts()} == {"breach"}
    world.wait(m(4))
    assert world.task.last_seen is not None
    assert world.task.last_seen.time == m(2) + timedelta(seconds=50), "the last of them is told when the minute ends"


# -- 45: a clock in the future ---------------------------------------------------------------------------------


def test_behaviour_45_device_clock_in_the_future_is_quarantined_and_never_latest() -> None:
    world = World(spo()).give(fix(m(0), away(east_m=5000)))
    world.give(fix(m(60)), now=m(1))
    assert not world.tasks
    assert world.state().last_seen is not None
    assert world.state().last_seen.time == m(0)
    assert world.alert("clock_ahead").severity == "low"
    assert "check its clock" in world.alert("clock_ahead").text
    world.give(fix(m(2)), now=m(2))
    assert world.breach.began_at == m(2), "the next good fix counts"


def test_behaviour_45_small_disagreement_of_clocks_is_no_quarantine() -> None:
    limit = timedelta(seconds=POLICY.limits.future_tolerance_s)
    world = World(spo()).give(fix(m(1) + limit), now=m(1))
    assert world.breach.began_at == m(1) + limit
    beyond = World(spo()).give(fix(m(1) + limit + timedelta(seconds=1)), now=m(1))
    assert beyond.kinds() == {"clock_ahead"}


def test_behaviour_45_a_report_dated_in_the_future_is_not_lost_to_people() -> None:
    world = World(spo()).give(report(m(60)), now=m(1))
    assert not world.tasks
    assert world.alert("report_from_the_future").severity == "high", "somebody's victim is waiting"


def test_behaviour_45_tampering_is_alerted_whatever_the_devices_clock_says() -> None:
    world = World(spo()).give(fix(m(60), tamper=True), now=m(1))
    assert world.kinds() == {"tag_tamper", "clock_ahead"}
    assert not world.tasks


# -- distance between two who move (design 10) -----------------------------------------------------------------


def _near(metres: float = 300) -> list[dict[str, object]]:
    return [{"term_id": "t-near", "kind": "distance", "metres": metres, "protects": ["P1"]}]


PARTNER = [
    {"kind": "tag", "value": "tag-1"},
    {"kind": "tag", "value": "tag-p1", "role": "protected_person", "person_id": "P1"},
]


def test_behaviour_23_distance_from_a_person_who_moves_counts_both_error_circles() -> None:
    world = World(spo(terms=_near(), identifiers=PARTNER))
    world.give(fix(m(1), away(east_m=250), device="tag-p1"), fix(m(1.5), away()))
    assert (world.breach.term_kind, world.breach.certainty) == ("distance", Certainty.CONFIRMED)
    assert "near_protected" in {c.rule for c in world.task.priority.contributions}
    wide = World(spo(terms=_near(), identifiers=PARTNER))
    wide.give(fix(m(1), away(east_m=250), device="tag-p1", accuracy_m=60), fix(m(1.5), away()))
    assert wide.nothing_happened(), "60 m and 10 m may be the difference: one such fix is not enough"


def test_behaviour_23_stale_partner_means_proximity_unknown_which_is_an_alert() -> None:
    world = World(spo(terms=_near(), identifiers=PARTNER))
    world.give(fix(m(1), away(east_m=250), device="tag-p1"), fix(m(3.5), away()))
    assert not world.tasks
    assert world.alert("proximity_unknown").severity == "medium"


def test_behaviour_23_partner_far_away_is_no_breach() -> None:
    world = World(spo(terms=_near(), identifiers=PARTNER))
    world.give(fix(m(1), away(east_m=900), device="tag-p1"), fix(m(1.5), away()))
    assert world.kinds() == set()


def test_behaviour_23_retracted_fix_no_longer_shows_the_visit() -> None:
    world = World(spo()).give(fix(m(1), id="bad"), fix(m(2), away(east_m=900)))
    world.give(retraction("bad", at=m(5)))
    assert world.breaches == []
    assert world.task.flags == ["withdrawal recommended: no breach stands any more"]


def test_behaviour_23_retracted_fix_of_a_distance_that_cannot_be_judged_again_says_so() -> None:
    world = World(spo(terms=_near(), identifiers=PARTNER)).give(fix(m(1), away(east_m=250), device="tag-p1"))
    world.give(fix(m(1.5), id="bad"), fix(m(2), away(east_m=2000)))
    assert world.breach.flags == []
    world.give(retraction("bad", at=m(5)))
    assert world.breach.flags == ["its source took back the fix that opened it: a person must judge what is left"]


def test_behaviour_23_dwell_is_the_policys_to_set() -> None:
    careful = policy_with(visits={"enter_fixes": 3})
    world = World(spo(), policy=careful).give(fix(m(1)), fix(m(2)))
    assert world.nothing_happened()
    world.give(fix(m(3)))
    assert world.breach.began_at == m(1)


def test_behaviour_19_officer_is_believed_and_names_the_subject() -> None:
    world = World(spo()).give(seen(m(1)))
    assert world.breach.certainty is Certainty.CONFIRMED
    assert world.breach.reason.startswith("an officer saw the subject")


def test_behaviour_34_acknowledged_and_assigned_tasks_are_searches_still() -> None:
    world = World(spo()).give(report(m(1)))
    world.give(update(world.task.task_id, "acknowledge", m(2)), update(world.task.task_id, "en_route", m(3)))
    world.give(fix(m(5), away(east_m=400)), report(m(6)))
    assert len(world.tasks) == 1
    assert world.task.state is TaskState.EN_ROUTE
    assert world.task.breach_count == 2
