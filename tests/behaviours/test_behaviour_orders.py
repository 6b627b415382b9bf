"""Behaviours 1 to 5, 8 to 10, 14, 15, 17 and 44: which order was in force, and what it gives a constable."""

from datetime import timedelta

import pytest
from builders import (
    MADE,
    away,
    fix,
    no_contact,
    order_ended,
    order_served,
    order_stayed,
    report,
    seen,
    zone,
)
from world import World, m, spo

from schemas.orders import OrderKind
from schemas.tasks import Certainty, TaskState
from streams.core.kinds import KINDS

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NO_POWER = "this order alone gives no confirmed power yet"


# -- 1: made afterwards ----------------------------------------------------------------------------------------


def test_behaviour_01_event_before_the_order_was_made_is_intelligence_not_a_breach() -> None:
    world = World(spo(made_at=m(0)), now=m(5))
    world.give(fix(m(-1)), now=m(6))
    assert world.nothing_happened()
    assert "intelligence, not a breach of it; the conduct may still be stalking" in world.why("not_in_force")
    world.give(fix(m(1)), now=m(7))
    assert world.breach.began_at == m(1)


def test_behaviour_01_report_of_conduct_before_the_order_goes_to_a_person() -> None:
    world = World(spo(made_at=m(0)), now=m(5)).give(report(m(-60)), now=m(6))
    assert not world.tasks
    alert = world.alert("report_without_order")
    assert alert.severity == "high"
    assert "offence of its own" in alert.text
    assert "may still be stalking" in world.why("no_order_in_force")


# -- 2 to 4: service and awareness -----------------------------------------------------------------------------


def test_behaviour_02_unserved_order_keeps_the_grade_and_says_serve_now() -> None:
    unserved = World(spo(served=False)).give(fix(m(1)))
    served = World(spo()).give(fix(m(1)))
    in_court = World(spo(served=False, present_in_court=True)).give(fix(m(1)))
    assert unserved.task.grade == served.task.grade == "immediate"
    assert unserved.task.priority == served.task.priority
    assert unserved.task.deadline == served.task.deadline

    power = unserved.breach.power
    assert power.startswith(NO_POWER)
    for words in ("no proof of service", "stalking or harassment", "breach of the peace", "serve the order now"):
        assert words in power
    assert "PACE" not in power
    assert unserved.breach.proof_of_service is None
    assert unserved.task.flags == ["serve now: an order breached here has no proof of service"]

    for known in (served, in_court):
        assert "PACE 1984 s24" in known.breach.power
        assert NO_POWER not in known.breach.power
        assert known.task.flags == []


def test_behaviour_02_later_proof_of_service_changes_the_words_only_for_what_came_after_it() -> None:
    world = World(spo(served=False)).give(fix(m(1)), order_served(at=m(30)), now=m(31))
    assert world.breach.power.startswith(NO_POWER), "served after the breach"
    world.give(report(m(40)))
    assert "PACE 1984 s24" in world.breaches[1].power
    assert "SPA 2019 s8" in world.breaches[1].power
    late = World(spo(served=False)).give(fix(m(1)))
    late.give(order_served(at=m(-30)), now=m(2))
    assert "PACE 1984 s24" in late.breach.power, "the proof arrived late, the service was before the breach"
    assert late.task.flags == []


@pytest.mark.parametrize("kind", ["dapo", "non_molestation"])
def test_behaviour_03_order_without_notice_is_an_offence_only_from_awareness(kind: str) -> None:
    secret = World(spo(kind=kind, served=False, without_notice=True)).give(fix(m(1)))
    assert secret.breach.power.startswith(NO_POWER)
    assert "no proof that the subject was aware" in secret.breach.power
    assert secret.task.flags == ["serve now: an order breached here has no proof of service"]
    assert secret.task.grade == "immediate", "what power there is never lowers the attendance grade"

    secret.give(order_served(at=m(20), method="told", reference="told on the telephone"), report(m(30)))
    assert secret.breaches[0].power.startswith(NO_POWER)
    assert "PACE 1984 s24" in secret.breaches[1].power
    assert secret.breaches[1].proof_of_service is not None
    assert secret.breaches[1].proof_of_service.startswith("told service at")

    on_notice = World(spo(kind=kind, served=False)).give(fix(m(1)))
    assert "PACE 1984 s24" in on_notice.breach.power
    assert on_notice.task.flags == []


