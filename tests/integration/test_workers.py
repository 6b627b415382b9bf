"""Workers that share the work, come and go, and die: the same breaches, none lost, none double.

One small world with all kinds of noise is published whole to one worker, to two, and to one that is killed again
and again. What comes out must be what the world's own truth says, which is computed without the core.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Any, NamedTuple

import orjson
import pytest
from harness import Fact, Outputs, Pipeline, ago, order, quick, running, tag_fix

from schemas.internal import SubjectEvent
from schemas.tasks import Alert, ArrestTask
from streams.core.assess import decide
from streams.core.policy import load_policy
from streams.core.records import Records
from streams.core.resolve import EXERCISE
from streams.core.state import SubjectState
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


def facts_of(world: SimulatedWorld) -> set[Fact]:
    return {
        Fact(b.subject_id, b.order_id, b.term_id, b.certainty, b.began_at, b.ended_at) for b in world.truth.breaches
    }


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


class Came(NamedTuple):
    """What came out of a whole run, as far as it may not differ from another run of the same world.

    Ids may: a breach is named by the event that opened it, and of the fixes of one visit any may arrive first. So
    may the task that a breach stands on, where an arrest and a breach overtake each other. And while hours of world
    time are published within seconds, what falls due by the clock differs from run to run.
    """

    facts: set[Fact]
    alerted: set[Fact]
    """The breaches that an alert was raised for."""
    counted: dict[str, int]
    """Subject -> the breaches that their tasks count."""
    read: set[str]
    """The ids of the events that went on to subjects, or are held; without plate reads, since which of them pass
    the gate depends on when an order of the same moment becomes known there."""
    dead_letters: set[tuple[str, str, bytes]]
    unreadable: Counter[str]
    """Alerts that a message without a subject raised, by kind; of the reports that were held, any number."""


def settled(pipeline: Pipeline, world: SimulatedWorld) -> Came:
    """Once the breaches are those of the truth and nothing is left to be read."""
    outputs = pipeline.outputs
    pipeline.until_facts(facts_of(world))
    pipeline.drained(past_the_gate=False)
    alerts = [repeats[0] for repeats in outputs.alerts_by_id().values()]
    alerted = {alert.breach_id for alert in alerts if alert.kind == "breach"}
    counted: Counter[str] = Counter()
    for task in outputs.final_tasks():
        counted[task.subject_id] += task.breach_count
    live = [task.subject_id for task in outputs.final_tasks() if task.state in LIVE]
    assert len(live) == len(set(live)), "one man, one car to send"
    assert {t.subject_id for t in world.truth.tasks if t.state == "open"} <= set(live), "nobody's search is lost"
    went_on = [orjson.loads(r.value)["event"] for r in outputs.records["subject-events"]]
    held = [orjson.loads(r.value)["event"] for r in outputs.records["unresolved"] if r.value is not None]
    return Came(
        outputs.facts(),
        {fact for breach_id, fact in outputs.facts_by_id().items() if breach_id in alerted},
        dict(counted),
        {
            f"{event['source']}#{event['id']}"
            for event in (*went_on, *held)
            if event["type"] not in ("deadline_due", "plate_read")
        },
        {(letter.headers.topic, letter.headers.reason, letter.value) for letter in outputs.dead_letters()},
        Counter(alert.kind for alert in alerts if alert.subject_id is None and alert.kind != "unknown_subject"),
    )


def assert_same(one: Came, other: Came) -> None:
    for name, mine, theirs in zip(Came._fields, one, other, strict=True):
        assert mine == theirs, f"{name} differs"


def assert_as_the_truth(came: Came, world: SimulatedWorld) -> None:
    truth = world.truth
    assert came.facts == facts_of(world)
    assert came.alerted == facts_of(world)
    assert came.counted == Counter(breach.subject_id for breach in truth.breaches)
    assert {(topic, reason) for topic, reason, _ in came.dead_letters} == {
        (letter.topic, letter.reason) for letter in truth.dead_letters
    }
    assert len(came.dead_letters) == len(truth.dead_letters)
    assert came.unreadable.total() >= 2


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
    assert_as_the_truth(by_one, world)


def test_two_workers_find_what_one_finds(pipeline: Pipeline, by_one: Came, world: SimulatedWorld) -> None:
    pipeline.worker("one")
    pipeline.worker("two")
    pipeline.gate()
    orders, [rest] = parts(world, 1)
    publish(pipeline, orders)
    pipeline.ready(workers=2, gates=1)
    pipeline.drained()
    publish(pipeline, rest)
    came = settled(pipeline, world)
    assert_as_the_truth(came, world)
    assert_same(came, by_one)


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
    came = settled(pipeline, world)
    assert_as_the_truth(came, world)
    assert_same(came, by_one)
    worker.stop()
    pipeline.caught_up()

    assert not skipped(outputs, lives)
    for repeats in outputs.alerts_by_id().values():
        assert len({alert.model_copy(update={"at": repeats[0].at}).model_dump_json() for alert in repeats}) == 1
    alerts, tasks = replayed(outputs, pipeline.settings.policy_file)
    of_subjects = {k: v[0] for k, v in outputs.alerts_by_id().items() if v[0].subject_id is not None}
    assert of_subjects == alerts, "the alerts are exactly those that the log, read once, brings about"
    assert {t.task_id: as_sent_again(t) for t in outputs.final_tasks()} == {
        task_id: as_sent_again(task) for task_id, task in tasks.items()
    }


def as_sent_again(task: ArrestTask) -> ArrestTask:
    """After a crash a task is sent as it stands then: a newer position may be on it."""
    return task.model_copy(update={"last_seen": None})


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


def replayed(outputs: Outputs, policy_file: Path | None) -> tuple[dict[str, Alert], dict[str, ArrestTask]]:
    """What `subject-events` brings about when it is read once, in order, by the core alone."""
    policy = load_policy(policy_file)
    rows: dict[str, str] = {}
    tables: dict[str, dict[bytes, bytes]] = {}
    alerts: dict[str, Alert] = {}
    tasks: dict[str, ArrestTask] = {}
    for record in sorted(outputs.records["subject-events"], key=lambda record: (record.partition, record.offset)):
        incoming = SubjectEvent.model_validate_json(record.value)
        subject = incoming.subject_id
        row = rows.get(subject)
        if row is None:
            state = SubjectState(subject_id=subject, exercise=subject.startswith(EXERCISE))
        else:
            state = SubjectState.model_validate_json(row)
        records = Records(subject, tables.setdefault(subject, {}), set(state.hours))
        now = datetime.fromtimestamp(record.timestamp / 1000, tz=UTC)
        effects = decide(state, records, incoming, policy, now, record.offset, record.offset)
        rows[subject] = state.model_dump_json(exclude_defaults=True)
        for alert in effects.alerts:
            alerts.setdefault(alert.alert_id, alert)
        tasks |= {task.task_id: task for task in effects.tasks}
    return alerts, tasks


@pytest.fixture
def pipeline(pipeline_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    """A gate and a worker, quick to commit and to see each other end."""
    with running(quick(pipeline_settings), tmp_path / "logs") as started:
        yield started
