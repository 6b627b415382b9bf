"""The canary beside a real worker and gate: every partition is seen, a dead part is noticed, nobody is bothered."""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hurried_worker
import orjson
import pytest
from harness import Pipeline, Process, Run, eventually, quick, runner
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from streams.broker_clock import BrokerClock
from streams.core import canary as core
from streams.kafka import admin, local
from streams.kafka.client import connect
from streams.kafka.reading import newest_values, read_all
from streams.kafka.topics import full_name
from streams.lookout import canary
from streams.lookout.canary import Canary
from streams.lookout.probes import subjects
from streams.settings import Settings
from streams.verify import verify

PARTITIONS = 4
WAYS = ("sightings", "anpr")


@contextmanager
def singing(settings: Settings) -> Iterator[None]:
    """A canary that runs for the length of a block, and must not have ended by itself."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    bird = Canary(settings.model_copy(update={"canary_interval_s": 1.0}), BrokerClock())
    try:
        asyncio.run_coroutine_threadsafe(bird.start(), loop).result(10)
        yield
        assert bird.task is not None
        assert not bird.task.done(), bird.task
    finally:
        asyncio.run_coroutine_threadsafe(bird.stop(), loop).result(30)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def probes(outcome: str, way: str) -> float:
    return REGISTRY.get_sample_value("breachwatch_canary_probes_total", {"outcome": outcome, "way": way}) or 0.0


def seen() -> list[float]:
    """When each partition was last seen to work; 0: never."""
    name = "breachwatch_canary_seen_timestamp_seconds"
    return [REGISTRY.get_sample_value(name, {"partition": str(number)}) or 0.0 for number in range(PARTITIONS)]


def took(way: str) -> tuple[float, float]:
    """Seconds to the task, of all probes together, and how many those are."""
    total, count = (
        REGISTRY.get_sample_value(f"breachwatch_canary_seconds_{part}", {"way": way}) or 0.0
        for part in ("sum", "count")
    )
    return total, count


@pytest.fixture
def run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return runner(pipeline.settings, monkeypatch, capsysbinary)


def test_every_partition_is_seen_by_both_ways_and_nobody_is_bothered(pipeline: Pipeline, run: Run) -> None:
    worker, gate = pipeline.worker(), pipeline.gate()
    pipeline.ready(workers=1, gates=1)
    before = {(outcome, way): probes(outcome, way) for outcome in ("seen", "late", "lost") for way in WAYS}
    with singing(pipeline.settings):
        assert seen() == [0] * PARTITIONS, "it does not look fresh before anything has come through"
        pipeline.until(lambda: all(seen()), "each partition is seen")
        first = {way: took(way) for way in WAYS}
        # So many that each subject has gone by each inbound partition.
        pipeline.until(
            lambda: all(probes("seen", way) - before["seen", way] >= PARTITIONS**2 for way in WAYS),
            lambda: f"probes of all partitions are seen: {[(way, probes('seen', way)) for way in WAYS]}",
        )
    pipeline.drained(past_the_gate=False)
    assert {key: probes(*key) - count for key, count in before.items() if key[0] != "seen"} == {
        (outcome, way): 0 for outcome in ("late", "lost") for way in WAYS
    }

    outputs = pipeline.outputs
    came = [orjson.loads(record.value) for record in outputs.records["subject-events"]]
    arrived = {(e["subject_id"], e["routing"]["partition"]) for e in came if e["event"]["type"] == "tag_fix"}
    names = {f"exercise/{probed.name}": probed.partition for probed in subjects(PARTITIONS)}
    assert arrived == {(name, inbound) for name in names for inbound in range(PARTITIONS)}
    assert {(r.key.decode(), r.partition) for r in outputs.records["subject-events"]} == set(names.items())
    assert '"event": "task"' not in worker.log.read_text(), "no line a probe"
    for name in ("alerts", "audit", "safeguarding-tasks", "dead-letters"):
        assert outputs.records.get(name, []) == [], name
    assert all(task.exercise and core.is_canary(task.subject_id) for task in outputs.final_tasks())
    assert verify(pipeline.settings).wrong == []

    assert "no arrest task is open" in run("tasks", "list", "--exercise")[1]
    assert "exercise tasks" not in run("tasks", "list")[1]
    pipeline.until(
        lambda: "resolved" in run("sources", "status", "canary")[1], "its source has a status, if asked for"
    )
    assert "canary" not in run("sources", "status")[1]

    sent = probes("seen", "sightings") - before["seen", "sightings"]
    each = Counter[str]()
    for name in ("sightings", "anpr-reads", "subject-events", "arrest-tasks", "identifiers", "source-status",
                 "breachwatch-subjects-changelog", "breachwatch-records-changelog"):  # fmt: skip
        each[name] = sum(1 for _ in read_all(admin.cluster_of(pipeline.settings), full_name(pipeline.settings, name)))
    rows = read_all(
        admin.cluster_of(pipeline.settings), full_name(pipeline.settings, "breachwatch-subjects-changelog")
    )
    for way in WAYS:
        (total, count), (total_first, count_first) = took(way), first[way]
        mean_ms = 1000 * (total - total_first) / (count - count_first)
        print(f"{way}: {mean_ms:.0f} ms to the task, once its order is known")
    print(
        f"{sent:.0f} turns of two probes; messages a turn:", {n: round(count / sent, 2) for n, count in each.items()}
    )
    print("largest row:", max(len(record.value or b"") for record in rows), "bytes")
    for process in (worker, gate):
        process.stop()


def test_an_order_of_its_own_that_no_broker_took_is_sent_again(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its subjects would have none until tomorrow, and each partition would look dead."""
    monkeypatch.setattr(canary, "LOST_S", 5.0)
    settings = quick(pipeline.settings, send_timeout_s=2.0)
    orders = full_name(settings, "orders")
    with connect(admin.cluster_of(settings)) as client:
        client.delete_topics([orders])
        eventually(lambda: orders not in client.list_topics(), "the topic is gone")
    with capture_logs() as logs, singing(settings):
        eventually(
            lambda: any(e["event"] == "canary_not_sent" and e["topic"] == "orders" for e in logs), "it says so"
        )
        admin.apply(admin.plan(settings))
        eventually(
            lambda: len({order.key for order in read_all(admin.cluster_of(settings), orders)}) == PARTITIONS,
            "all have",
        )


