"""The commands of publishers, controllers and operators, on a real Kafka and, where it takes one, a real worker."""

import json
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from harness import Pipeline, Run, ago, order, report, runner

from schemas.internal import DeadLetterHeaders
from streams.kafka.cluster import Cluster
from streams.kafka.sending import Outgoing, send_all
from streams.kafka.topics import BY_NAME, full_name
from streams.settings import Settings


@pytest.fixture
def run(
    module_pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """The command, on the pipeline that the tests of this module share."""
    return runner(module_pipeline_settings, monkeypatch, capsysbinary)


@pytest.fixture
def alone(
    pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    """The command, on topics that are this test's alone, and that no worker reads."""
    return runner(pipeline_settings, monkeypatch, capsysbinary)


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


def objects(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def hand_made(settings: Settings, value: bytes, reason: str | None, offset: int = 41) -> str:
    """A dead letter of `breach-reports`, without headers if it has no reason; where it lies."""
    assert settings.bootstrap_servers is not None
    headers: Sequence[tuple[str, bytes]] = ()
    if reason is not None:
        headers = DeadLetterHeaders(
            reason=reason,
            detail=f"detail of {offset}",
            topic="breach-reports",
            partition=3,
            offset=offset,
            appended_at=ago(60),
        ).to_kafka()
    letter = Outgoing(full_name(settings, "dead-letters"), b"hash", value, tuple(headers))
    (sent,) = send_all(Cluster(settings.bootstrap_servers), [letter])
    return f"{sent.partition}:{sent.offset}"


def test_publish_acknowledges_every_event_and_tail_shows_them_as_they_were_sent(alone: Run, tmp_path: Path) -> None:
    events = [report(f"O-{number}", ago(1)) for number in range(30)]
    code, out, err = alone("publish", "breach-reports", lines(tmp_path / "events", *events))
    assert (code, err) == (0, "")
    head, *partitions = out.splitlines()
    assert head.startswith("30 events acknowledged on ")
    code, out, err = alone("tail", "breach-reports", "--json", "--from-beginning", "--until-idle", "0.5")
    assert (code, err) == (0, "")
    found = objects(out)
    assert sorted(str(each["value"]) for each in found) == sorted(map(str, events))
    placed: dict[int, list[int]] = {}
    for each in found:
        assert set(each) == {"topic", "partition", "offset", "timestamp", "key", "headers", "value"}
        assert len(str(each["key"])) == 32
        placed.setdefault(each["partition"], []).append(each["offset"])
    assert partitions == [
        f"  partition {number}: offsets {min(offsets)} to {max(offsets)}"
        for number, offsets in sorted(placed.items())
    ]
    assert len(placed) > 1
    _, out, _ = alone("tail", "breach-reports", "--json", "--from-beginning", "--max", "3")
    assert len(objects(out)) == 3


def test_publish_without_checks_sends_bytes_as_they_are(alone: Run, tmp_path: Path) -> None:
    assert alone("publish", "orders", lines(tmp_path / "odd", "{{{", '{"a": 1}'), "--no-validate")[0] == 0
    _, out, _ = alone("tail", "orders", "--json", "--from-beginning", "--until-idle", "0.5")
    found = objects(out)
    assert [each["key"] for each in found] == [None, None]
    assert {each.get("value_base64") or str(each["value"]) for each in found} == {"e3t7", "{'a': 1}"}
    _, out, _ = alone("tail", "orders", "--from-beginning", "--until-idle", "0.5")
    assert "{{{" in out

    code, _, err = alone("publish", "subject-events", lines(tmp_path / "event", '{"subject_id": "S1"}'))
    assert (code, "is not an inbound topic" in err) == (1, True)
    code, _, _ = alone("publish", "subject-events", str(tmp_path / "event"), "--no-validate")
    assert code == 0
    _, out, _ = alone("tail", "subject-events", "--json", "--from-beginning", "--until-idle", "0.5")
    assert [each["key"] for each in objects(out)] == ["S1"]


def test_publish_says_that_a_message_is_too_large_and_that_no_broker_answers(
    alone: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The broker measures the batch around the value: only it can tell that this one is too large.
    just_over = lines(tmp_path / "large", "x" * BY_NAME["orders"].max_message_bytes)
    code, _, err = alone("publish", "orders", just_over, "--no-validate")
    assert (code, "it is larger than" in err) == (1, True)
    code, _, err = alone("publish", "orders", just_over)
    assert (code, "line 1: too_large" in err) == (1, True)

    monkeypatch.setenv("BREACHWATCH_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    good = lines(tmp_path / "events", report("O-1", ago(1)))
    for words in (("publish", "breach-reports", good), ("tail", "orders"), ("dead-letters", "list")):
        code, _, err = alone(*words)
        assert (code, "no Kafka answers at 127.0.0.1:1" in err) == (1, True)
        assert "Traceback" not in err


def test_tail_ends_cleanly_on_ctrl_c(alone: Run, tmp_path: Path) -> None:
    assert alone("publish", "breach-reports", lines(tmp_path / "events", report("O-1", ago(1))))[0] == 0
    words = [
        sys.executable,
        "-c",
        "from streams.cli import main; main()",
        "tail",
        "breach-reports",
        "--from-beginning",
    ]
    # A shell that starts the tests in the background has SIGINT ignored, which a child inherits.
    listening = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, text=True, preexec_fn=listening, **pipes) as tailing:
        try:
            assert tailing.stdout is not None
            assert "breach_report" in tailing.stdout.readline()
            tailing.send_signal(signal.SIGINT)
            out, err = tailing.communicate(timeout=30)
        finally:
            tailing.kill()
    assert (tailing.returncode, out, err) == (0, "", "")


def test_dead_letters_are_listed_newest_first_and_never_with_their_payload(
    alone: Run, pipeline_settings: Settings
) -> None:
    payload = b'{"name": "Mrs Secret"}'
    # Each is sent over a connection of its own, which takes milliseconds: no two have the same stamp.
    reasons = ("not_json", "invalid_field", None, "not_json")
    made = [hand_made(pipeline_settings, payload, reason, number) for number, reason in enumerate(reasons)]
    code, out, _ = alone("dead-letters", "list", "--json")
    assert (code, [each["place"] for each in objects(out)]) == (0, made[::-1])
    newest, unreadable, *_ = objects(out)
    assert (newest["reason"], newest["detail"], newest["offset"]) == ("not_json", "detail of 3", 3)
    assert unreadable == {"place": made[2], "bytes": len(payload)}
    assert "Secret" not in out

    code, out, _ = alone("dead-letters", "list", "--reason", "not_json", "--limit", "1")
    assert (code, out.splitlines()[0].split()[0]) == (0, made[3])
    assert "detail of 3" in out
    assert out.splitlines()[-1] == "2 dead letters, 1 shown"
    for words in ((), ("--json",)):
        code, out, _ = alone("tail", "dead-letters", "--from-beginning", "--until-idle", "0.5", *words)
        assert (code, len(out.splitlines()), "Secret" in out) == (0, 4, False)
    _, out, _ = alone("tail", "dead-letters", "--from-beginning", "--max", "1", "--json", "--show-payload")
    assert objects(out)[0]["value"] == {"name": "Mrs Secret"}


def test_who_looked_at_a_dead_letter_and_who_forced_it_is_audited(
    alone: Run, pipeline_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = hand_made(pipeline_settings, b"{{{", "not_json")
    monkeypatch.setenv("LOGNAME", "somebody-else")
    code, out, err = alone("dead-letters", "show", place, "--reason-for-access", " ")
    assert (code, out, "say with --reason-for-access" in err) == (1, "", True)
    code, out, _ = alone("dead-letters", "show", place, "--reason-for-access", "the sender asks")
    assert (code, out) == (0, "{{{\n")

    code, _, err = alone("dead-letters", "replay", place, "--value-file", str(tmp_path / "missing"))
    assert (code, "No such file" in err) == (1, True)
    mended = lines(tmp_path / "mended", {"type": "ufo"})
    code, _, err = alone("dead-letters", "replay", place, "--value-file", mended)
    assert (code, "it would come back: unknown_type" in err) == (1, True)
    large = lines(tmp_path / "large", report("O-1", ago(1), description="x" * 19_000))
    monkeypatch.setenv("BREACHWATCH_MAX_MESSAGE_BYTES", "10000")
    code, _, err = alone("dead-letters", "replay", place, "--value-file", large)
    assert (code, "it would come back: too_large" in err) == (1, True)
    _, out, _ = alone("tail", "breach-reports", "--json", "--from-beginning", "--until-idle", "0.5")
    assert out == ""

    code, out, _ = alone("dead-letters", "replay", place, "--force")
    assert (code, "in place of breach-reports/3/41" in out) == (0, True)
    _, out, _ = alone("tail", "breach-reports", "--json", "--from-beginning", "--until-idle", "0.5")
    (sent,) = objects(out)
    assert (sent["value_base64"], sent["headers"]) == ("e3t7", {"bw-replay-of": "breach-reports/3/41"})

    _, out, _ = alone("tail", "audit", "--json", "--from-beginning", "--until-idle", "0.5")
    entries = [each["value"] for each in objects(out)]
    who = pwd.getpwuid(os.getuid()).pw_name
    assert [(e["decision"], e["subject_id"], e["event_id"], e["reasons"]) for e in entries] == [
        ("payload_viewed", "-", "breach-reports/3/41", [f"by {who}: the sender asks"]),
        ("dead_letter_replayed", "-", "breach-reports/3/41", [f"by {who}: as it was, forced although not_json"]),
    ]


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
