"""Legal time (behaviours 11, 16, 38 and 45): days and hours as the Acts count them, in London.

Dates are chosen for what is special about them; what is expected is worked out by hand from the Acts.
"""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from builders import away, circle, custody, fix, order_served, report, requirement_met, update
from world import World, m, person, spo

from streams.core.clocks import CourtClock, age_on, court_deadline, in_curfew, is_disregarded, local, notify_by

LONDON = ZoneInfo("Europe/London")
DAPN, BAIL = CourtClock.DAPN, CourtClock.BAIL_ACT
AWAY = away(east_m=5000)
EVERY_DAY: list[str] = []


def london(text: str, fold: int = 0) -> datetime:
    """A reading of a London clock; `fold` 1: the second of two."""
    return datetime.fromisoformat(text).replace(tzinfo=LONDON, fold=fold)


def _curfew(start: str, until: str, **more: object) -> dict[str, object]:
    return {"term_id": "t-c", "kind": "curfew", "area": circle(100), "start": start, "until": until, **more}


def _under(term: dict[str, object], at: datetime, **more: object) -> World:
    order = spo(terms=[term], made_at=at - timedelta(days=30), kind="restraining", **more)
    return World(order, now=at - timedelta(days=1))


# -- curfews and the clock -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fold", [0, 1])
@pytest.mark.parametrize(("start", "until"), [("19:00", "07:00"), ("01:00", "02:00"), ("01:30", "06:00")])
def test_behaviour_45_both_half_past_ones_of_25_october_2026_are_in_the_curfew(
    start: str, until: str, fold: int
) -> None:
    at = london("2026-10-25T01:30", fold).astimezone(UTC)
    assert at.hour == fold, "00:30 and 01:30 UTC"
    world = _under(_curfew(start, until), at).give(fix(at, AWAY))
    assert (world.breach.term_kind, world.breach.began_at) == ("curfew", at)
    assert "away from the curfew address" in world.breach.reason
    assert _under(_curfew(start, until), at).give(fix(at)).nothing_happened(), "at home"


@pytest.mark.parametrize("fold", [0, 1])
def test_behaviour_45_curfew_that_ended_before_the_repeated_hour_matches_neither(fold: int) -> None:
    at = london("2026-10-25T01:30", fold).astimezone(UTC)
    assert _under(_curfew("19:00", "01:00"), at).give(fix(at, AWAY)).nothing_happened()


def test_behaviour_45_absence_through_the_repeated_hour_is_one_visit_of_its_true_length() -> None:
    start = london("2026-10-25T00:45").astimezone(UTC)
    times = [start + timedelta(minutes=5 * i) for i in range(24)]  # to 01:40, the second one
    world = _under(_curfew("00:30", "01:59"), start).give(*(fix(at, AWAY) for at in times))
    assert len(world.breaches) == 1
    assert (world.breach.began_at, world.breach.ended_at) == (times[0], None)
    assert times[-1] - times[0] == timedelta(minutes=115)


def test_behaviour_45_hour_that_does_not_exist_on_29_march_2026() -> None:
    last, first = datetime(2026, 3, 29, 0, 59, tzinfo=UTC), datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert (first.astimezone(LONDON).hour, last.astimezone(LONDON).hour) == (2, 0)
    # It begins at 01:30, which no clock shows that night: it is in force from 02:00, the next reading.
    assert not in_curfew(last, "01:30", "06:00", EVERY_DAY)
    assert in_curfew(first, "01:30", "06:00", EVERY_DAY)
    # It ends at 01:30: the first reading after the gap is past that.
    assert in_curfew(last, "22:00", "01:30", EVERY_DAY)
    assert not in_curfew(first, "22:00", "01:30", EVERY_DAY)
    # It lies wholly within the hour: nothing is in it.
    assert not any(in_curfew(last + timedelta(minutes=i), "01:15", "01:45", EVERY_DAY) for i in range(-60, 120))


