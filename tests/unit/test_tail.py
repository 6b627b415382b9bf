"""How `breachwatch tail` and `dead-letters list` show a message."""

import base64
from types import SimpleNamespace
from typing import Any

import orjson
import pytest
from builders import NOW, Subject, after, fix, order

from schemas.internal import DeadLetterHeaders
from schemas.tasks import Alert, ArrestTask
from streams.cli import dead_letters, tail

HEADERS = DeadLetterHeaders(
    reason="invalid_field", detail="time: no offset", topic="breach-reports", partition=3, offset=41, appended_at=NOW
)


def message(value: bytes | None, headers: Any = (), key: bytes | None = b"k") -> SimpleNamespace:
    """A record as kafka-python hands it out, appended at NOW."""
    stamp_ms = int(NOW.timestamp() * 1000)
    return SimpleNamespace(
        topic="t-x", partition=2, offset=7, timestamp=stamp_ms, key=key, value=value, headers=headers
    )


@pytest.fixture
def task() -> ArrestTask:
    """The task of a tag fix in a zone."""
    return Subject(order(), fix(NOW), fix(after(30))).task


def test_a_task_says_what_was_breached_how_sure_by_when_and_where_last(task: ArrestTask) -> None:
    shown = tail.as_text("arrest-tasks", message(task.model_dump_json().encode()), after(30 + 185))
    head, *rest = shown.splitlines()
    assert head.startswith(f"{task.grade.upper()} ({task.priority.score}) open: ")
    assert "[S1], act by " in head
    assert f"{task.deadline:%H:%M:%S}Z" in head
    (breach,) = task.breaches
    assert any(f"{breach.certainty}: {breach.reason}" in line for line in rest)
    assert any("last seen 3 min ago" in line and "tag_fix" in line for line in rest)
    assert len([line for line in rest if line.startswith("  ! ")]) == len(task.flags)


def test_a_task_of_an_exercise_says_so_first(task: ArrestTask) -> None:
    shown = tail.task_text(task.model_copy(update={"exercise": True, "warnings": ["carries_weapons"]}), NOW)
    assert shown.startswith("EXERCISE ")
    assert "WARNING: carries weapons" in shown


def test_alerts_and_audit_entries_are_one_line() -> None:
    subject = Subject(order(), fix(NOW), fix(after(30)))
    alert, entry = subject.alerts[0], subject.audits[-1]
    shown = tail.as_text("alerts", message(alert.model_dump_json().encode()), NOW)
    assert shown.startswith(f"08:00:00 {alert.severity.upper():8} {alert.kind} [S1]: {alert.text}")
    shown = tail.as_text("audit", message(entry.model_dump_json().encode()), NOW)
    assert shown.startswith(f"08:00:00 S1 {entry.decision} ({entry.event_type}): ")


@pytest.mark.parametrize("topic", ["arrest-tasks", "alerts", "audit", "orders"])
@pytest.mark.parametrize(
    ("value", "shown"), [(None, "(null)"), (b"", ""), (b"{}", "{}"), (b"\xffx", "\N{REPLACEMENT CHARACTER}x")]
)
def test_what_is_not_of_our_making_is_shown_as_it_is(topic: str, value: bytes | None, shown: str) -> None:
    assert tail.as_text(topic, message(value), NOW) == f"08:00:00 2:7 {shown}"


def test_a_senders_control_characters_never_reach_the_terminal() -> None:
    assert "\x1b" not in tail.as_text("orders", message(b"\x1b[2Jgone\r"), NOW)
    alert = Alert(alert_id="a1", kind="new_task", severity="high", at=NOW, text="name \x1b]0;title\x07 \x9b1m end")
    shown = tail.as_text("alerts", message(alert.model_dump_json().encode()), NOW)
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)
    assert shown.endswith(" end")


def test_json_holds_everything_and_parses_the_value() -> None:
    assert tail.as_object(message(b'{"a": [1, null]}', [("traceparent", b"00-1"), ("empty", None)])) == {
        "topic": "t-x",
        "partition": 2,
        "offset": 7,
        "timestamp": "2026-11-25T08:00:00Z",
        "key": "k",
        "headers": {"traceparent": "00-1", "empty": ""},
        "value": {"a": [1, None]},
    }
    assert tail.as_object(message(None, None, key=None))["value"] is None


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\xfe", b"NaN", b"[" * 500 + b"]" * 500])
def test_a_value_that_is_not_json_or_cannot_be_written_again_is_base64(value: bytes) -> None:
    shown = tail.as_object(message(value))
    assert base64.b64decode(shown["value_base64"]) == value
    assert "value" not in shown
    assert orjson.dumps(shown)


def test_a_dead_letter_is_shown_by_its_headers_alone() -> None:
    letter = message(b'{"name": "Mrs Secret"}', HEADERS.to_kafka())
    shown = tail.as_text("dead-letters", letter, NOW)
    assert shown == "08:00:00 2:7 invalid_field (breach-reports/3/41): time: no offset"
    hidden = tail.as_object(letter, hide_value=True)
    assert not {"value", "value_base64"} & hidden.keys()
    assert hidden["headers"]["bw-reason"] == "invalid_field"
    for text in (dead_letters.as_text(letter), orjson.dumps(dead_letters.as_object(letter)).decode()):
        assert "Secret" not in text
        assert "time: no offset" in text
    assert dead_letters.as_object(letter) == {"place": "2:7", "bytes": 22, **HEADERS.model_dump(mode="json")}


@pytest.mark.parametrize(
    "headers",
    [
        None,
        [],
        [("bw-reason", b"\xff")],
        [(name, None) for name, _ in HEADERS.to_kafka()],
        [*HEADERS.to_kafka(), ("bw-surprise", b"x")],
    ],
)
def test_a_dead_letter_without_readable_headers_is_said_to_be_so(headers: Any) -> None:
    letter = message(b"Mrs Secret", headers)
    assert tail.as_text("dead-letters", letter, NOW) == "08:00:00 2:7 (its headers are not readable)"
    assert dead_letters.as_text(letter) == "2:7  its headers are not readable, 10 bytes"
    assert dead_letters.as_object(letter) == {"place": "2:7", "bytes": 10}