def test_a_dead_worker_is_noticed_and_a_dead_gate_apart_from_it(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Probes are lost, and no partition is seen any more, until a worker is back; a dead gate loses its own alone."""
    monkeypatch.setattr(canary, "LOST_S", 5.0)
    worker, gate = pipeline.worker(), pipeline.gate()
    pipeline.ready(workers=1, gates=1)
    with capture_logs() as logs, singing(pipeline.settings):
        pipeline.until(lambda: all(seen()), "each partition is seen")
        worker.kill()
        lost = {way: probes("lost", way) for way in WAYS}
        eventually(lambda: all(probes("lost", way) > lost[way] + 4 for way in WAYS), "probes of both ways are lost")
        stood = seen()
        eventually(lambda: all(probes("lost", way) > lost[way] + 8 for way in WAYS), "more are lost")
        assert seen() == stood
        worker = pipeline.worker()
        pipeline.until(lambda: all(now > then for now, then in zip(seen(), stood, strict=True)), "it is seen again")
        # Longer than what was sent to the dead worker can still be lost.
        straight = probes("seen", "sightings")
        eventually(lambda: probes("seen", "sightings") > straight + 10, "it goes on being seen")
        gate.kill()
        lost, straight = {way: probes("lost", way) for way in WAYS}, probes("seen", "sightings")
        eventually(lambda: probes("lost", "anpr") > lost["anpr"] + 8, "probes through the gate are lost")
        assert probes("lost", "sightings") <= lost["sightings"]
        assert probes("seen", "sightings") > straight
    said = Counter((entry["event"], entry.get("way"), entry.get("partition")) for entry in logs)
    for number in range(PARTITIONS):
        assert said["canary_lost", "sightings", number] == 1, "an outage is said once"
        assert said["canary_lost_no_more", "sightings", number] == 1
    worker.stop()


def test_when_its_time_is_over_a_task_leaves_the_topic(
    pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run
) -> None:
    """Also the last, when no probe comes any more; and the topics agree all the while."""
    worker = Process(
        pipeline.settings, tmp_path / "hurried.log", "w1", program=(sys.executable, hurried_worker.__file__)
    )
    pipeline.processes.append(worker.start())
    pipeline.ready()
    tasks = pipeline.outputs.records["arrest-tasks"]
    with singing(pipeline.settings.model_copy(update={"canary_through_gate": False})):
        pipeline.until(lambda: sum(r.value is None for r in tasks) > PARTITIONS, "nulls take tasks from their topic")
    pipeline.drained()
    pipeline.until(lambda: not pipeline.outputs.final_tasks(), "no task of it is left")
    pipeline.drained()
    assert {r.key for r in tasks if r.value is None} == {r.key for r in tasks if r.value is not None}
    rows = newest_values(
        read_all(admin.cluster_of(pipeline.settings), full_name(pipeline.settings, "breachwatch-subjects-changelog"))
    )[0]
    records = newest_values(
        read_all(admin.cluster_of(pipeline.settings), full_name(pipeline.settings, "breachwatch-records-changelog"))
    )[0]
    assert {key.split(b"|")[1] for key in records} == {b"o"}, "of the records the orders alone are left"
    monkeypatch.setattr(core, "KEPT", hurried_worker.KEPT)
    found = verify(pipeline.settings)
    assert (found.wrong, found.reread) == ([], PARTITIONS)
    code, out, _ = run("tail", "arrest-tasks", "--from-beginning", "--until-idle", "1")
    assert (code, "(null)" in out) == (0, True)
    print("bytes of the rows that are left:", sorted(len(row) for row in rows.values()))
    worker.stop()


@pytest.mark.timeout(300)
def test_it_waits_for_a_broker_and_goes_on_after_one_was_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(canary, "LOST_S", 5.0)
    kafka = tmp_path / "kafka"
    local.start(kafka)
    try:
        found = local.status(kafka)
        assert found is not None
        settings = quick(
            Settings(bootstrap_servers=found.bootstrap_servers, data_dir=tmp_path, canary_through_gate=False)
        )
        admin.apply(admin.plan(settings))
        local.stop(kafka)
        with capture_logs() as logs, singing(settings):
            eventually(lambda: [e for e in logs if e["event"] == "canary_has_no_broker"], "it says so")
            assert seen() == [0] * PARTITIONS
            local.start(kafka)
            pipeline = Pipeline(settings, tmp_path / "logs")
            try:
                pipeline.worker()
                pipeline.until(lambda: all(seen()), "each partition is seen")
                for process in pipeline.processes:
                    process.stop()
                local.stop(kafka)
                lost, stood = probes("lost", "sightings"), seen()
                eventually(lambda: probes("lost", "sightings") > lost + 4, "probes are lost")
                local.start(kafka)
                pipeline.worker()
                pipeline.until(lambda: all(now > then for now, then in zip(seen(), stood, strict=True)), "seen again")
            finally:
                pipeline.close()
        said = Counter(entry["event"] for entry in logs)
        assert said["canary_has_no_broker"] == said["canary_has_no_broker_no_more"] >= 1
        assert said["canary_not_sent"] <= 2, "an outage is said once"
    finally:
        local.stop(kafka)
