"""A snapshot file: what its lines state, and what is told of what differs, without anybody's details."""

from datetime import timedelta
from pathlib import Path

import orjson
import pytest
from builders import MADE, NOW, SUBJECT, Subject, after, order, order_ended, wire

from schemas.base import Event
from streams.core.reconcile import Reconciled, known_orders, reconcile
from streams.errors import BreachwatchError
from streams.kafka.topics import full_name
from streams.reconcile import Snapshot, alerts, as_object, audits, messages, ran, read_snapshot, report, summary
from streams.settings import Settings

MAP = """
source = "records/norfolk"
times = ["%d/%m/%Y"]
[columns]
order_id = "Order"
subject = "Person"
name = "Name"
expires = "Ends"
zone = "Zone"
risk = "Risk"
"""


def json_lines(tmp_path: Path, *events: Event | bytes) -> Path:
    written = [
        each if isinstance(each, bytes) else each.model_dump_json(exclude_unset=True).encode() for each in events
    ]
    (tmp_path / "snapshot.jsonl").write_bytes(b"\n".join(written) + b"\n\n")
    return tmp_path / "snapshot.jsonl"


def csv(tmp_path: Path, *rows: str) -> Snapshot:
    (tmp_path / "map.toml").write_text(MAP, "utf-8")
    (tmp_path / "snapshot.csv").write_text("\n".join(["Order,Person,Name,Ends,Zone,Risk", *rows]), "utf-8")
    return read_snapshot(tmp_path / "snapshot.csv", tmp_path / "map.toml", NOW)


def compared(snapshot: Snapshot, *events: Event) -> Reconciled:
    subject = Subject(*events)
    rows = known_orders(subject.state, subject.records, NOW)
    return reconcile(snapshot.stated, rows, NOW, unread=snapshot.unread_ids)


# -- the file ------------------------------------------------------------------------------------------------------


def test_json_lines_are_the_events_that_made_the_orders(tmp_path: Path) -> None:
    orders = [order("O1"), order("O2", expires_at=after(86_400))]
    snapshot = read_snapshot(json_lines(tmp_path, *orders), None, NOW)
    assert [line.event for line in snapshot.stated] == orders
    assert snapshot.unread == []
    assert compared(snapshot, *orders).differences == []


def test_a_field_that_an_event_does_not_have_is_not_compared_but_its_end_is(tmp_path: Path) -> None:
    data = order().data.model_dump(mode="json", include={"order_id", "version", "kind", "court", "made_at"})
    more = order().data.model_dump(mode="json", include={"terms", "protected_persons", "owning_force"})
    thin = orjson.dumps(wire("order", data | more | {"respondent": {"subject_id": SUBJECT}}, MADE))
    snapshot = read_snapshot(json_lines(tmp_path, thin), None, NOW)
    full = order(markers=["dogs"], risk="high", identifiers=[{"kind": "tag", "value": "t"}], certified_copy="box 7")
    assert compared(snapshot, full).differences == []
    (found,) = compared(snapshot, order(expires_at=after(86_400))).differences
    assert found.details == ("expires_at",), "without an end it is in force until further order"


def test_a_line_that_is_no_order_is_named_and_stops_no_other(tmp_path: Path) -> None:
    exercise = order("O3", exercise=True)
    bad_risk = orjson.dumps(wire("order", {"order_id": "O4", "risk": "huge"}, MADE))
    file = json_lines(tmp_path, b"{{{", order_ended("O1"), exercise, bad_risk, b'{"data": []}', order("O2"))
    snapshot = read_snapshot(file, None, NOW)
    assert [line.event.data.order_id for line in snapshot.stated] == ["O2"]
    assert [line.number for line in snapshot.unread] == [1, 2, 3, 4, 5]
    assert snapshot.lines == 6
    assert snapshot.unread_ids == {"O3", "O4"}
    whys = [line.said for line in snapshot.unread]
    assert "not_json" in whys[0]
    assert "a snapshot states orders" in whys[1]
    assert "an exercise" in whys[2]
    assert "huge" not in whys[3]