def test_behaviour_45_local_time_that_does_not_exist_is_as_long_after_the_change_as_it_was_meant_to_be() -> None:
    assert local(date(2026, 3, 29), "01:30") == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert local(date(2026, 10, 25), "01:30") == datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    assert local(date(2026, 7, 1), "12:00") == datetime(2026, 7, 1, 11, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("at", "inside"),
    [
        ("2026-11-27T18:59", False),
        ("2026-11-27T19:00", True),
        ("2026-11-28T06:59", True),
        ("2026-11-28T07:00", False),
        ("2026-11-28T19:30", False),
        ("2026-11-29T03:00", False),
    ],
)
def test_curfew_of_a_friday_runs_into_saturday_morning_and_not_into_its_night(at: str, inside: bool) -> None:
    assert in_curfew(london(at), "19:00", "07:00", ["fri"]) == inside


def test_curfew_within_a_day_counts_on_its_own_days_only() -> None:
    assert in_curfew(london("2026-11-27T10:00"), "09:00", "17:00", ["fri"])
    assert not in_curfew(london("2026-11-28T10:00"), "09:00", "17:00", ["fri"])
    assert not in_curfew(london("2026-11-27T17:00"), "09:00", "17:00", ["fri"])


def test_curfew_in_summer_is_read_on_the_london_clock() -> None:
    assert in_curfew(datetime(2026, 7, 1, 18, 0, tzinfo=UTC), "19:00", "07:00", EVERY_DAY)
    assert not in_curfew(datetime(2026, 1, 1, 18, 0, tzinfo=UTC), "19:00", "07:00", EVERY_DAY)


# -- 16: court clocks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arrested", "dapn", "bail", "why"),
    [
        ("2026-11-25T10:00", "2026-11-26T10:00", "2026-11-26T10:00", "an ordinary Wednesday"),
        ("2026-11-28T10:00", "2026-11-30T10:00", "2026-11-30T10:00", "a Saturday: Sunday is left out"),
        ("2026-11-29T10:00", "2026-12-01T00:00", "2026-12-01T00:00", "a Sunday: the hours begin with Monday"),
        # 2026: the 25th is a Friday; the 26th a bank holiday and a Saturday; the 28th in lieu of it.
        ("2026-12-24T10:00", "2026-12-29T10:00", "2026-12-26T10:00", "Christmas Eve"),
        ("2026-12-25T10:00", "2026-12-30T00:00", "2026-12-27T00:00", "Christmas Day"),
        (
            "2026-12-26T10:00",
            "2026-12-30T00:00",
            "2026-12-28T10:00",
            "Boxing Day: bail counts it, and not the Sunday",
        ),
        ("2026-12-28T10:00", "2026-12-30T00:00", "2026-12-29T10:00", "the substitute bank holiday"),
        ("2026-12-31T15:00", "2027-01-02T15:00", "2027-01-01T15:00", "New Year's Eve"),
        # 2022: Christmas Day is a Sunday, so the 26th and 27th are bank holidays and the 27th is no Christmas Day.
        ("2022-12-24T12:00", "2022-12-28T12:00", "2022-12-26T12:00", "Christmas Eve before a Sunday"),
        ("2022-12-26T12:00", "2022-12-29T00:00", "2022-12-27T12:00", "the day after a Christmas Sunday"),
        # 2026: Good Friday is 3 April, Easter Monday the 6th.
        ("2026-04-02T12:00", "2026-04-04T12:00", "2026-04-04T12:00", "Maundy Thursday"),
        ("2026-04-04T12:00", "2026-04-07T12:00", "2026-04-06T12:00", "Easter Saturday"),
        ("2026-05-03T12:00", "2026-05-06T00:00", "2026-05-05T00:00", "a Sunday before a bank holiday"),
        ("2026-08-30T09:00", "2026-09-02T00:00", "2026-09-01T00:00", "the summer bank holiday"),
        ("2023-05-07T09:00", "2023-05-10T00:00", "2023-05-09T00:00", "a bank holiday for a coronation"),
        ("2028-02-28T09:00", "2028-02-29T09:00", "2028-02-29T09:00", "a leap day counts"),
        ("2026-11-30T09:00", "2026-12-01T09:00", "2026-12-01T09:00", "St Andrew's Day is no holiday here"),
    ],
)
def test_behaviour_16_each_court_clock(arrested: str, dapn: str, bail: str, why: str) -> None:
    assert court_deadline(london(arrested), DAPN) == london(dapn), why
    assert court_deadline(london(arrested), BAIL) == london(bail), why


