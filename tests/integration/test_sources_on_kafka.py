"""What a sender sees of its events, and what becomes of a source that is silent or switched off."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import orjson
import pytest
from harness import Pipeline, Run, ago, changed_policy, event, order, quick, report, runner, running, tag_fix

from streams.settings import Settings


@pytest.fixture(scope="module")
def pipeline(module_pipeline_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    directory = tmp_path_factory.mktemp("sources")
    policy = changed_policy(directory, "heartbeat_grace_s = 30", "heartbeat_grace_s = 1")
    with running(
        quick(module_pipeline_settings, policy_file=policy, dead_letters_per_minute=3), directory / "logs"
    ) as started:
        started.worker()
        started.ready()
        yield started


@pytest.fixture
def run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return runner(pipeline.settings, monkeypatch, capsysbinary)


def of_source(name: str, body: dict[str, Any]) -> dict[str, Any]:
    return body | {"source": name}


def status_of(pipeline: Pipeline, run: Run, source: str) -> dict[str, Any]:
    """As soon as the workers have said it."""
    code, out, _ = run("sources", "status", source, "--json")
    assert code == 0
    return orjson.loads(out.splitlines()[-1]) if out.startswith("{") else {"outcomes": {}, "reasons": {}}


def test_a_sender_sees_what_became_of_its_events(pipeline: Pipeline, run: Run) -> None:
    fix = of_source("tags/a", tag_fix("TAG-A"))
    bad = of_source("tags/a", tag_fix("TAG-A"))
    del bad["data"]["device_id"]
    pipeline.publish("orders", order("SA", tag="TAG-A"))
    pipeline.drained()
    pipeline.publish("sightings", fix, fix, bad, of_source("tags/a", tag_fix("TAG-NOBODY")))
    wanted = {"resolved": 2, "duplicate": 1, "dead_letter": 1, "unresolved": 1}
    found = pipeline.until(
        lambda: (f := status_of(pipeline, run, "tags/a"))["outcomes"] == wanted and f,
        lambda: f"{wanted}, not {status_of(pipeline, run, 'tags/a')}",
    )
    assert found["reasons"] == {"invalid_field": 1}
    assert found["newest_dead_letter"]["detail"] == "not a valid tag_fix: data.device_id: Field required"
    code, out, _ = run("sources", "status")
    assert (code, "tags/a: " in out, "test/order: 1 resolved" in out) == (0, True, True)
    assert "invalid_field" in run("dead-letters", "list", "--source", "tags/a")[1]


def test_a_source_that_is_switched_off_stops_nobody_else_and_loses_nothing(pipeline: Pipeline, run: Run) -> None:
    """Also where there are so many of its messages that most are only counted."""
    subjects = [f"SB{number}" for number in range(8)]
    pipeline.publish("orders", *map(order, subjects), order("SC"))
    pipeline.drained()
    assert run("sources", "off", "reports/b", "--reason", "its clock is a year off")[0] == 0
    pipeline.until(
        lambda: [e for e in pipeline.outputs.audits() if e.decision == "source_switched_off"], "the audit entry"
    )

    def refused() -> int:
        letters = [letter.headers for letter in pipeline.outputs.dead_letters()]
        return sum(letter.count for letter in letters if letter.reason == "source_off")

    def refused_at_last() -> int:
        pipeline.publish("breach-reports", of_source("reports/b/7", report("O-SNOBODY")))
        pipeline.drained()
        return refused()

    # A worker knows it a moment after the command has ended.
    before = pipeline.until(refused_at_last, "the source is off")
    pipeline.publish("breach-reports", *(of_source("reports/b/7", report(f"O-{subject}")) for subject in subjects))
    pipeline.publish("breach-reports", of_source("reports/c", report("O-SC")))
    pipeline.until(lambda: pipeline.outputs.tasks_of("SC"), "others go on")
    pipeline.drained()
    assert refused() == before + len(subjects)
    assert pipeline.outputs.tasks_of("SB0") == []
    assert run("sources", "on", "reports/b", "--reason", "mended")[0] == 0
    listed = run("dead-letters", "list", "--source", "reports/b/7", "--json")[1]
    letters = [orjson.loads(line) for line in listed.splitlines()]
    assert max(letter["count"] for letter in letters) > 1, "some are only counted"

    def replayed() -> bool:
        for letter in letters:
            run("dead-letters", "replay", letter["place"])
        pipeline.drained()
        return all(pipeline.outputs.tasks_of(subject) for subject in subjects)

    # Each letter is a command, some seconds where two files of tests run.
    pipeline.until(replayed, "what came meanwhile is taken once the source is on", 180)


def test_a_source_that_falls_silent_is_an_alert_and_so_is_what_it_missed(pipeline: Pipeline) -> None:
    def beat(sequence: int, next_due_s: float, at_s: float) -> dict[str, Any]:
        at = ago(at_s)
        due = (at + timedelta(seconds=next_due_s)).isoformat()
        return of_source("tags/d", event("source_heartbeat", at, sequence=sequence, next_due=due))

    def alerted(kind: str) -> list[Any]:
        return [a for a in pipeline.outputs.alerts() if a.kind == kind and "tags/d" in a.text]

    pipeline.publish("source-heartbeats", beat(1, 60, 2))
    pipeline.publish("source-heartbeats", beat(4, 1, 0.5))
    [gap] = pipeline.until(lambda: alerted("source_gap"), "the gap")
    assert "heartbeats 2 to 3" in gap.text
    pipeline.until(lambda: alerted("source_silent"), "the silence")
    pipeline.publish("source-heartbeats", beat(5, 60, 0))
    pipeline.until(lambda: alerted("source_back"), "it is back")
