"""What the tests share: one real Apache Kafka a session, and a pipeline's own topics on it."""

import os
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Pipeline, quick, running

from streams.kafka import admin, local
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster
from streams.kafka.topics import topic_specs
from streams.settings import Settings

# Seconds that the tests of a folder may take in all, two at a time on two cores that do nothing else: about three
# times what they take, so that a suite that has become slow is seen, and a slow machine is not.
BUDGETS_S = {
    "unit": 450,
    "behaviours": 600,
    "properties": 1000,
    "integration": 6000,
    "browser": 1500,
    "faults": 4500,
}
_taken_s: dict[str, float] = defaultdict(float)


def _suite(nodeid: str) -> str:
    return nodeid.split("/")[1] if nodeid.startswith("tests/") else ""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _taken_s[_suite(report.nodeid)] += report.duration


def _over_budget() -> list[str]:
    return [suite for suite, budget in BUDGETS_S.items() if _taken_s[suite] > budget]


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if exitstatus == pytest.ExitCode.OK and _over_budget():
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.section("seconds by suite")
    for suite, budget in BUDGETS_S.items():
        over = "  OVER ITS BUDGET" if suite in _over_budget() else ""
        terminalreporter.line(f"{suite:12} {_taken_s[suite]:6.1f} of {budget}{over}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the broker, by its fixtures."""
    for item in items:
        if "kafka" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a real Kafka: BREACHWATCH_BOOTSTRAP_SERVERS, or one node started for the session."""
    given = os.environ.get("BREACHWATCH_BOOTSTRAP_SERVERS")
    if given:
        yield given
        return
    with local.running(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.bootstrap_servers


@contextmanager
def _pipeline(bootstrap_servers: str, data_dir: Path) -> Iterator[Settings]:
    """Settings whose topics exist, under a prefix of their own, for the length of a block."""
    settings = Settings(
        bootstrap_servers=bootstrap_servers,
        topic_prefix=f"t{uuid.uuid4().hex[:8]}-",
        environment="development",
        data_dir=data_dir,
    )
    admin.apply(admin.plan(settings))
    yield settings
    with connect(Cluster(bootstrap_servers)) as client:
        names = [spec.name for spec in topic_specs(settings)]
        client.delete_topics(names, raise_errors=False)


@pytest.fixture
def pipeline_settings(kafka: str, tmp_path: Path) -> Iterator[Settings]:
    """A pipeline of one test: a unique prefix, every topic there and empty."""
    with _pipeline(kafka, tmp_path / "data") as settings:
        yield settings


@pytest.fixture(scope="module")
def module_pipeline_settings(kafka: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A pipeline that the tests of one module share."""
    with _pipeline(kafka, tmp_path_factory.mktemp("data")) as settings:
        yield settings


@pytest.fixture
def pipeline(pipeline_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline of one test; its processes are for the test to start."""
    with running(quick(pipeline_settings), tmp_path / "logs") as started:
        yield started


@pytest.fixture(scope="module")
def module_pipeline(
    module_pipeline_settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """A pipeline that the tests of one module share: each takes subjects of its own."""
    with running(quick(module_pipeline_settings), tmp_path_factory.mktemp("logs")) as started:
        yield started
