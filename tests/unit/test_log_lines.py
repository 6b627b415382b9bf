"""What somebody sends cannot forge a line of the log, whichever of the two ways it gets there."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from streams.logs import configure_logging

FORGED = 'x"}\n{"event":"all is well","level":"info"}\r\x1b[2J\u2028\x00'


@pytest.fixture
def configured() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers, root.level
    configure_logging()
    yield
    root.handlers, level = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_value_stays_in_its_line(configured: None, capfd: pytest.CaptureFixture[str]) -> None:
    # Made after the configuration, as a process does: what was made before is bound to the old one.
    configure_logging()
    structlog.get_logger().warning("event", source=FORGED)
    logging.getLogger("a.library").warning("from %s", FORGED)
    lines = capfd.readouterr().err.split("\n")
    assert [json.loads(line)["event"] for line in lines if line] == ["event", f"from {FORGED}"]
    assert not any(sign in line for line in lines for sign in ("\r", "\x1b", "\x00"))
