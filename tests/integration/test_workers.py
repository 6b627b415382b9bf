"""Workers that share the work, come and go, and die: the same breaches, none lost, none double.

One small world with all kinds of noise is published whole to one worker, to two, and to one that is killed again
and again. What comes out must be what the world's own truth says, which is computed without the core.
"""

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any

import orjson
import pytest
from harness import Fact, Outputs, Pipeline, ago, order, quick, running, tag_fix

from streams.chaos.judge import Came, against, against_its_log, against_the_truth, came, expected_facts
from streams.core.tasks import LIVE
from streams.settings import Settings
from streams.simulator import Noise, SimulatedEvent, SimulatedWorld, WorldConfig, simulate

KILLS = 10
SEED = 7


@pytest.fixture(scope="module")
def world() -> SimulatedWorld:
    noise = Noise.level("low").model_copy(update={"duplicates": 0.05, "disorder_minutes": 3.0, "bad_messages": 8})
    return simulate(
        WorldConfig(
            end=datetime.now(UTC),
            seed=SEED,
            hours=9,
            orders=16,
            subjects=12,
            visits=2.0,
            plate_visits=1.5,
            report_rate=1.0,
            arrest_share=0.4,
            new_order_share=0.2,
            reads_per_second=0.01,
            noise=noise,
        )
    )