def test_behaviour_04_term_tightened_without_notice_binds_as_an_offence_only_from_awareness() -> None:
    contact = no_contact()
    world = World(
        spo(kind="dapo", terms=[contact]),
        spo(kind="dapo", version=2, terms=[contact, zone()], served=False, without_notice=True, made_at=m(-60)),
    )
    world.give(report(m(1)), fix(m(2)))
    unchanged, tightened = world.breaches
    assert (unchanged.term_id, tightened.term_id) == ("t-contact", "t-zone")
    assert (unchanged.order_version, tightened.order_version) == (2, 2)
    assert "PACE 1984 s24" in unchanged.power, "notice of version 1 is notice of what stands unchanged"
    assert tightened.power.startswith(NO_POWER)
    assert "serve now: an order breached here has no proof of service" in world.task.flags

    aware = World(
        spo(kind="dapo", terms=[contact]),
        spo(kind="dapo", version=2, terms=[contact, zone()], served=False, without_notice=True, made_at=m(-60)),
        order_served(version=2, at=m(-30)),
    ).give(fix(m(2)))
    assert "PACE 1984 s24" in aware.breach.power
    assert aware.task.flags == []


# -- 5: variations ---------------------------------------------------------------------------------------------


def test_behaviour_05_event_is_judged_on_the_terms_of_its_own_time() -> None:
    world = World(spo(), spo(version=2, terms=[no_contact()], made_at=m(-24 * 60)))
    world.give(fix(m(1)))
    assert world.nothing_happened(), "version 2 lifted the zone yesterday"
    world.give(seen(m(-25 * 60)), now=m(2))
    assert (world.breach.order_version, world.breach.term_id) == (1, "t-zone")


def test_behaviour_05_variation_that_arrives_late_withdraws_what_it_allowed_and_says_so() -> None:
    world = World(spo()).give(fix(m(1)), report(m(2)))
    assert world.terms() == ["exclusion_zone", "no_contact"]
    world.give(spo(version=2, terms=[no_contact()], made_at=m(-60)), now=m(10))
    assert [(b.term_id, b.order_version) for b in world.breaches] == [("t-contact", 2)]
    correction = world.alert("correction")
    assert correction.task_id == world.task.task_id
    assert "withdrawal of the task is recommended" not in correction.text, "a ground is left"
    assert world.why("breach_withdrawn")
    assert "order version" in world.why("breach_corrected")


def test_behaviour_05_variation_that_arrives_late_finds_the_breach_of_the_term_that_it_added() -> None:
    world = World(spo(terms=[no_contact()])).give(fix(m(1)))
    assert not world.tasks
    world.give(spo(version=2, made_at=m(-60)), now=m(10))
    assert (world.breach.term_id, world.breach.order_version) == ("t-zone", 2)
    assert world.task.opened_at == m(10)


# -- 8 and 9: how an order begins and ends ---------------------------------------------------------------------


def test_behaviour_08_interim_ends_when_the_main_application_is_determined() -> None:
    interim = spo("INTERIM", kind="spo_interim", expires_at=m(60 * 24 * 28))
    full = spo("FULL", made_at=m(10), replaces="INTERIM")
    world = World(interim).give(report(m(5), order_id="INTERIM"), full, fix(m(20)))
    assert [b.order_id for b in world.breaches] == ["INTERIM", "FULL"], "no double, though its period remains"
    world.give(report(m(30), order_id="INTERIM"))
    assert len(world.breaches) == 2
    assert "ended when the main application was determined" in world.why("no_order_in_force")


def test_behaviour_08_full_order_that_arrives_late_takes_over_what_was_judged_under_the_interim() -> None:
    world = World(spo("INTERIM", kind="spo_interim")).give(fix(m(20)))
    assert world.breach.order_id == "INTERIM"
    world.give(spo("FULL", made_at=m(10), replaces="INTERIM"), now=m(30))
    assert world.breach.order_id == "FULL"
    assert len(world.live) == 1


