"""A world goes through three brokers while things break, and comes out as if nothing had broken."""

import re
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from harness import order

from streams.chaos.faults import Brokers, brokers
from streams.chaos.judge import (
    Came,
    against_its_log,
    against_the_truth,
    as_open,
    came,
    expected_facts,
    true_dead_letters,
)
from streams.chaos.run import Report, Run, judged, make_world
from streams.chaos.schedule import Fault, Planned, schedule
from streams.errors import BreachwatchError
from streams.kafka import admin
from streams.kafka.reading import read_all
from streams.kafka.sending import Outgoing, send_all
from streams.kafka.topics import full_name
from streams.settings import Settings
from streams.simulator import Noise, SimulatedWorld, WorldConfig, simulate

# Two runs of a world, with the brokers' and workers' starts: 200 s where nothing else runs, twice that beside others.
pytestmark = pytest.mark.timeout(900)

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


def test_a_month_that_waited_is_judged_as_far_as_evidence_is_kept(three: Brokers, tmp_path: Path) -> None:
    """The pipeline starts when a month of events lies in the topics: what is older than the horizon of a week is said
    to be, what is younger is judged, and nothing is left out."""
    noise = Noise.level("low").model_copy(update={"bad_messages": 20})
    month = WorldConfig(
        end=datetime.now(UTC),
        hours=24 * 30,
        orders=10,
        visits=8.0,
        rest_interval_s=4 * 3600,
        reads_per_second=0,
        noise=noise,
    )
    world = simulate(month)
    run = Run(three, "month-", tmp_path, Report(SEED), print)
    outcome = run.play(world, 0.0, [])
    found, kept = came(outcome), month.end - timedelta(days=6, hours=20)
    wanted = {fact for fact in expected_facts(world) if fact.began > kept}
    assert {fact for fact in as_open(found.facts, wanted) if fact.began > kept} == wanted
    assert len(wanted) >= 10
    assert against_its_log(outcome, run.settings.policy_file) == []
    assert found.dead_letters == true_dead_letters(world)
    decided = {entry.event_id for entry in outcome.audits()}
    assert {event for event in found.read if event.startswith("calls/")} <= decided
    kinds = Counter(entry.decision for entry in outcome.audits())
    old = [alert for alert in outcome.alerts() if alert.kind == "old_breach"]
    assert kinds["beyond_horizon"] > 0
    assert old, "what an old event shows is told, for a person to look at"


def test_broken_again_and_again_it_finds_the_same(
    three: Brokers, world: SimulatedWorld, calm: Came, tmp_path: Path
) -> None:
    report = Report(SEED)
    run = Run(three, "broken-", tmp_path, report, print)
    outcome = run.play(world, SECONDS, schedule(SEED, SECONDS, every_s=4.5))
    assert report.kills >= 3
    assert report.failovers >= 1
    wrong = judged(report, outcome, calm, world, run.settings.policy_file)
    print("\n".join(wrong))
    assert wrong == []


def test_while_two_of_three_brokers_are_gone_publishers_are_told_and_afterwards_all_goes_on(
    three: Brokers,
) -> None:
    settings = Settings(bootstrap_servers=three.kafka.bootstrap_servers, topic_prefix="gone-", replication=3)
    admin.apply(admin.plan(settings))
    events = [Outgoing(full_name(settings, "orders"), None, orjson.dumps(order("S1"))) for _ in range(3)]
    cluster = admin.cluster_of(settings)
    assert len(send_all(cluster, events)) == 3
    for node in (1, 2):
        three.kafka.kill_node(node)
    try:
        with pytest.raises(BreachwatchError, match=r"0 messages were acknowledged; .* Send the rest again"):
            send_all(cluster, events, timeout_s=20.0)
    finally:
        for node in (1, 2):
            three.kafka.start_node(node, wait=False)
    assert len(send_all(cluster, events)) == 3
    kept = list(read_all(cluster, full_name(settings, "orders")))
    assert len(kept) >= 6, "what was acknowledged is there"


def test_a_worker_that_commits_too_early_is_found_out(
    three: Brokers, world: SimulatedWorld, calm: Came, tmp_path: Path
) -> None:
    """The harness can fail: the very fault that the barrier is there for."""
    report = Report(SEED)
    kills = [Planned(4.0 + 4.0 * n, Fault.LOSE_STORE, 0.0, n % 2 * 0.9) for n in range(12)]
    run = Run(three, "hasty-", tmp_path, report, print, worker=(sys.executable, HASTY_WORKER))
    outcome = run.play(world, 52.0, kills)
    wrong = judged(report, outcome, calm, world, run.settings.policy_file)
    print("\n".join(wrong))
    found = [text for text in wrong if re.search(r": [1-9]\d* lost| is missing: its log brings it about", text)]
    assert found, "what was read or decided, and never sent"