def test_the_hash_is_that_of_the_file(tmp_path: Path) -> None:
    first = read_snapshot(json_lines(tmp_path, order("O1")), None, NOW).sha256
    assert read_snapshot(json_lines(tmp_path, order("O2")), None, NOW).sha256 != first
    assert len(first) == 64


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(BreachwatchError, match="cannot be read: No such file"):
        read_snapshot(tmp_path / "none", None, NOW)


def test_rows_of_an_export_state_what_they_have(tmp_path: Path) -> None:
    known = order("O1", risk="high", expires_at=MADE.replace(year=2028, month=12, hour=0))
    snapshot = csv(tmp_path, f"O1,{SUBJECT},robin  example,{known.data.expires_at:%d/%m/%Y},,high")
    assert compared(snapshot, known).differences == []
    snapshot = csv(tmp_path, f"O1,{SUBJECT},,,,medium", f"O2,{SUBJECT},,,,")
    assert [(d.order_id, d.what.name, d.details) for d in compared(snapshot, known).differences] == [
        ("O2", "MISSING", ("not known here",)),
        ("O1", "DIFFERS", ("risk",)),
    ]


def test_a_row_that_has_run_out_is_not_missing(tmp_path: Path) -> None:
    snapshot = csv(tmp_path, f"O1,{SUBJECT},,01/07/2026,,")
    assert snapshot.unread == [], "it ends before now, and does not say when it was made"
    assert compared(snapshot).differences == []


def test_a_row_that_is_wrong_is_not_extra_and_not_compared(tmp_path: Path) -> None:
    snapshot = csv(tmp_path, f"O1,{SUBJECT},,31/02/2026,,high")
    assert [(line.number, line.order_id) for line in snapshot.unread] == [(2, "O1")]
    assert compared(snapshot, order("O1")).differences == []


# -- what is told --------------------------------------------------------------------------------------------------

SECRETS = ("Robin", "Example", "P1", "P2", "53.8", "-1.55", "BD15", "1999", "Elm Road")


def differing(tmp_path: Path) -> tuple[Snapshot, Reconciled]:
    """One missing, one different, one extra, one that cannot be read."""
    plate = [{"kind": "plate", "value": "BD15 DLO"}]
    stated = [
        order("O1"),
        order(
            "O2",
            identifiers=plate,
            respondent={"subject_id": SUBJECT, "name": "Robin Exampel", "date_of_birth": "1999-01-02"},
            risk="high",
        ),
        orjson.dumps(wire("order", {"order_id": "O4", "court": "12 Elm Road"}, MADE)),
    ]
    snapshot = read_snapshot(json_lines(tmp_path, *stated), None, NOW)
    return snapshot, compared(snapshot, order("O2"), order("O3"))


def test_each_difference_is_an_alert(tmp_path: Path) -> None:
    snapshot, differences = differing(tmp_path)
    found = alerts(differences, snapshot, NOW, NOW, every=False)
    assert [(a.kind, a.severity, a.order_id, a.subject_id) for a in found] == [
        ("order_missing", "critical", "O1", None),
        ("order_differs", "high", "O2", SUBJECT),
        ("order_extra", "medium", "O3", SUBJECT),
        ("order_snapshot_unread", "high", None, None),
    ]
    assert "date_of_birth, identifiers, name, risk" in found[1].text
    assert "1 of 3 lines" in found[3].text
    assert found[0].forces == ["West Yorkshire Police"]


def test_the_same_on_one_day_has_the_same_ids(tmp_path: Path) -> None:
    snapshot, found = differing(tmp_path)

    def ids(hours: float) -> list[str]:
        at = NOW + timedelta(hours=hours)
        return [alert.alert_id for alert in alerts(found, snapshot, at, at, every=False)]

    morning, evening, tomorrow = ids(0), ids(12), ids(24)
    assert morning == evening
    assert not set(morning) & set(tomorrow)
    assert len(set(morning)) == 4


