"""The commands of publishers, controllers and operators, on a real Kafka and, where it takes one, a real worker."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Pipeline, ago, environment, order, report

from streams.cli import main
from streams.settings import Settings

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(
    module_pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """`breachwatch` with these words: exit code, standard output, standard error."""
    for name, value in environment(module_pipeline_settings).items():
        monkeypatch.setenv(name, value)

    def call(*words: str) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(words)
        out, err = capsysbinary.readouterr()
        return int(ended.value.code or 0), out.decode(), err.decode()

    return call


@pytest.fixture(scope="module")
def pipeline(module_pipeline: Pipeline) -> Iterator[Pipeline]:
    module_pipeline.worker()
    module_pipeline.ready(workers=1)
    yield module_pipeline
    for process in module_pipeline.processes:
        process.stop()


def lines(file: Path, *events: object) -> str:
    text = "\n".join(event if isinstance(event, str) else json.dumps(event, default=str) for event in events)
    file.write_text(text + "\n\n", "utf-8")
    return str(file)


def test_publish_sends_nothing_while_one_line_is_wrong(run: Run, tmp_path: Path) -> None:
    file = lines(tmp_path / "events", report("O-1", ago(1)), "{{{", {"type": "ufo", "name": "Mrs Secret"})
    code, _, err = run("publish", "breach-reports", file)
    assert code == 1
    assert "nothing was sent; 2 of 3 lines" in err
    assert "line 2: not_json" in err
    assert "line 3: unknown_type" in err
    assert "Secret" not in err
    _, out, _ = run("tail", "breach-reports", "--json", "--from-beginning", "--until-idle", "0.5")
    assert out == ""


def test_publish_check_and_unknown_topic(run: Run, tmp_path: Path) -> None:
    file = lines(tmp_path / "events", report("O-1", ago(1)))
    assert run("publish", "breach-reports", file, "--check")[1].startswith("1 events are valid; nothing was sent")
    code, _, err = run("publish", "unknown", file)
    assert (code, "those are: orders, breach-reports" in err) == (1, True)
    code, _, err = run("publish", "orders", str(tmp_path / "missing"))
    assert (code, "No such file" in err) == (1, True)


def test_a_dead_letter_is_listed_shown_mended_and_replayed(pipeline: Pipeline, run: Run, tmp_path: Path) -> None:
    pipeline.publish("orders", order("mended"))
    good = report("O-mended", ago(1))
    broken = {**good, "time": "2026-11-25T08:30:00"}
    file = lines(tmp_path / "broken", broken)
    assert run("publish", "breach-reports", file, "--no-validate")[0] == 0
    pipeline.until(lambda: pipeline.outputs.dead_letters(), "a dead letter")

    code, out, _ = run("dead-letters", "list", "--json")
    (letter,) = [json.loads(line) for line in out.splitlines()]
    assert (code, letter["reason"], letter["topic"]) == (0, "invalid_field", "breach-reports")
    assert "like 2026-11-25T08:30:00Z" in letter["detail"]
    place = letter["place"]

    code, out, _ = run("dead-letters", "show", place, "--reason-for-access", "test of the drill")
    assert (code, out.strip()) == (0, Path(file).read_text("utf-8").strip())

    code, _, err = run("dead-letters", "replay", place)
    assert (code, "it would come back" in err) == (1, True)
    mended = lines(tmp_path / "mended", good)
    code, out, _ = run("dead-letters", "replay", place, "--value-file", mended)
    assert (code, "in place of breach-reports/" in out) == (0, True)
    pipeline.until(lambda: pipeline.outputs.facts("mended"), "the breach of the mended report")

    viewed = [entry for entry in pipeline.outputs.audits() if entry.subject_id == "-"]
    pipeline.until(lambda: len([e for e in pipeline.outputs.audits() if e.subject_id == "-"]) >= 2, "audit entries")
    viewed = [entry for entry in pipeline.outputs.audits() if entry.subject_id == "-"]
    assert {entry.decision for entry in viewed} == {"payload_viewed", "dead_letter_replayed"}
    assert run("dead-letters", "show", "0:999999", "--reason-for-access", "x")[0] == 1


def test_a_task_is_tailed_and_explained_and_the_audit_holds(pipeline: Pipeline, run: Run) -> None:
    pipeline.publish("orders", order("explained"))
    pipeline.publish("breach-reports", report("O-explained", ago(1)))
    (task,) = pipeline.until(lambda: pipeline.outputs.tasks_of("explained"), "a task")

    code, out, _ = run("tail", "arrest-tasks", "--from-beginning", "--until-idle", "1")
    assert code == 0
    assert "explained" in out
    assert "act by" in out
    code, out, _ = run("tail", "alerts", "--json", "--from-beginning", "--max", "1")
    assert json.loads(out)["value"]["alert_id"]

    code, out, _ = run("explain", task.task_id)
    assert code == 0
    for words in (
        "priority",
        "grounds:",
        "power:",
        "evidence: breach_report",
        "what would have changed it",
        "sha256",
    ):
        assert words in out
    code, _, err = run("explain", "no-such-task")
    assert (code, "there is no task" in err) == (1, True)

    code, out, _ = run("audit", "verify")
    assert code == 0
    assert " 0 faults" in out


def test_doctor_finds_nothing_wrong_and_names_what_is(
    run: Run, module_pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, out, _ = run("doctor", "--json")
    assert code == 0, out
    assert {finding["state"] for finding in json.loads(out)} <= {"ok", "warn"}

    monkeypatch.setenv("BREACHWATCH_TOPIC_PREFX", "misspelt-")
    monkeypatch.setenv("BREACHWATCH_TOPIC_PREFIX", "nothing-here-")
    code, out, _ = run("doctor")
    assert code == 1
    assert "BREACHWATCH_TOPIC_PREFX is no setting" in out
    assert "breachwatch topics apply" in out

    monkeypatch.setenv("BREACHWATCH_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    code, out, _ = run("doctor")
    assert code == 1
    assert "127.0.0.1:1" in out
    assert "Traceback" not in out
