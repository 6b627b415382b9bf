"""Behaviours 28, 30 to 33, 35 and 38 to 40: one task, its grade, who may move it, and who must know."""

from datetime import timedelta

import pytest
from builders import away, custody, fix, no_contact, order, order_ended, policy_with, read, report, update, zone
from world import World, m, person, spo

from schemas.base import Event
from schemas.tasks import ArrestTask, TaskState
from streams.core.policy import Policy

PATTERN = "pattern: not the first breach; a new risk assessment is due"


def _exercise(event: Event) -> Event:
    return event.model_copy(update={"exercise": True})


# -- 28: replays and upgrades ----------------------------------------------------------------------------------


def test_behaviour_28_replayed_event_id_changes_nothing() -> None:
    events = [fix(m(1), id="f1"), report(m(2), id="r1"), custody("detained", m(3)), report(m(4), id="r2")]
    world = World(spo()).give(*events)
    tasks, alerts = world.tasks, world.alerts()
    world.give(*events, now=m(5))
    assert world.tasks == tasks
    assert world.alerts() == alerts
    assert world.audits("duplicate")


def test_behaviour_28_one_uncertain_fix_sent_three_times_is_one_fix() -> None:
    edge = fix(m(1), away(east_m=195), accuracy_m=50)
    world = World(spo()).give(edge)
    world.give(edge, edge, edge, now=m(2))
    assert world.nothing_happened(), "three fixes that straddle the edge would be a possible visit"
    assert world.audits("duplicate")


def test_behaviour_28_same_content_under_another_id_of_another_source_is_another_event() -> None:
    world = World(spo()).give(report(m(1), id="r1"))
    world.give(report(m(1), id="r1").model_copy(update={"source": "calls/other"}))
    assert world.task.breach_count == 2


def test_behaviour_28_new_breach_updates_the_open_task_and_may_upgrade_it() -> None:
    world = World(spo(risk="standard")).give(report(m(1)))
    before = world.task
    assert (before.grade, before.priority.score) == ("priority", 35 + 20 + 15)
    world.give(fix(m(5)))
    after = world.task
    assert after.task_id == before.task_id
    assert (after.grade, after.breach_count) == ("immediate", 2)
    assert after.deadline == m(5) + timedelta(minutes=15)
    assert after.deadline < before.deadline
    assert world.alerts("breach")[-1].text.startswith("task upgraded: ")
    assert world.alerts("breach")[-1].severity == "critical"


def test_behaviour_28_weaker_breach_never_downgrades_nor_gives_more_time() -> None:
    world = World(spo()).give(fix(m(1)))
    before = world.task
    world.give(report(m(5), "other"), read(m(6)))
    assert (world.task.grade, world.task.deadline) == (before.grade, before.deadline)
    assert world.alerts("breach")[-1].text.startswith("further breach: ")


def test_behaviour_28_grade_does_not_fall_with_a_breach_that_is_withdrawn() -> None:
    world = World(spo(risk="standard")).give(fix(m(1)))
    before = world.task
    assert before.grade == "immediate"
    world.give(spo(version=2, terms=[no_contact()], made_at=m(-60), risk="standard"), now=m(5))
    assert world.breaches == []
    world.give(report(m(10)))
    assert world.task.priority.score == 70, "which alone would be a lower grade"
    assert (world.task.grade, world.task.deadline) == (before.grade, before.deadline), "a person decides that"


def test_behaviour_28_score_is_the_sum_of_its_stated_contributions() -> None:
    world = World(spo(markers=["weapons", "violence", "dogs"])).give(fix(m(1)), report(m(2)))
    given = {c.rule: c.points for c in world.task.priority.contributions}
    assert given == {
        "term.exclusion_zone": 45,
        "certainty.confirmed": 30,
        "risk.medium": 10,
        "marker.violence": 10,
        "marker.weapons": 15,
        "repeat": 15,
        "fresh": 15,
    }
    assert world.task.priority.score == sum(given.values())
    assert world.task.warnings == ["dogs", "violence", "weapons"]


# -- 30: patterns ----------------------------------------------------------------------------------------------


def test_behaviour_30_second_breach_across_any_order_or_force_is_a_pattern() -> None:
    world = World(spo("A", terms=[no_contact()]), spo("B", kind="restraining", terms=[no_contact()]))
    world.give(report(m(1), order_id="A", force="West Yorkshire Police"))
    assert PATTERN not in world.task.flags
    assert world.audits("pattern") == []
    world.give(report(m(60), order_id="B", force="Greater Manchester Police"))
    assert [PATTERN in b.flags for b in world.breaches] == [False, True]
    assert PATTERN in world.task.flags
    assert "a new risk assessment is due" in world.why("pattern")
    assert {c.rule for c in world.task.priority.contributions} >= {"repeat"}


