"""A controller's and a night clerk's terminal, on a real Kafka and a real worker."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Pipeline, Run, runner

from schemas.tasks import ArrestTask
from streams.kafka.cluster import Cluster
from streams.kafka.sending import Outgoing, send_all
from streams.kafka.topics import full_name
from streams.settings import Settings


@pytest.fixture(scope="module")
def pipeline(module_pipeline: Pipeline) -> Iterator[Pipeline]:
    module_pipeline.worker()
    module_pipeline.ready(workers=1)
    yield module_pipeline
    for process in module_pipeline.processes:
        process.stop()


@pytest.fixture
def run(
    module_pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """The command, used by `op-7`."""
    call = runner(module_pipeline_settings, monkeypatch, capsysbinary)
    monkeypatch.setenv("BREACHWATCH_ACTOR", "op-7")
    return call


def task_of(pipeline: Pipeline, subject: str) -> ArrestTask:
    def opened() -> list[ArrestTask]:
        return pipeline.outputs.tasks_of(subject)

    return pipeline.until(opened, f"a task for {subject}")[-1]


def test_from_a_paper_copy_at_three_in_the_morning_to_a_closed_task(pipeline: Pipeline, run: Run) -> None:
    code, out, err = run(
        "orders", "add", "--subject", "N1", "--no-contact", "--zone", "51.5,-0.1,500", "--plate", "AB12CDE",
        "--protects", "P-N1", "--made", "2026-11-24 15:00", "--force", "Test Force",
    )  # fmt: skip
    assert (code, err) == (0, "")
    assert "not stated: court" in out
    assert "--version 2" in out
    code, out, err = run(
        "reports", "add", "--nature", "contact", "--reported-by", "protected_person", "--subject", "N1"
    )
    assert (code, err) == (0, "")
    task = task_of(pipeline, "N1")
    flags = [alert.text for alert in pipeline.outputs.alerts() if alert.subject_id == "N1"]
    assert any("entered by hand" in text for text in flags), "what is missing is said"

    code, out, _ = run("tasks", "list")
    assert code == 0
    assert "contact" in out
    assert "(NOBODY)" in out
    code, out, _ = run("tasks", "show", task.task_id[:8])
    assert code == 0
    assert "P-N1" in out

    code, out, err = run("tasks", "ack", task.task_id[:8], "--role", "controller")
    assert (code, out, err) == (0, f"accepted: task {task.task_id} is acknowledged\n", "")
    code, out, err = run("tasks", "ack", task.task_id, "--role", "controller")
    assert (code, out) == (1, "")
    assert err.startswith("refused: ")
    assert run("tasks", "assign", task.task_id, "Car 7", "--role", "controller")[0] == 0
    assert run("tasks", "link", task.task_id, "TF/2026/117", "--role", "dispatch")[0] == 0
    assert run("tasks", "en-route", task.task_id, "--role", "officer")[0] == 0

    code, out, _ = run("tasks", "handover", "--since", "12h")
    assert code == 0
    assert "Car 7" in out
    code, out, err = run("tasks", "close", task.task_id, "--role", "controller", "--outcome", "no_trace")
    assert (code, out) == (1, "")
    assert "supervisor" in err
    code, _, err = run("tasks", "close", task.task_id, "--role", "supervisor")
    assert code == 1
    assert "outcome" in err
    code, out, _ = run("tasks", "close", task.task_id, "--role", "supervisor", "--outcome", "no_trace")
    assert (code, out) == (0, f"accepted: task {task.task_id} is closed\n")
    code, _, err = run("tasks", "ack", task.task_id, "--role", "supervisor")
    assert code == 1
    assert "closed" in err
    [closed] = pipeline.outputs.tasks_of("N1") if pipeline.caught_up() is None else []
    assert (closed.state, closed.outcome, closed.incidents) == ("closed", "no_trace", ["TF/2026/117"])
    assert closed.task_id not in run("tasks", "list")[1]
    assert "closed" in run("tasks", "list", "--all")[1]


def test_an_exercise_is_listed_apart(pipeline: Pipeline, run: Run) -> None:
    assert run("orders", "add", "--subject", "N2", "--no-contact", "--exercise")[0] == 0
    report = ("reports", "add", "--nature", "contact", "--reported-by", "witness", "--subject", "N2", "--exercise")
    assert run(*report)[0] == 0
    task = task_of(pipeline, "exercise/N2")
    assert task.exercise
    live = run("tasks", "list")[1]
    assert task.task_id[:8] not in live
    assert "exercise tasks are not shown" in live
    assert task.task_id[:8] in run("tasks", "list", "--exercise")[1]
    assert run("tasks", "ack", task.task_id, "--role", "controller")[0] == 0


def test_what_is_wrong_is_said_and_nothing_is_sent(pipeline: Pipeline, run: Run, tmp_path: Path) -> None:
    for words, said in (
        (("tasks", "show", "no-such-task"), "no-such-task"),
        (("tasks", "ack", "no-such-task", "--role", "controller"), "no-such-task"),
        (("orders", "add", "--subject", "N3"), "forbids"),
        (("orders", "add", "--subject", "N3", "--zone", "51.5,-0.1"), "--zone"),
        (("reports", "add", "--nature", "contact", "--reported-by", "witness"), "who is meant"),
        (("reports", "add", "--nature", "nonsense", "--reported-by", "witness", "--subject", "N3"), "nature"),
    ):
        code, out, err = run(*words)
        assert (code, out) == (1, ""), words
        assert said in err
        assert "Traceback" not in err


def test_without_a_worker_the_command_says_that_nobody_answered(pipeline: Pipeline, run: Run) -> None:
    assert run("orders", "add", "--subject", "N4", "--no-contact")[0] == 0
    assert run("reports", "add", "--nature", "contact", "--reported-by", "witness", "--subject", "N4")[0] == 0
    task = task_of(pipeline, "N4")
    pipeline.drained()
    pipeline.processes[0].stop()
    code, out, err = run("tasks", "ack", task.task_id, "--role", "controller", "--wait", "0.5")
    assert (code, out) == (2, "")
    assert "the update is in the log and will be applied" in err
    pipeline.worker()
    pipeline.until(lambda: task_of(pipeline, "N4").state == "acknowledged", "the next worker applies it")


def test_a_task_that_this_version_cannot_read_is_said(
    pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert pipeline_settings.bootstrap_servers is not None
    newer = Outgoing(full_name(pipeline_settings, "arrest-tasks"), b"t1", b'{"task_id": "t1", "schemaversion": 9}')
    send_all(Cluster(pipeline_settings.bootstrap_servers), [newer])
    code, out, err = runner(pipeline_settings, monkeypatch, capsysbinary)("tasks", "list")
    assert (code, out) == (1, "")
    assert "arrest-tasks holds what this version cannot read" in err
    assert "Traceback" not in err