@pytest.mark.parametrize(
    ("arrested", "due"),
    [
        # The night to Sunday 25 October has 25 hours; the Sunday is left out whole.
        ("2026-10-24T12:00", "2026-10-26T12:00"),
        # The night to Sunday 29 March has 23.
        ("2026-03-28T12:00", "2026-03-30T12:00"),
    ],
)
def test_behaviour_16_hours_are_real_hours_over_a_clock_change(arrested: str, due: str) -> None:
    start, end = london(arrested).astimezone(UTC), court_deadline(london(arrested), DAPN)
    assert end == london(due)
    sunday = london("2026-10-26T00:00").astimezone(UTC) - london("2026-10-25T00:00").astimezone(UTC)
    spring = london("2026-03-30T00:00").astimezone(UTC) - london("2026-03-29T00:00").astimezone(UTC)
    assert end - start - (sunday if start.month == 10 else spring) == timedelta(hours=24)


def test_behaviour_16_only_the_dapns_clock_leaves_bank_holidays_out() -> None:
    bank_holiday, good_friday = date(2026, 5, 4), date(2026, 4, 3)
    assert (is_disregarded(bank_holiday, DAPN), is_disregarded(bank_holiday, BAIL)) == (True, False)
    assert is_disregarded(good_friday, DAPN)
    assert is_disregarded(good_friday, BAIL)
    assert not is_disregarded(date(2026, 5, 5), DAPN)


@pytest.mark.parametrize(
    ("kind", "due"),
    [("dapn", "2026-12-29T10:00"), ("court_bail", "2026-12-26T10:00"), ("spo_full", None), ("restraining", None)],
)
@pytest.mark.parametrize("by", ["custody", "officer"])
def test_behaviour_16_arrest_starts_the_clock_of_the_power_and_pace_has_none(
    kind: str, due: str | None, by: str
) -> None:
    arrested = london("2026-12-24T10:00").astimezone(UTC)
    hour = timedelta(hours=1)
    world = World(spo(kind=kind, notifies_elsewhere=True), now=arrested - 2 * hour).give(report(arrested - hour))
    if by == "custody":
        world.give(custody("arrested", arrested))
    else:
        world.give(update(world.task.task_id, "arrested", arrested, "officer"))
    assert world.task.court_deadline == (london(due).astimezone(UTC) if due else None)


def test_behaviour_16_several_grounds_take_the_earliest_clock() -> None:
    arrested = london("2026-12-24T10:00").astimezone(UTC)
    hour = timedelta(hours=1)
    orders = [spo(kind, kind=kind, notifies_elsewhere=True) for kind in ("spo_full", "dapn", "court_bail")]
    world = World(*orders, now=arrested - 2 * hour).give(report(arrested - hour), custody("arrested", arrested))
    assert world.task.court_deadline == london("2026-12-26T10:00").astimezone(UTC)


def test_behaviour_16_no_clock_runs_before_an_arrest() -> None:
    assert World(spo(kind="dapn")).give(report(m(1))).task.court_deadline is None


# -- 11: three days --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("served", "end", "why"),
    [
        ("2026-11-30T10:00", "2026-12-03T00:00", "Monday: by the end of Wednesday"),
        ("2026-11-30T23:59", "2026-12-03T00:00", "the day counts, not the hour"),
        ("2026-12-01T00:00", "2026-12-04T00:00", "midnight belongs to the new day"),
        ("2026-10-24T10:00", "2026-10-27T00:00", "over the change of clocks in October"),
        ("2026-03-28T10:00", "2026-03-31T00:00", "over the change of clocks in March"),
        ("2028-02-28T10:00", "2028-03-02T00:00", "28 and 29 February and 1 March"),
        ("2026-02-27T10:00", "2026-03-02T00:00", "27 and 28 February and 1 March"),
        ("2026-12-24T10:00", "2026-12-27T00:00", "no holiday is left out of these days"),
        ("2026-12-30T10:00", "2027-01-02T00:00", "over the year's end"),
    ],
)
def test_behaviour_11_three_days_beginning_with_the_day_of_service(served: str, end: str, why: str) -> None:
    assert notify_by(london(served)) == london(end), why


