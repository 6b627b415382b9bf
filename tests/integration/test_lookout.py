"""The lookout on a real Kafka: what it says of workers that stand still, of tasks and of dead letters."""

import json
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from harness import (
    Pipeline,
    Process,
    Run,
    ago,
    changed_policy,
    event,
    eventually,
    order,
    quick,
    report,
    runner,
    running,
    task_update,
)
from kafka import TopicPartition
from test_metrics import scrape

from streams.contract import outbound
from streams.core.open_tasks import STATES
from streams.core.policy import load_policy
from streams.kafka import admin, local
from streams.kafka.access import GATES, WORKERS
from streams.kafka.client import connect
from streams.kafka.local import free_ports
from streams.kafka.topics import INGESTED, full_name
from streams.lookout.lag import readers
from streams.settings import Settings

READ_BY_WORKERS = (*INGESTED, "subject-events")


class Lookout:
    """One that runs on a pipeline, and what it shows."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.port = free_ports(1)[0]
        self._pipeline = pipeline
        self.process: Process = pipeline.run(
            "lookout",
            settings=pipeline.settings.model_copy(update={"metrics_port": self.port, "canary_interval_s": 0.0}),
        )
        self.until(lambda: self.wrong() == {}, "the lookout is ready")

    def shown(self, name: str, **labels: str) -> dict[tuple[str, ...], float]:
        """Values of the other labels, in the order of their names -> value, of the series that have these labels."""
        found = {}
        for series, value in scrape(self.port).items():
            metric, _, rest = series.partition("{")
            its = dict(sorted(pair.split("=", 1) for pair in rest.rstrip("}").replace('"', "").split(",") if pair))
            if metric == f"breachwatch_{name}" and labels.items() <= its.items():
                found[tuple(value for label, value in its.items() if label not in labels)] = value
        return found

    def wrong(self) -> Mapping[str, str] | None:
        """What it says of its readiness; None while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=5) as answer:
                return dict(json.load(answer)["wrong"])
        except urllib.error.HTTPError as error:
            return dict(json.load(error)["wrong"])
        except OSError:
            return None

    def until(self, condition: Callable[[], object], what: str) -> None:
        self._pipeline.until(condition, lambda: f"{what}\n{self.process.tail()}")

    def lag(self, group: str) -> float:
        """Messages of all its topics."""
        return sum(self.shown("lag_messages", group=group).values())

    def oldest(self, group: str) -> float:
        """Seconds."""
        return max(self.shown("lag_seconds", group=group).values())

    def stop(self) -> None:
        self.process.stop()


@pytest.fixture
def lookout(pipeline: Pipeline) -> Iterator[Lookout]:
    found = Lookout(pipeline)
    yield found
    found.stop()


@pytest.fixture
def run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return runner(pipeline.settings, monkeypatch, capsysbinary)


def test_lag_of_workers_that_do_not_run_shows_in_messages_and_seconds(pipeline: Pipeline, lookout: Lookout) -> None:
    assert lookout.shown("group_members") == {(WORKERS,): 0, (GATES,): 0}
    pipeline.publish("orders", order("S1"), order("S2"), partition=2)
    pipeline.publish("breach-reports", report("O-S1"))
    published = time.time()
    lookout.until(lambda: lookout.lag(WORKERS) == 3, "three messages that nobody has committed")
    behind = {where for where, messages in lookout.shown("lag_messages", group=WORKERS).items() if messages}
    assert ("2", "orders") in behind
    every = {(str(number), topic) for topic in READ_BY_WORKERS for number in range(4)}
    assert lookout.shown("lag_messages", group=WORKERS).keys() == every
    assert lookout.shown("lag_seconds", group=WORKERS).keys() == every
    assert {where for where, seconds in lookout.shown("lag_seconds", group=WORKERS).items() if seconds} == behind
    lookout.until(lambda: lookout.oldest(WORKERS) > 3, "the oldest gets older")
    assert lookout.oldest(WORKERS) < time.time() - published + 5

    worker = pipeline.worker(settings=quick(pipeline.settings, session_timeout_s=20.0))
    lookout.until(lambda: lookout.lag(WORKERS) == 0 == lookout.oldest(WORKERS), "the worker has committed everything")
    lookout.until(lambda: lookout.shown("group_members")[(WORKERS,)] == 1, "one worker")

    pipeline.drained()
    worker.signal(signal.SIGSTOP)
    pipeline.publish("breach-reports", report("O-S2"))
    lookout.until(lambda: lookout.lag(WORKERS) == 1 and lookout.oldest(WORKERS) > 2, "a worker that stands still")
    worker.signal(signal.SIGCONT)
    lookout.until(lambda: lookout.lag(WORKERS) == 0, "it has gone on")
    worker.stop()
    # A static member (KIP-345) that has gone is one until its session times out.
    lookout.until(lambda: lookout.shown("group_members")[(WORKERS,)] == 0, "no worker")