def test_another_difference_of_one_order_is_another_alert(tmp_path: Path) -> None:
    def of(*events: Event) -> set[str]:
        snapshot = read_snapshot(json_lines(tmp_path, order("O1")), None, NOW)
        return {a.alert_id for a in alerts(compared(snapshot, *events), snapshot, NOW, NOW, every=False)}

    each = [of(), of(order("O1"), order_ended("O1")), of(order("O1", risk="high")), of(order("O1", court="York"))]
    assert all(len(ids) == 1 for ids in each)
    assert len(set().union(*each)) == 4


def test_nobodys_details_are_told(tmp_path: Path) -> None:
    snapshot, found = differing(tmp_path)
    sent = alerts(found, snapshot, NOW, NOW, every=False)
    entries = audits(snapshot, sent)
    texts = [
        ran(found, snapshot, NOW, None),
        *report(found, snapshot),
        str(as_object(found, snapshot, sent, NOW)),
        *(message.value.decode() for message in messages(Settings(), sent, entries) if message.value),
    ]
    for secret in SECRETS:
        assert not [text for text in texts if secret in text], secret


def test_a_doubtful_snapshot_is_one_alert_unless_all_are_asked_for(tmp_path: Path) -> None:
    events = [order(f"O{number}") for number in range(30)]
    snapshot = read_snapshot(json_lines(tmp_path), None, NOW)
    found = compared(snapshot, *events)
    (alert,) = alerts(found, snapshot, NOW, NOW, every=False)
    assert (alert.kind, alert.severity, alert.order_id) == ("order_snapshot_doubtful", "high", None)
    assert "30 orders in force here alone" in alert.text
    assert {a.kind for a in alerts(found, snapshot, NOW, NOW, every=True)} == {"order_extra"}

    snapshot = read_snapshot(json_lines(tmp_path, *events), None, NOW)
    found = compared(snapshot, order("O99"))
    assert [(a.kind, a.severity) for a in alerts(found, snapshot, NOW, NOW, every=False)] == [
        ("order_extra", "medium"),
        ("order_snapshot_doubtful", "critical"),
    ]


def test_what_is_on_the_record_of_a_run(tmp_path: Path) -> None:
    snapshot, found = differing(tmp_path)
    told = ran(found, snapshot, NOW, "courts")
    assert f"3 lines, 1 not read, SHA-256 {snapshot.sha256}, as of 2026-11-25 08:00:00Z" in told
    assert "the orders of courts" in told
    assert told.endswith(summary(found))
    assert "of every source" in ran(found, snapshot, NOW, None)


def test_alerts_and_entries_go_to_their_topics(tmp_path: Path) -> None:
    snapshot, found = differing(tmp_path)
    settings = Settings()
    sent = alerts(found, snapshot, NOW, NOW, every=False)
    entries = audits(snapshot, sent)
    assert [entry.decision for entry in entries] == [alert.kind for alert in sent]
    assert audits(snapshot, sent) == entries, "under the same ids again"
    outgoing = messages(settings, sent, entries)
    assert [message.topic for message in outgoing] == [
        full_name(settings, name) for name in ("alerts", "audit") for _ in range(4)
    ]
    assert [message.key for message in outgoing[4:]] == [b"-", SUBJECT.encode(), SUBJECT.encode(), b"-"]


def test_the_report_names_orders_fields_and_lines(tmp_path: Path) -> None:
    snapshot, found = differing(tmp_path)
    lines = report(found, snapshot)
    assert lines[:3] == [
        "order O1: missing here: not known here",
        "order O2: different: date_of_birth, identifiers, name, risk",
        "order O3: in force here alone",
    ]
    assert lines[3].startswith("line 3: NOT READ: invalid_field")
    assert lines[4] == (
        "2 orders in the snapshot, 2 in force by it; 2 in force here: "
        "1 missing here, 1 different, 1 in force here alone"
    )