def test_behaviour_30_pattern_is_seen_across_a_closed_matter() -> None:
    world = World(spo()).give(report(m(1)), custody("arrested", m(30)))
    world.give(custody("released", m(60), disposal="charged"), report(m(90)))
    (task,) = world.live
    assert PATTERN in task.flags


def test_behaviour_30_one_event_that_breaches_two_orders_is_no_second_breach() -> None:
    world = World(spo("A"), spo("B", kind="restraining")).give(fix(m(1)))
    assert len(world.breaches) == 2
    assert PATTERN not in world.task.flags


# -- 31: wishes ------------------------------------------------------------------------------------------------


def test_behaviour_31_wishes_in_a_report_change_no_grade() -> None:
    asked = World(spo()).give(report(m(1), wishes="does not want an arrest"))
    plain = World(spo()).give(report(m(1)))
    assert asked.task.priority == plain.task.priority
    assert (asked.task.grade, asked.task.state) == (plain.task.grade, TaskState.OPEN)
    assert "they change no grade" in asked.why("wishes_recorded")
    assert plain.audits("wishes_recorded") == []


def test_behaviour_31_wishes_noted_on_a_task_are_recorded_and_cannot_close_or_downgrade() -> None:
    world = World(spo()).give(report(m(1)))
    before = world.task
    world.give(update(before.task_id, "note_wishes", m(5), reason="would rather nobody came"))
    after = world.task
    assert after.history[-1].what == "the protected person's wishes: would rather nobody came"
    assert after.history[-1].by == "op-1 (controller)"
    assert (after.state, after.grade, after.priority, after.deadline) == (
        TaskState.OPEN,
        before.grade,
        before.priority,
        before.deadline,
    )
    world.give(update(before.task_id, "note_wishes", m(6)))
    assert "say what the wishes are" in (world.answer.reason or "")


# -- 32: acknowledgement and closing ---------------------------------------------------------------------------


def test_behaviour_32_unacknowledged_task_escalates_step_by_step_until_somebody_acts() -> None:
    world = World(spo()).give(fix(m(1)))
    assert (world.task.grade, world.task.deadline) == ("immediate", m(16))
    world.wait(m(60))
    steps = [(alert.to, alert.severity, alert.at) for alert in world.alerts("escalation")]
    moments = [(to, severity, round((at - m(1)).total_seconds() / 60)) for to, severity, at in steps]
    assert moments[:4] == [
        ("controller", "high", 2),
        ("supervisor", "critical", 5),
        ("duty_inspector", "critical", 10),
        ("neighbouring_force", "critical", 15),
    ]
    assert [at for _, _, at in moments[4:]] == list(range(20, 60, 5)), "the last step, again and again"
    assert "Lancashire Constabulary" in world.alerts("escalation")[3].forces
    assert world.task.escalated_to == "neighbouring_force"
    assert world.task.state is TaskState.OPEN
    assert len({alert.alert_id for alert in world.alerts("escalation")}) == len(steps)


def test_behaviour_32_missed_deadline_is_an_alert_of_its_own_once() -> None:
    world = World(spo()).give(fix(m(1))).wait(m(16))
    assert world.alerts("deadline_missed") == []
    alert = world.wait(m(17)).alert("deadline_missed")
    assert (alert.severity, alert.to, alert.task_id) == ("critical", "supervisor", world.task.task_id)
    assert "not attended by its deadline" in {entry.what for entry in world.task.history}
    world.wait(m(60 * 24))
    assert len(world.alerts("deadline_missed")) == 1


@pytest.mark.parametrize("action", ["acknowledge", "assign"])
def test_behaviour_32_escalation_stops_when_somebody_acts_and_goes_on_when_nothing_follows(action: str) -> None:
    world = World(spo()).give(fix(m(1))).wait(m(2))
    world.give(update(world.task.task_id, action, m(2.5), assignee="unit 7"))
    lapse = m(7.5) if action == "acknowledge" else m(12.5)
    assert world.wait(lapse).alerts("escalation") == []
    world.wait(lapse + timedelta(seconds=1))
    assert (world.task.state, world.task.assigned_to, world.task.acknowledged_by) == (TaskState.OPEN, None, None)
    assert world.alert("lapsed").to == "supervisor"
    first = world.wait(lapse + timedelta(minutes=2.1)).alert("escalation")
    assert first.to == "controller"


def _grade(name: str, at_least: int, respond_within_s: float) -> dict[str, object]:
    return {
        "name": name,
        "at_least": at_least,
        "respond_within_s": respond_within_s,
        "respond_within_rural_s": respond_within_s * 2,
        "escalate_after_s": {"supervisor": 60},
        "repeat_every_s": 600,
        "lapse_after_s": {"acknowledged": 300, "assigned": 300, "en_route": 300, "attempted": 300},
    }