def test_lag_goes_on_from_the_first_message_that_is_still_there(pipeline: Pipeline, lookout: Lookout) -> None:
    """What retention has deleted nobody can read any more: it is no lag."""

    def delete(before: int) -> None:
        with connect(admin.cluster_of(pipeline.settings)) as client:
            client.delete_records({TopicPartition(full_name(pipeline.settings, "orders"), 0): before})

    pipeline.publish("orders", order("S1"), partition=0)
    lookout.until(lambda: lookout.lag(WORKERS) == 1, "the first")
    pipeline.publish("orders", order("S2"), order("S3"), partition=0)
    delete(2)
    lookout.until(lambda: lookout.lag(WORKERS) == 1 and lookout.oldest(WORKERS) > 0, "the one that is left")
    delete(3)
    lookout.until(lambda: lookout.lag(WORKERS) == 0 == lookout.oldest(WORKERS), "nothing is left")


def test_lag_of_the_gate_and_of_adapters_once_there_are_any(pipeline: Pipeline, lookout: Lookout) -> None:
    assert {group for group, _, _ in lookout.shown("lag_messages")} == {WORKERS, GATES}
    pipeline.publish("anpr-reads", b"{", b"{")
    lookout.until(lambda: lookout.lag(GATES) == 2, "reads that no gate has committed")
    adapter = "breachwatch-adapter-cap"
    pipeline.publish("alerts", outbound()["alerts"])
    process = pipeline.run("adapters", "run", "cap")
    lookout.until(lambda: lookout.shown("group_members").get((adapter,)) == 1, "the adapter is there")
    lookout.until(lambda: lookout.lag(adapter) == 0, "it has committed the alert")
    process.stop()
    pipeline.publish("alerts", b"{")
    lookout.until(lambda: lookout.lag(adapter) == 1, "what an adapter that was here before has not read")
    assert {topic for _, topic in lookout.shown("lag_messages", group=adapter)} == {"alerts"}


def test_readers_are_the_groups_there_are() -> None:
    assert {topic for topics in readers(Settings()).values() for topic in topics} > {*READ_BY_WORKERS, "anpr-reads"}


def test_open_tasks_are_shown_by_grade_and_state_without_exercises(pipeline: Pipeline, lookout: Lookout) -> None:
    grades = [grade.name for grade in load_policy().grades]
    assert lookout.shown("open_tasks") == {(grade, state): 0 for grade in grades for state in STATES}
    pipeline.worker()
    pipeline.ready()
    pipeline.publish("orders", order("S1"), order("SX", exercise=True))
    pipeline.publish("breach-reports", report("O-S1"), report("O-SX", exercise=True))
    pipeline.until(lambda: len(pipeline.outputs.final_tasks()) == 2, "both tasks")
    [task] = pipeline.outputs.tasks_of("S1")

    def counted() -> dict[tuple[str, ...], float]:
        return {labels: count for labels, count in lookout.shown("open_tasks").items() if count}

    lookout.until(lambda: counted() == {(task.grade, "open"): 1}, "the task of the real world alone")
    lookout.until(lambda: lookout.shown("oldest_unacknowledged_task_seconds")[(task.grade,)] > 1, "it gets older")
    pipeline.publish("task-updates", task_update(task, "acknowledge"))
    lookout.until(lambda: counted() == {(task.grade, "acknowledged"): 1}, "it is acknowledged")
    for gauge in ("oldest_unacknowledged_task_seconds", "tasks_overdue"):
        lookout.until(lambda gauge=gauge: set(lookout.shown(gauge).values()) == {0}, f"{gauge} is 0")
    pipeline.publish("task-updates", task_update(task, "close", role="supervisor", outcome="no_offence"))
    lookout.until(lambda: counted() == {}, "it is over")
    pipeline.publish("arrest-tasks", b"{", key=b"foreign")
    unreadable = 'breachwatch_unreadable_total{topic="arrest-tasks"}'
    eventually(lambda: scrape(lookout.port).get(unreadable) == 1, "a message that is no task is counted")


def test_live_orders_and_silent_sources_are_counted(pipeline: Pipeline, lookout: Lookout, tmp_path: Path) -> None:
    policy = changed_policy(tmp_path, "heartbeat_grace_s = 30", "heartbeat_grace_s = 1")
    pipeline.worker(settings=pipeline.settings.model_copy(update={"policy_file": policy}))
    beat = {"sequence": 1, "next_due": ago(-1).isoformat()}
    pipeline.publish("orders", order("S1"), order("S2"), order("S3", exercise=True))
    pipeline.publish("source-heartbeats", event("source_heartbeat", **beat))
    lookout.until(lambda: lookout.shown("live_orders", kind="spo_full") == {(): 2.0}, "two orders")
    assert sum(lookout.shown("live_orders").values()) == 2
    lookout.until(lambda: lookout.shown("sources_silent") == {(): 1.0}, "the source is silent")