def parts(world: SimulatedWorld, count: int) -> tuple[list[SimulatedEvent], list[list[SimulatedEvent]]]:
    """The orders from before the world began, and the rest in so many parts."""
    before = sum(at < world.config.start for at in world.sent_at)
    rest = world.events[before:]
    edges = [len(rest) * number // count for number in range(count + 1)]
    return world.events[:before], [rest[a:b] for a, b in pairwise(edges)]


def publish(pipeline: Pipeline, events: list[SimulatedEvent]) -> None:
    sends = [
        pipeline.send(event.topic, event.encoded(), None if event.key is None else event.key.encode())
        for event in events
    ]
    for send in sends:
        send.get(30)


def settled(pipeline: Pipeline, world: SimulatedWorld) -> Came:
    """Once the breaches are those of the truth and nothing is left to be read."""
    outputs = pipeline.outputs
    pipeline.until_facts(expected_facts(world))
    pipeline.drained(past_the_gate=False)
    live = [task.subject_id for task in outputs.final_tasks() if task.state in LIVE]
    assert len(live) == len(set(live)), "one man, one car to send"
    assert {t.subject_id for t in world.truth.tasks if t.state == "open"} <= set(live), "nobody's search is lost"
    return came(outputs)


@pytest.fixture(scope="module")
def by_one(
    module_pipeline_settings: Settings, world: SimulatedWorld, tmp_path_factory: pytest.TempPathFactory
) -> Came:
    """What one worker, left alone, makes of the world."""
    with running(quick(module_pipeline_settings), tmp_path_factory.mktemp("one")) as pipeline:
        pipeline.worker()
        pipeline.gate()
        orders, [rest] = parts(world, 1)
        publish(pipeline, orders)
        pipeline.ready(workers=1, gates=1)
        pipeline.drained()
        publish(pipeline, rest)
        return settled(pipeline, world)


def test_one_worker_finds_the_truth(by_one: Came, world: SimulatedWorld) -> None:
    assert len(world.truth.breaches) >= 30
    assert against_the_truth(by_one, world) == []


def test_two_workers_find_what_one_finds(pipeline: Pipeline, by_one: Came, world: SimulatedWorld) -> None:
    pipeline.worker("one")
    pipeline.worker("two")
    pipeline.gate()
    orders, [rest] = parts(world, 1)
    publish(pipeline, orders)
    pipeline.ready(workers=2, gates=1)
    pipeline.drained()
    publish(pipeline, rest)
    found = settled(pipeline, world)
    assert against_the_truth(found, world) == []
    assert against(found, by_one, "one worker") == []


@pytest.mark.parametrize("workers", [2, 3])
def test_nothing_published_while_workers_share_out_is_left_unread(pipeline: Pipeline, workers: int) -> None:
    """Faust throws away what it has fetched in a rebalance, and has no committed offset to go back to at first."""
    expected, sends = set(), []
    for number in range(workers):
        pipeline.worker(f"worker-{number}")
    # From here on the broker has shared out the partitions, and the workers are about to find out.
    pipeline.ready(workers=workers)
    for row in range(12):
        subject, at = f"S{row}", ago(60)
        sends.append(pipeline.send("orders", order(subject, tag=f"TAG-{subject}")))
        sends.append(pipeline.send("sightings", tag_fix(f"TAG-{subject}", at)))
        expected.add(Fact(subject, f"O-{subject}", "T1", "confirmed", at, None))
    for send in sends:
        send.get(30)
    pipeline.until_facts(expected)
    pipeline.drained()


def test_ten_kills_lose_nothing_and_double_nothing(pipeline: Pipeline, by_one: Came, world: SimulatedWorld) -> None:
    outputs = pipeline.outputs
    rng = Random(SEED)
    worker = pipeline.worker("mortal")
    pipeline.gate()
    lives = [0]
    orders, rest = parts(world, KILLS)
    publish(pipeline, orders)
    pipeline.ready(workers=1, gates=1)
    pipeline.drained()
    store = pipeline.settings.data_dir / "workers" / "mortal"
    for number, part in enumerate(rest):
        publish(pipeline, part)
        # In mid-flow: some of what this part, or an earlier one, makes has come out, and not all.
        seen, more = written(outputs), rng.randint(1, 60)
        pipeline.until(lambda: written(outputs) >= seen + more, f"{more} more outputs before kill {number + 1}")  # noqa: B023
        worker.kill()
        pipeline.caught_up()
        lives.append(len(outputs.records["subject-events"]))
        if number % 3 == 2:
            assert store.is_dir()
            rmtree(store)
        worker = pipeline.worker("mortal")
    found = settled(pipeline, world)
    assert against_the_truth(found, world) == []
    assert against(found, by_one, "one worker") == []
    worker.stop()
    pipeline.caught_up()

    assert not skipped(outputs, lives)
    assert against_its_log(outputs, pipeline.settings.policy_file) == []


def written(outputs: Outputs) -> int:
    return sum(len(outputs.records[name]) for name in ("subject-events", "audit", "alerts", "arrest-tasks"))


def skipped(outputs: Outputs, lives: list[int]) -> list[str]:
    """Messages that a life of the worker passed over: later ones of their partition went on, they did not.

    Told by what went from one partition to one partition, which keeps its order; held events go their own way.
    """

    def origin(body: dict[str, Any]) -> tuple[str, int, int]:
        return body["topic"], body["partition"], body["offset"]

    held = {origin(orjson.loads(r.value)) for r in outputs.records["unresolved"] if r.value is not None}
    went = []
    ways: dict[tuple[str, int, int], set[int]] = defaultdict(set)
    for record in outputs.records["subject-events"]:
        topic, partition, offset = origin(orjson.loads(record.value)["routing"])
        way = (topic, partition, record.partition)
        went.append((record.offset, way, offset))
        if topic != "deadlines" and (topic, partition, offset) not in held:
            ways[way].add(offset)
    found = []
    for life, (begin, end) in enumerate(pairwise([*lives, len(went)]), start=1):
        seen: dict[tuple[str, int, int], set[int]] = defaultdict(set)
        for _, way, offset in sorted(went[begin:end]):
            if offset in ways[way]:
                missing = {other for other in ways[way] if min(seen[way], default=offset) < other < offset} - seen[
                    way
                ]
                found += [f"life {life}: {way} {other}" for other in sorted(missing)]
                seen[way] |= {offset, *missing}
    return found


@pytest.fixture
def pipeline(pipeline_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    """A gate and a worker, quick to commit and to see each other end."""
    with running(quick(pipeline_settings), tmp_path / "logs") as started:
        yield started