def test_behaviour_32_times_are_the_forces_own() -> None:
    grades = [_grade("g1", 0, 300)]
    own = Policy.model_validate(policy_with().model_dump() | {"grades": grades, "version": "force-7"})
    world = World(spo(), policy=own).give(report(m(1))).wait(m(7))
    assert (world.task.grade, world.task.deadline, world.task.policy_version) == ("g1", m(6), "force-7")
    assert [alert.to for alert in world.alerts("escalation")] == ["supervisor"]
    assert world.alert("deadline_missed")


def test_behaviour_32_the_country_has_longer_deadlines_than_the_town() -> None:
    settle = (54.0690, -2.2775)  # some 3,700 people
    zone_there = zone(area={"type": "Circle", "centre": away(origin=settle), "radius_m": 200})
    world = World(spo(terms=[zone_there])).give(fix(m(1), away(origin=settle)))
    assert (world.task.grade, world.task.deadline) == ("immediate", m(21))


def _closed(world: World, role: str = "controller", at: float = 30, **more: object) -> ArrestTask:
    world.give(update(world.task.task_id, "close", m(at), role, **more))
    return world.task


def test_behaviour_32_closing_needs_an_outcome_code() -> None:
    world = World(spo()).give(report(m(1)))
    assert _closed(world).state is TaskState.OPEN
    assert "closing needs an outcome" in (world.answer.reason or "")
    assert _closed(world, outcome="interviewed").state is TaskState.CLOSED
    assert world.task.outcome == "interviewed"
    assert world.answer.accepted


@pytest.mark.parametrize("risk", ["high", None])
def test_behaviour_32_closing_a_high_or_unknown_risk_needs_a_supervisor(risk: str | None) -> None:
    world = World(spo(risk=risk)).give(report(m(1)))
    assert _closed(world, outcome="no_trace").state is TaskState.OPEN
    assert "closing needs a supervisor" in (world.answer.reason or "")
    assert _closed(world, "supervisor", outcome="no_trace").state is TaskState.CLOSED


def test_behaviour_32_a_task_moves_only_where_its_state_allows() -> None:
    world = World(spo()).give(report(m(1)))
    task_id = world.task.task_id
    world.give(update(task_id, "en_route", m(2)))
    assert world.task.state is TaskState.OPEN
    world.give(update(task_id, "assign", m(3)))
    assert "needs an assignee" in (world.answer.reason or "")
    world.give(update(task_id, "assign", m(4), assignee="unit 7"), update(task_id, "en_route", m(5)))
    assert (world.task.state, world.task.assigned_to) == (TaskState.EN_ROUTE, "unit 7")
    world.give(update("another", "acknowledge", m(6)))
    assert "no task of that id" in (world.answer.reason or "")
    assert (world.answer.accepted, world.answer.state) == (False, None)


# -- 33: risk --------------------------------------------------------------------------------------------------


def test_behaviour_33_unknown_risk_fails_high() -> None:
    def scored(risk: str | None) -> ArrestTask:
        return World(spo(risk=risk)).give(report(m(1))).task

    unknown, high, medium, standard = scored(None), scored("high"), scored("medium"), scored("standard")
    assert unknown.priority.score == high.priority.score > medium.priority.score > standard.priority.score
    assert unknown.grade == high.grade == "immediate"
    assert medium.grade == standard.grade == "priority"
    assert "risk.unknown" in {c.rule for c in unknown.priority.contributions}
    assert "counts as high" in next(c.reason for c in unknown.priority.contributions if c.rule == "risk.unknown")


def test_behaviour_33_one_unassessed_order_among_several_counts_as_high() -> None:
    world = World(spo("A", risk="standard"), spo("B", risk=None)).give(fix(m(1)))
    rules = {c.rule: c.points for c in world.task.priority.contributions}
    assert rules["risk.unknown"] == 25
    assert "risk.standard" not in rules


# -- 35: forces ------------------------------------------------------------------------------------------------


def test_behaviour_35_event_force_and_owning_force_both_get_it() -> None:
    world = World(spo()).give(report(m(1), force="Kent Police"))
    assert world.task.owning_force == "West Yorkshire Police"
    assert world.task.forces == ["West Yorkshire Police", "Kent Police"]
    assert not any("tell the" in flag for flag in world.task.flags)
    same = World(spo()).give(report(m(1), force="West Yorkshire Police"))
    assert same.task.forces == ["West Yorkshire Police"]


@pytest.mark.parametrize(
    ("force", "contact"),
    [
        ("Police Scotland", "Scottish police"),
        ("Royal Military Police", "military police"),
        ("Police Service of Northern Ireland", "Northern Irish police"),
    ],
)
def test_behaviour_35_military_and_scottish_contacts_are_flagged(force: str, contact: str) -> None:
    world = World(spo()).give(read(m(1), force=force))
    assert f"tell the {contact}: {force}" in world.breach.flags
    assert force in world.task.forces