def test_a_dead_letter_waits_until_it_is_dismissed_or_replayed(
    pipeline: Pipeline, lookout: Lookout, run: Run, tmp_path: Path
) -> None:
    pipeline.worker()
    pipeline.ready()
    pipeline.publish("breach-reports", b"{", b"[")

    def waiting() -> dict[tuple[str, ...], float]:
        return {reason: count for reason, count in lookout.shown("dead_letters_waiting").items() if count}

    def listed(*words: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in run("dead-letters", "list", "--json", *words)[1].splitlines()]

    lookout.until(lambda: waiting() == {("not_json",): 2}, "both wait")
    lookout.until(lambda: lookout.shown("oldest_dead_letter_seconds")[("not_json",)] > 1, "they get older")
    one, other = (str(letter["place"]) for letter in listed())

    code, _, err = run("dead-letters", "dismiss", one, "--reason", " ")
    assert (code, "say with --reason" in err) == (1, True)
    code, _, err = run("dead-letters", "dismiss", one, "0:99999", "--reason", "x")
    assert (code, "there is no dead letter 0:99999" in err) == (1, True)
    assert run("dead-letters", "dismiss", one, "--reason", "the sender has sent it again")[0] == 0
    lookout.until(lambda: waiting() == {("not_json",): 1}, "one waits no more")
    assert [letter["place"] for letter in listed()] == [other]
    assert {str(letter["place"]): letter.get("handled") for letter in listed("--all")} == {
        one: "dismissed",
        other: None,
    }
    assert ", dismissed by " in run("dead-letters", "list", "--all")[1]

    mended = tmp_path / "mended"
    mended.write_text(json.dumps(report("O-S1")), "utf-8")
    assert run("dead-letters", "replay", other, "--value-file", str(mended))[0] == 0
    lookout.until(lambda: waiting() == {}, "none waits")
    lookout.until(lambda: set(lookout.shown("oldest_dead_letter_seconds").values()) == {0}, "none is old")
    assert run("dead-letters", "list")[1] == "0 dead letters\n"
    _, tailed, _ = run("tail", "dead-letters", "--from-beginning", "--until-idle", "0.5")
    assert sorted(word for line in tailed.splitlines() for word in line.split()[2:3]) == [
        "dismissed",
        "not_json",
        "not_json",
        "replayed",
    ]
    pipeline.until(lambda: len([e for e in pipeline.outputs.audits() if e.subject_id == "-"]) == 2, "the audit")
    audited = {e.decision: e.reasons for e in pipeline.outputs.audits() if e.subject_id == "-"}
    assert audited["dead_letter_dismissed"][0].endswith(": the sender has sent it again")
    assert len(pipeline.outputs.dead_letters()) == 2


def test_while_the_broker_is_away_it_says_so_once_and_sees_again_afterwards(tmp_path: Path) -> None:
    with local.running(tmp_path / "kafka") as kafka:
        settings = Settings(bootstrap_servers=kafka.bootstrap_servers, data_dir=tmp_path)
        admin.apply(admin.plan(settings))
        with running(settings, tmp_path / "logs") as pipeline:
            lookout = Lookout(pipeline)
            watched = {what for (what,) in lookout.shown("lookout_seen_timestamp_seconds")}
            assert watched == {"lag", "tasks", "dead_letters", "rows", "certificates"}
            by_kafka = watched - {"certificates"}  # without TLS there is nothing of it to see

            def seen() -> list[float]:
                found = lookout.shown("lookout_seen_timestamp_seconds")
                return [found[(what,)] for what in by_kafka]

            def said() -> list[dict[str, str]]:
                return [json.loads(line) for line in lookout.process.log.read_text().splitlines()]

            def news(event: str) -> list[str]:
                return sorted(line["watched"] for line in said()[before:] if line["event"] == event)

            before = len(said())
            local.stop(tmp_path / "kafka")
            eventually(lambda: news("lookout_blind") == sorted(by_kafka), "it says that it is blind")
            last = seen()
            eventually(lambda: time.time() - max(last) > 20, "it stays so for a while")
            assert seen() == last
            kafka.start()
            eventually(lambda: min(seen()) > max(last), "it sees again")
            assert lookout.wrong() == {}
            assert news("lookout_blind") == news("lookout_sees_again") == sorted(by_kafka)
            assert len(said()) == before + 2 * len(by_kafka), "and nothing else"
            lookout.stop()
