"""Doctor's looks are bounded in time, and what it says to people ends with the worst."""

import threading
import time

import pytest

from streams.cli.doctor import lines
from streams.doctor.examine import NoAnswerError, within
from streams.doctor.finding import Finding, listed
from streams.errors import BreachwatchError


def test_a_look_that_hangs_is_left_behind() -> None:
    never = threading.Event()
    began = time.monotonic()
    with pytest.raises(NoAnswerError, match=r"no answer within 0\.2 s"):
        within(0.2, never.wait)
    assert time.monotonic() - began < 5
    never.set()


def test_what_a_look_returns_or_raises_is_its_own() -> None:
    assert within(5, lambda: 7) == 7

    def fail() -> None:
        raise BreachwatchError("why")

    with pytest.raises(BreachwatchError, match="why"):
        within(5, fail)


def test_the_worst_comes_last_with_its_mend() -> None:
    shown = lines(
        [
            ("topics", Finding("topics", "fail", "missing: alerts", "make it")),
            ("topics", Finding("copies", "ok", "all there")),
            ("machine", Finding("python", "ok", "3.11")),
            ("running", Finding("canary", "warn", "none", "start it")),
        ]
    )
    assert shown == [
        "machine",
        "  ok    python: 3.11",
        "running",
        "  warn  canary: none",
        "        -> start it",
        "topics",
        "  ok    copies: all there",
        "  fail  topics: missing: alerts",
        "        -> make it",
        "1 fail, 1 warn, 2 ok",
    ]


def test_of_many_names_the_first_are_shown() -> None:
    assert listed("abc") == "a, b, c"
    assert listed(range(8)) == "0, 1, 2, 3, 4, 5 and 2 more"