@pytest.mark.parametrize("days", ["2026-10-24", "2026-03-28"])
def test_behaviour_11_the_duty_falls_due_at_londons_midnight_over_a_clock_change(days: str) -> None:
    served = london(f"{days}T10:00").astimezone(UTC)
    end = (london(f"{days}T00:00") + timedelta(days=3)).astimezone(UTC)
    order = spo(served=False, made_at=served - timedelta(days=1))
    world = World(order, now=served - timedelta(days=1)).give(order_served(at=served))
    assert world.wait(end - timedelta(seconds=1)).nothing_happened()
    assert world.wait(end + timedelta(seconds=1)).breach.began_at == end


# -- 18: requirements at local times ---------------------------------------------------------------------------


def test_behaviour_18_sign_on_by_a_time_that_does_not_exist_is_not_due_before_it_was_meant() -> None:
    at = datetime(2026, 3, 28, 12, 0, tzinfo=UTC)
    sign_on = {"term_id": "t-s", "kind": "sign_on", "days": ["sun"], "by": "01:30"}
    world = _under(sign_on, at)
    due = datetime(2026, 3, 29, 1, 30, tzinfo=UTC) + timedelta(hours=1)  # and the policy's grace
    assert world.wait(due - timedelta(seconds=1)).nothing_happened()
    assert world.wait(due + timedelta(seconds=1)).breach.began_at == due


def test_behaviour_18_signed_on_in_the_second_of_two_hours_counts() -> None:
    at = datetime(2026, 10, 24, 12, 0, tzinfo=UTC)
    sign_on = {"term_id": "t-s", "kind": "sign_on", "days": ["sun"], "by": "01:30"}
    world = _under(sign_on, at).give(requirement_met("t-s", london("2026-10-25T01:20", fold=1).astimezone(UTC)))
    assert world.wait(datetime(2026, 10, 26, 12, 0, tzinfo=UTC)).nothing_happened()


# -- 38: ages --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("born", "at", "age"),
    [
        ("2008-02-29", "2026-02-28T23:59", 17),
        ("2008-02-29", "2026-03-01T00:00", 18),
        ("2008-11-25", "2026-11-24T23:59", 17),
        ("2008-11-25", "2026-11-25T00:00", 18),
        ("2008-07-02", "2026-07-02T00:30", 18),
    ],
)
def test_behaviour_38_age_on_the_london_day(born: str, at: str, age: int) -> None:
    assert age_on(born, london(at)) == age


def test_behaviour_38_subject_turns_18_while_the_task_is_open() -> None:
    world = World(spo(respondent=person(date_of_birth="2008-11-26"))).give(report(m(1)))
    assert "youth: the subject is under 18" in world.task.flags
    world.give(report(m(24 * 60)))
    assert "youth: the subject is under 18" not in world.task.flags


# -- 10: two years over a leap day -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "ends", "short"),
    [
        ("2026-10-26T10:00", "2028-10-26T00:00", False),
        ("2028-02-29T10:00", "2030-02-28T23:59", False),
        ("2025-03-01T10:00", "2027-03-01T00:00", False),
        ("2026-10-26T10:00", "2028-10-19T00:00", True),
    ],
)
def test_behaviour_10_two_years_with_or_without_a_leap_day(made: str, ends: str, short: bool) -> None:
    made_at, ends_at = (london(text).astimezone(UTC) for text in (made, ends))
    world = World(spo(made_at=made_at, expires_at=ends_at), now=max(made_at, m(-10)))
    assert bool(world.alerts("check_order")) == short