def test_behaviour_09_no_end_date_means_live_until_further_order() -> None:
    years = 10 * 365 * 24 * 60
    world = World(spo()).give(report(m(years)))
    assert world.breach.term_kind == "no_contact"
    ends = World(spo(expires_at=m(60))).give(report(m(61)))
    assert not ends.tasks
    assert "had expired" in ends.why("no_order_in_force")


def test_behaviour_09_only_a_stay_suspends_and_only_while_it_lasts() -> None:
    world = World(spo()).give(order_stayed(at=m(-5), until=m(60)), fix(m(1)))
    assert world.nothing_happened()
    assert "stayed by the court" in world.why("not_in_force")
    world.give(fix(m(61)))
    assert world.breach.began_at == m(61)


def test_behaviour_09_stay_that_arrives_late_withdraws_the_breach_and_keeps_the_task_for_a_person() -> None:
    world = World(spo()).give(fix(m(1)))
    world.give(order_stayed(at=m(-5)), now=m(10))
    assert world.breaches == []
    assert world.task.state is TaskState.WITHDRAWAL_RECOMMENDED
    assert world.task.flags == ["withdrawal recommended: no breach stands any more"]
    assert "withdrawal of the task is recommended" in world.alert("correction").text


def test_behaviour_09_made_is_not_in_force_until_its_effect_begins() -> None:
    deferred = World(spo(effective_from=m(30))).give(fix(m(1)))
    assert deferred.nothing_happened()
    deferred.give(fix(m(31)))
    assert deferred.breach.began_at == m(31)

    waits = World(spo("FIRST", terms=[no_contact()]), spo("SECOND", effective_on_end_of="FIRST"))
    waits.give(fix(m(1)))
    assert waits.nothing_happened()
    assert "waits for an earlier order to end" in waits.why("not_in_force")
    waits.give(order_ended("FIRST", at=m(10), how="stated_event"), fix(m(11)))
    assert waits.breach.order_id == "SECOND"


# -- 10: doubtful periods --------------------------------------------------------------------------------------


def test_behaviour_10_full_spo_under_two_years_is_flagged_and_acted_on() -> None:
    world = World(spo(expires_at=MADE + 364 * DAY)).give(fix(m(1)))
    doubt = world.alert("check_order")
    assert "shorter than the 730 days" in doubt.text
    assert "it is loaded and acted on" in doubt.text
    assert world.breach.order_id == "O1"


def test_behaviour_10_dvpo_over_28_days_is_flagged_and_acted_on() -> None:
    world = World(spo(kind="dvpo", made_at=m(-60), expires_at=m(-60) + 29 * DAY)).give(fix(m(1)))
    assert "longer than the 28 days" in world.alert("check_order").text
    assert world.breach.power.startswith("check the power before relying on it")


@pytest.mark.parametrize(
    "fine",
    [
        spo(expires_at=MADE + 731 * DAY),
        spo(),
        spo(kind="spo_interim", expires_at=MADE + 60 * DAY),
        spo(terms=[zone(valid_to=MADE + 90 * DAY), no_contact()], expires_at=MADE + 731 * DAY),
        spo(kind="dvpo", made_at=m(-60), expires_at=m(-60) + 28 * DAY),
    ],
    ids=["two years", "until further order", "interim", "one short term", "dvpo of 28 days"],
)
def test_behaviour_10_periods_that_the_acts_allow_are_not_flagged(fine) -> None:  # type: ignore[no-untyped-def]
    assert World(fine).alerts("check_order") == []


# -- 14: the end -----------------------------------------------------------------------------------------------


def test_behaviour_14_discharge_stops_new_breaches_and_leaves_earlier_ones_open() -> None:
    world = World(spo()).give(report(m(1)), order_ended(at=m(10)), fix(m(20)), report(m(21)))
    assert [b.began_at for b in world.breaches] == [m(1)]
    assert world.task.state is TaskState.OPEN
    assert world.task.grade == "priority"
    assert "had been ended by the court" in world.why("no_order_in_force")
    assert world.alerts("correction") == []


def test_behaviour_14_discharge_from_a_later_day_is_no_wrong_clock_and_ends_the_order_then() -> None:
    world = World(spo())
    world.give(order_ended(at=m(60)).model_copy(update={"recordedtime": m(0)}), now=m(0))
    assert world.kinds() == set()
    world.give(report(m(59)), report(m(61)))
    assert [b.began_at for b in world.breaches] == [m(59)]


