"""What `breachwatch publish` checks before it sends, and the keys that it gives."""

from pathlib import Path

import orjson
import pytest
from builders import NOW, fix, order, order_ended, read, report

from schemas.base import Event
from streams.cli import main
from streams.cli.publish import MAX_SHOWN, checked, must_take, unchecked
from streams.core.keys import message_key
from streams.errors import BreachwatchError
from streams.kafka.topics import BY_NAME


def line(event: Event) -> bytes:
    return event.model_dump_json(exclude_none=True).encode()


def test_every_line_is_given_its_events_key_and_goes_as_it_was_written() -> None:
    made, ended = order(), order_ended()
    lines = [(1, line(made)), (3, line(ended) + b"  ")]
    assert checked("orders", lines) == [(b"S1", lines[0][1]), (b"S1", lines[1][1])]


@pytest.mark.parametrize(
    ("event", "secret"),
    [
        (read(NOW, vrm="AB12CDE"), b"AB12CDE"),
        (fix(NOW, device="TAG-77"), b"TAG-77"),
        (report(NOW, identifiers=[{"kind": "phone", "value": "07700900123"}]), b"07700900123"),
    ],
    ids=["plate", "tag", "telephone"],
)
def test_a_key_is_the_same_for_the_same_name_and_never_shows_it(event: Event, secret: bytes) -> None:
    key = message_key(event)
    assert secret not in key
    assert key == message_key(event.model_copy(update={"id": "another"}))


def test_each_wrong_line_is_named_with_its_reason_and_without_its_values() -> None:
    lines = [
        (1, line(order())),
        (2, b"{{{"),
        (5, line(report(NOW))),
        (6, orjson.dumps({"type": "order", "data": {"court": "Secret Court"}})),
        (7, b"\xff"),
    ]
    with pytest.raises(BreachwatchError) as refused:
        checked("orders", lines)
    said = str(refused.value).splitlines()
    assert said[0] == "nothing was sent; 4 of 5 lines are not valid:"
    assert [text.split(": ")[:2] for text in said[1:]] == [
        ["line 2", "not_json"],
        ["line 5", "wrong_topic"],
        ["line 6", "invalid_field"],
        ["line 7", "not_utf8"],
    ]
    assert "Secret" not in str(refused.value)


def test_of_many_wrong_lines_the_first_are_shown_and_all_are_counted() -> None:
    with pytest.raises(BreachwatchError) as refused:
        checked("orders", [(number, b"[]") for number in range(1, MAX_SHOWN + 4)])
    said = str(refused.value).splitlines()
    assert said[0] == f"nothing was sent; {MAX_SHOWN + 3} of {MAX_SHOWN + 3} lines are not valid:"
    assert said[-1] == "and 3 more"
    assert len(said) == MAX_SHOWN + 2


def test_a_line_that_the_pipeline_would_not_read_is_not_valid() -> None:
    text = line(order())
    assert checked("orders", [(1, text)], len(text))
    with pytest.raises(BreachwatchError, match="line 1: too_large"):
        checked("orders", [(1, text)], len(text) - 1)


def test_unchecked_lines_go_as_they_are_unless_no_broker_could_take_them() -> None:
    most = BY_NAME["orders"].max_message_bytes
    assert unchecked("orders", [(1, b"{{{"), (2, b"\xff")]) == [(None, b"{{{"), (None, b"\xff")]
    with pytest.raises(BreachwatchError, match=f"line 2: {most + 1} bytes; orders takes at most {most}"):
        unchecked("orders", [(1, b"{}"), (2, b"x" * (most + 1))])


def test_an_unchecked_subject_event_lies_in_its_subjects_partition() -> None:
    lines = [(1, b'{"subject_id":"S1"}'), (2, b"{{{"), (3, b'["S1"]'), (4, b'{"subject_id":1}')]
    assert [key for key, _ in unchecked("subject-events", lines)] == [b"S1", None, None, None]


def test_only_inbound_topics_are_taken_and_one_of_ours_only_unchecked() -> None:
    must_take("orders", raw=False)
    must_take("subject-events", raw=True)
    for topic, raw in (("subject-events", False), ("arrest-tasks", True), ("ordres", True), ("t-orders", False)):
        with pytest.raises(BreachwatchError, match=f"{topic} is not an inbound topic; those are: orders, breach-rep"):
            must_take(topic, raw=raw)
    with pytest.raises(BreachwatchError, match="identifiers is compacted"):
        must_take("identifiers", raw=True)


def test_check_answers_without_a_broker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BREACHWATCH_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    file = tmp_path / "orders.jsonl"
    for text, code, said in (
        (line(order()), 0, "1 events are valid; nothing was sent\n"),
        (b"{}", 1, "breachwatch: nothing was sent; 1 of 1 lines are not valid:\nline 1: unknown_type: "),
    ):
        file.write_bytes(text)
        with pytest.raises(SystemExit) as ended:
            main(["publish", "orders", str(file), "--check"])
        out, err = capsys.readouterr()
        assert (ended.value.code or 0, (out or err).startswith(said)) == (code, True)