def test_behaviour_35_owning_forces_of_all_orders_hit_are_named() -> None:
    world = World(spo("A"), spo("B", owning_force="Kent Police")).give(fix(m(1)))
    assert set(world.task.forces) == {"West Yorkshire Police", "Kent Police"}


# -- 38: youth -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("born", "young"), [("2009-01-01", True), ("2008-11-26", True), ("2008-11-25", False)])
def test_behaviour_38_subject_under_18_is_flagged(born: str, young: bool) -> None:
    world = World(spo(respondent=person(date_of_birth=born))).give(report(m(1)))
    assert ("youth: the subject is under 18" in world.task.flags) == young
    assert world.task.grade == "priority"


def test_behaviour_38_unknown_age_is_not_guessed() -> None:
    assert World(spo()).give(report(m(1))).task.flags == []


# -- 39: exercises ---------------------------------------------------------------------------------------------


def test_behaviour_39_exercise_traffic_goes_the_whole_way_and_never_dispatches() -> None:
    world = World(_exercise(spo())).give(*map(_exercise, (fix(m(1)), report(m(2)))))
    assert world.task.exercise
    assert world.task.subject_id == "exercise/S1"
    assert world.task.breach_count == 2
    assert all(alert.exercise for alert in world.alerts())
    assert all(entry.exercise for entry in world.audits())
    assert world.state("S1").tasks == []


def test_behaviour_39_exercise_and_real_world_never_touch() -> None:
    world = World(spo(), _exercise(spo("DRILL")))
    world.give(_exercise(fix(m(1))), _exercise(order_ended(at=m(2))))
    world.give(report(m(3)))
    real = next(task for task in world.tasks if not task.exercise)
    assert [b.order_id for b in real.breaches] == ["O1"], "neither the drill's order nor its discharge"
    assert real.breach_count == 1
    drill = next(task for task in world.tasks if task.exercise)
    assert [b.order_id for b in drill.breaches] == ["DRILL"]
    assert world.state("exercise/S1").orders.keys() == {"DRILL", "O1"}
    assert real.task_id != drill.task_id


def test_behaviour_39_exercise_report_of_a_real_order_finds_nobody() -> None:
    world = World(spo()).give(_exercise(report(m(1), order_id="O1")), _exercise(fix(m(2))))
    assert world.nothing_happened()
    assert world.state("exercise/S1").orders == {}


# -- 40: throttles ---------------------------------------------------------------------------------------------


def test_behaviour_40_noisy_low_grade_alerts_are_one_an_hour_for_each_device() -> None:
    devices = [{"kind": "tag", "value": "tag-1"}, {"kind": "tag", "value": "tag-2"}]
    world = World(spo(identifiers=devices))
    for minute in range(1, 59):
        world.give(*(fix(m(minute), away(east_m=5000), device=d, battery_low=True) for d in ("tag-1", "tag-2")))
    assert sorted(a.text for a in world.alerts("tag_battery")) == [
        "tag tag-1 reports a low battery",
        "tag tag-2 reports a low battery",
    ]
    world.give(fix(m(61), away(east_m=5000), battery_low=True))
    assert (
        world.alerts("tag_battery")[-1].text == "tag tag-1 reports a low battery (57 more since the last such alert)"
    )


def test_behaviour_40_grave_alert_never_queues_behind_noise() -> None:
    world = World(spo())
    for minute in range(1, 30):
        world.give(fix(m(minute), away(east_m=5000), battery_low=True))
    world.give(fix(m(30), away(east_m=5000), battery_low=True, tamper=True))
    world.give(fix(m(31), away(east_m=5000), battery_low=True, tamper=True))
    assert [a.at for a in world.alerts("tag_tamper")] == [m(30), m(31)]
    world.give(report(m(32)), report(m(33)))
    assert [a.at for a in world.alerts("breach")] == [m(32), m(33)]


def test_behaviour_40_repeated_negatives_are_one_audit_entry_an_hour_with_a_count() -> None:
    world = World(spo())
    for minute in range(1, 59):
        world.give(fix(m(minute), away(east_m=5000)))
    assert len(world.audits("no_breach")) == 1
    world.give(fix(m(61), away(east_m=5000)))
    assert world.audits("no_breach")[-1].reasons[0].endswith("; 57 alike since the last such entry")


def test_behaviour_30_orders_without_identifiers_still_share_the_subject() -> None:
    world = World(order("A", terms=[no_contact()]), spo("B", terms=[zone()]))
    world.give(report(m(1), order_id="A"), fix(m(60)))
    assert len(world.tasks) == 1
    assert PATTERN in world.task.flags