def test_behaviour_14_discharge_that_arrives_late_recommends_and_never_calls_off() -> None:
    world = World(spo()).give(fix(m(1)))
    before = world.task
    world.give(order_ended(at=m(-60)), now=m(10))
    assert world.task.state is TaskState.WITHDRAWAL_RECOMMENDED
    assert world.task.grade == before.grade
    assert "withdrawal recommended: no breach stands any more" in world.task.flags


# -- 15: powers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(OrderKind))
def test_behaviour_15_every_kind_states_its_power_and_none_lowers_the_grade(kind: OrderKind) -> None:
    grades = set()
    for more in (
        {},
        {"served": False},
        {"served": False, "without_notice": True},
        {"power_of_arrest_attached": True},
    ):
        world = World(spo(kind=kind.value, **more)).give(fix(m(1)))
        grades.add((world.task.grade, world.task.priority.score, world.task.deadline))
        assert world.breach.power
    assert grades == {("immediate", 100, m(16))}
    assert KINDS[kind].legal_review


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("spo_full", "PACE 1984 s24 (with a necessity ground, Code G), for the offence under SPA 2019 s8"),
        ("spo_interim", "SPA 2019 s8"),
        ("dapo", "DAA 2021 s39"),
        ("non_molestation", "FLA 1996 s42A"),
        ("restraining", "Sentencing Act 2020 s363"),
        ("dapn", "arrest without warrant for breach of the notice, DAA 2021 s26"),
        ("court_bail", "Bail Act 1976 s7(3)"),
        ("licence", "no general power of arrest"),
    ],
)
def test_behaviour_15_each_ground_carries_its_own_power(kind: str, words: str) -> None:
    world = World(spo(kind=kind)).give(fix(m(1)))
    assert words in world.breach.power
    assert ("PACE" in world.breach.power) == KINDS[OrderKind(kind)].offence


def test_behaviour_15_occupation_order_needs_the_power_attached_and_served() -> None:
    def power(**more: object) -> str:
        return World(spo(kind="occupation", **more)).give(fix(m(1))).breach.power

    assert power(power_of_arrest_attached=True).startswith("check the power before relying on it: arrest without")
    assert power().startswith(NO_POWER)
    assert power(power_of_arrest_attached=True, served=False).startswith(NO_POWER)


@pytest.mark.parametrize("kind", [kind for kind, row in KINDS.items() if row.check])
def test_behaviour_15_rows_not_read_in_depth_say_check_the_power(kind: OrderKind) -> None:
    world = World(spo(kind=kind.value, power_of_arrest_attached=True)).give(fix(m(1)))
    assert world.breach.power.startswith("check the power before relying on it: ")


# -- 17 and 44: grounds ----------------------------------------------------------------------------------------


def test_behaviour_17_several_orders_hit_make_one_task_listing_every_ground() -> None:
    orders = (spo("A"), spo("B", kind="restraining"), spo("C", kind="court_bail", terms=[zone("z3")]))
    world = World(*orders).give(fix(m(1)))
    assert [b.order_id for b in world.breaches] == ["A", "B", "C"]
    assert len(world.task.breaches) == 3
    assert len({b.power for b in world.task.breaches}) == 3
    assert world.task.breach_count == 3
    elsewhere = World(*orders).give(fix(m(1), away(east_m=5000)))
    assert elsewhere.nothing_happened()


def test_behaviour_44_task_cites_version_certified_copy_proof_of_service_and_hashes() -> None:
    world = World(spo(certified_copy="CC/2026/17"), spo(version=2, certified_copy="CC/2026/18", made_at=m(-60)))
    world.give(fix(m(1), id="f1"))
    breach = world.breach
    assert (breach.order_id, breach.order_version) == ("O1", 2)
    assert breach.certified_copy == "CC/2026/18"
    assert breach.proof_of_service == "personal service at 2026-10-26 08:00Z, ps-1"
    (evidence,) = breach.evidence
    assert (evidence.event_id, evidence.topic) == ("test/source#f1", "sightings")
    assert len(evidence.sha256) == 64
    assert breach.certainty is Certainty.CONFIRMED
    assert world.audits("breach")[0].order_versions == ["O1/2"]
