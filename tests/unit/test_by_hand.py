"""Orders and reports entered by hand: what is missing is marked, what is wrong is named."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from builders import Subject, after, report
from typer.testing import CliRunner

from schemas.inbound import decode
from schemas.orders import Order
from streams.cli import build
from streams.entered import moment, place
from streams.errors import BreachwatchError


def run(*arguments: str) -> Any:
    return CliRunner().invoke(build(arguments[0]), list(arguments))


def added(*arguments: str) -> Order:
    result = run("orders", "add", "--dry-run", *arguments)
    assert result.exit_code == 0, result.output
    event = decode("orders", result.output.encode())
    assert isinstance(event, Order)
    return event


def test_what_the_paper_does_not_say_is_marked_as_missing() -> None:
    event = added("--subject", "S1", "--no-contact", "--made", "2026-11-20 14:00", "--risk", "medium")
    assert event.data.court == "not stated"
    assert set(event.data.missing) >= {"court", "service", "certified copy", "when it ends", "protected persons"}
    assert not {"risk", "when it was made"} & set(event.data.missing)
    assert event.data.order_id == "by-hand/S1/2026-11-20"
    assert event.time == datetime(2026, 11, 20, 14, 0, tzinfo=UTC)


def test_a_whole_paper_has_nothing_missing() -> None:
    event = added(
        *("--subject", "S1", "--name", "Robin Example", "--born", "1980-01-01", "--court", "Leeds Magistrates"),
        *("--made", "2026-07-01 10:00", "--until-further-order", "--served", "2026-07-01 12:00"),
        *("--protects", "P1", "--zone", "53.8,-1.55,200", "--term", "not to use a drone", "--plate", "BD15 DLO"),
        *("--force", "West Yorkshire Police", "--risk", "high", "--marker", "weapons", "--certified-copy", "cc-1"),
    )
    assert event.data.missing == []
    assert event.time == datetime(2026, 7, 1, 9, 0, tzinfo=UTC), "summer time"
    assert [term.kind for term in event.data.terms] == ["exclusion_zone", "other"]


def test_it_is_loaded_flagged_and_acted_on() -> None:
    subject = Subject(added("--subject", "S1", "--no-contact", "--made", "2026-11-20 14:00"))
    subject.feed(report(after(0)))
    assert any("entered by hand; not stated: court" in flag for flag in subject.task.flags)
    assert any("entered by hand" in alert.text for alert in subject.alerts if alert.kind == "check_order")
    assert any(c.rule == "risk.unknown" for c in subject.task.priority.contributions), "it counts as high"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--no-contact",), "whom the order restrains"),
        (("--subject", "S1"), "what the order forbids"),
        (("--subject", "S1", "--zone", "53.8"), "not LAT,LON,METRES"),
        (("--subject", "S1", "--zone", "95,0,10"), "nothing was sent"),
        (("--subject", "S1", "--zone-file", "/nowhere"), "No such file"),
        (("--subject", "S1", "--no-contact", "--made", "2036-01-01 00:00"), "in the future"),
        (("--subject", "S1", "--no-contact", "--made", "yesterday"), "is not a time"),
        (("--subject", "S1", "--no-contact", "--kind", "asbo"), "nothing was sent"),
    ],
)
def test_what_is_wrong_is_named(arguments: tuple[str, ...], says: str) -> None:
    result = run("orders", "add", "--dry-run", *arguments)
    assert isinstance(result.exception, BreachwatchError)
    assert says in str(result.exception)


def test_a_report_by_hand() -> None:
    said = ("--nature", "contact", "--reported-by", "staff", "--order", "O1", "--at", "53.8,-1.55")
    result = run("reports", "add", "--dry-run", *said, "--when", "2026-11-20 03:10")
    assert result.exit_code == 0, result.output
    body = orjson.loads(result.output)
    assert (body["type"], body["time"]) == ("breach_report", "2026-11-20T03:10:00Z")
    nobody = run("reports", "add", "--nature", "contact", "--reported-by", "staff")
    assert "say who is meant" in str(nobody.exception)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-25 03:10", "2026-11-25T03:10:00+00:00"),
        ("2026-07-25T03:10", "2026-07-25T02:10:00+00:00"),
        ("2026-10-25 01:30+01:00", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_a_time_without_offset_is_londons(text: str, utc: str) -> None:
    assert moment(text, "--made").isoformat() == utc


@pytest.mark.parametrize(
    ("text", "says"), [("2026-10-25 01:30", "was twice"), ("2026-03-29 01:30", "does not exist")]
)
def test_a_local_time_that_is_none_or_two_is_refused(text: str, says: str) -> None:
    with pytest.raises(BreachwatchError, match=says):
        moment(text, "--made")


def test_a_place_has_as_many_numbers_as_it_needs() -> None:
    assert place("53.8,-1.55", "--at", 2) == [53.8, -1.55]
    with pytest.raises(BreachwatchError, match="LAT,LON"):
        place("53.8,x", "--at", 2)
