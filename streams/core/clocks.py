"""Legal time: days and hours as Acts count them, in Europe/London, over holidays and clock changes."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo

import holidays

LONDON = ZoneInfo("Europe/London")
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class CourtClock(StrEnum):
    """How the hours after an arrest are counted until the subject must be before a court."""

    DAPN = "dapn"
    """24 hours without Sundays, Christmas Day, Good Friday and bank holidays (DAA 2021 s26)."""
    BAIL_ACT = "bail_act"
    """24 hours without Sundays, Christmas Day and Good Friday; bank holidays count (Bail Act 1976 s7)."""


COURT_HOURS = 24


@lru_cache(maxsize=100)
def _bank_holidays(year: int) -> "holidays.HolidayBase":
    return holidays.country_holidays("GB", subdiv="ENG", years=year)


def is_disregarded(day: date, clock: CourtClock) -> bool:
    """Does this day not count on the clock? Good Friday comes from the holiday library, by its name."""
    if day.weekday() == 6 or (day.month, day.day) == (12, 25):
        return True
    name = _bank_holidays(day.year).get(day)
    if name is None:
        return False
    return clock is CourtClock.DAPN or "Good Friday" in name


def court_deadline(arrested_at: datetime, clock: CourtClock) -> datetime:
    """The end of 24 hours from the arrest that leave disregarded days out; UTC.

    Elapsed hours are real hours: a night on which the clocks change has 23 or 25.
    """
    at, left = arrested_at.astimezone(UTC), timedelta(hours=COURT_HOURS)
    while True:
        midnight = end_of_day(at.astimezone(LONDON).date())
        if is_disregarded(at.astimezone(LONDON).date(), clock):
            at = midnight
        elif at + left <= midnight:
            return at + left
        else:
            left -= midnight - at
            at = midnight


def end_of_day(day: date) -> datetime:
    """The midnight at which a London day ends; UTC."""
    return datetime.combine(day + timedelta(days=1), time(), LONDON).astimezone(UTC)


def notify_by(start: datetime) -> datetime:
    """The end of the 3 days "beginning with" the day of `start` (SPA 2019 s9, DAA 2021 s41); UTC.

    Served on a Monday: by the end of Wednesday.
    """
    return end_of_day(start.astimezone(LONDON).date() + timedelta(days=2))


def london_day(at: datetime) -> str:
    return at.astimezone(LONDON).date().isoformat()


def weekday(day: date) -> str:
    return _WEEKDAYS[day.weekday()]


def local(day: date, hhmm: str) -> datetime:
    """A local time of a London day, as UTC.

    One that does not exist (the hour skipped in March) is read with the offset before the change, so it falls
    as long after the gap's start as it was meant to; one that comes twice (in October) is its first.
    """
    hour, minute = map(int, hhmm.split(":"))
    return datetime.combine(day, time(hour, minute), LONDON).astimezone(UTC)


def in_curfew(at: datetime, start: str, until: str, days: list[str]) -> bool:
    """Is the instant within a curfew that begins at local time `start` on one of `days` (none: every day)?

    Compared as local clock readings, so that both 01:30s of an October night are in a curfew over 01:30.
    """
    clock = at.astimezone(LONDON)
    reading = f"{clock:%H:%M}"
    today, yesterday = weekday(clock.date()), weekday(clock.date() - timedelta(days=1))
    overnight = until <= start
    if not overnight:
        return start <= reading < until and (not days or today in days)
    if reading >= start:
        return not days or today in days
    return reading < until and (not days or yesterday in days)


def age_on(date_of_birth: str, at: datetime) -> int:
    """Whole years of age on the London day of `at`; somebody born on 29 February ages on 1 March."""
    born, day = date.fromisoformat(date_of_birth), at.astimezone(LONDON).date()
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
