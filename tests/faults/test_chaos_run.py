"""A world goes through three brokers while things break, and comes out as if nothing had broken."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.chaos.faults import Brokers, brokers
from streams.chaos.judge import Came, against_the_truth, came
from streams.chaos.run import Report, Run, judged, make_world
from streams.chaos.schedule import Fault, Planned, schedule
from streams.simulator import SimulatedWorld

SEED = 5
SECONDS = 55.0
HASTY_WORKER = str(Path(__file__).with_name("hasty_worker.py"))


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Brokers]:
    with brokers(tmp_path_factory.mktemp("three")) as three:
        yield three


@pytest.fixture(scope="module")
def world() -> SimulatedWorld:
    return make_world(SEED, minutes=0.5)


@pytest.fixture(scope="module")
def calm(three: Brokers, world: SimulatedWorld, tmp_path_factory: pytest.TempPathFactory) -> Came:
    directory = tmp_path_factory.mktemp("calm")
    return came(Run(three, "calm-", directory, Report(SEED), print).play(world, 0.0, []))


def test_undisturbed_it_finds_the_truth(calm: Came, world: SimulatedWorld) -> None:
    assert against_the_truth(calm, world) == []


def test_broken_again_and_again_it_finds_the_same(
    three: Brokers, world: SimulatedWorld, calm: Came, tmp_path: Path
) -> None:
    report = Report(SEED)
    run = Run(three, "broken-", tmp_path, report, print)
    outcome = run.play(world, SECONDS, schedule(SEED, SECONDS, every_s=4.5))
    assert report.kills >= 3
    assert report.failovers >= 1
    assert judged(report, outcome, calm, world, run.settings.policy_file) == []


def test_a_worker_that_commits_too_early_is_found_out(
    three: Brokers, world: SimulatedWorld, calm: Came, tmp_path: Path
) -> None:
    """The harness can fail: the very fault that the barrier is there for."""
    report = Report(SEED)
    kills = [Planned(2.0 + 2.5 * n, Fault.LOSE_STORE, 0.0, n % 2 * 0.9) for n in range(12)]
    run = Run(three, "hasty-", tmp_path, report, print, worker=(sys.executable, HASTY_WORKER))
    outcome = run.play(world, 32.0, kills)
    wrong = judged(report, outcome, calm, world, run.settings.policy_file)
    print("\n".join(wrong))
    assert any(" is missing: its log brings it about" in text for text in wrong), "what was decided and never sent"
