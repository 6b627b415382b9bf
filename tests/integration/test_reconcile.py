"""A snapshot of orders beside a pipeline that runs: what is told, put on the record, and said; and what is not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Event, Pipeline, Run, ago, event, order, runner

from schemas.tasks import Alert
from streams.settings import Settings

MAP = 'source = "records/norfolk"\n[columns]\norder_id = "Order"\nsubject = "Person"\nrisk = "Risk"\n'


@pytest.fixture
def pipeline(pipeline: Pipeline) -> Iterator[Pipeline]:
    pipeline.worker()
    pipeline.ready(workers=1)
    return pipeline


@pytest.fixture
def run(
    pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    return runner(pipeline_settings, monkeypatch, capsysbinary)


def jsonl(tmp_path: Path, *events: Event | str) -> str:
    file = tmp_path / "snapshot.jsonl"
    lines = [each if isinstance(each, str) else json.dumps(each) for each in events]
    file.write_text("\n".join(lines) + "\n", "utf-8")
    return str(file)


def of(source: str, body: Event) -> Event:
    return body | {"source": source}


def ended(subject: str) -> Event:
    return event(
        "order_ended", ago(60), order_id=f"O-{subject}", subject_id=subject, how="discharged", reference="case 1"
    )


def told(pipeline: Pipeline) -> list[Alert]:
    """What reconciling has told so far, each once."""
    pipeline.caught_up()
    found = {alert.alert_id: alert for alert in pipeline.outputs.alerts()}
    return [alert for alert in found.values() if alert.kind.startswith("order_")]


def reconciled(pipeline: Pipeline) -> list[list[str]]:
    """Of each run what the record says."""
    pipeline.caught_up()
    return [entry.reasons for entry in pipeline.outputs.audits() if entry.decision == "reconciled"]


def shown(out: str) -> dict[str, Any]:
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_missing_extra_and_different_orders_are_told_once_a_day(pipeline: Pipeline, run: Run, tmp_path: Path) -> None:
    missing, ended_here, same, differs, extra = (order(f"S{number}", risk="medium") for number in range(5))
    pipeline.publish("orders", ended_here, same, differs, extra)
    # No wait: the command itself waits until workers have taken in what lies in the topic.
    pipeline.publish("orders", ended("S1"))
    risky = {**differs, "data": {**differs["data"], "risk": "high"}}
    file = jsonl(tmp_path, missing, ended_here, same, risky)

    code, out, err = run("orders", "reconcile", file, "--dry-run")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "order O-S0: missing here: not known here",
        "order O-S1: missing here: known here, where it was ended by the court",
        "order O-S3: different: risk",
        "order O-S4: in force here alone",
        "4 orders in the snapshot, 4 in force by it; 3 in force here: 2 missing here, 1 different, 1 in force here "
        "alone",
        "4 alerts would be sent",
    ]
    assert (told(pipeline), reconciled(pipeline)) == ([], []), "a dry run sends nothing"

    code, out, _ = run("orders", "reconcile", file)
    assert code == 1
    first = {(a.order_id, a.kind): a for a in told(pipeline)}
    assert {(key, alert.severity) for key, alert in first.items()} == {
        (("O-S0", "order_missing"), "critical"),
        (("O-S1", "order_missing"), "critical"),
        (("O-S3", "order_differs"), "high"),
        (("O-S4", "order_extra"), "medium"),
    }
    assert first[("O-S3", "order_differs")].forces == ["Test Force"]

    code, out, _ = run("orders", "reconcile", file, "--json")
    found = shown(out)
    assert code == 1
    assert {each["alert_id"] for each in found["alerts"]} == {alert.alert_id for alert in first.values()}
    assert found["differing"] == [{"order_id": "O-S3", "fields": ["risk"]}]
    assert (found["doubtful"], found["unread"]) == ([], [])
    assert len(told(pipeline)) == 4, "the same ids again"
    runs = reconciled(pipeline)
    assert len(runs) == 2, "and each run is on the record"
    assert all(found["sha256"] in reasons[0] for reasons in runs)
    entries = {entry.audit_id: entry for entry in pipeline.outputs.audits() if entry.event_type == "order_snapshot"}
    assert len(entries) == 4 + 2


def test_a_snapshot_that_agrees_is_on_the_record_and_tells_nobody(
    pipeline: Pipeline, run: Run, tmp_path: Path
) -> None:
    orders = [order("S1"), order("S2", exercise=True)]
    pipeline.publish("orders", *orders)
    code, out, err = run("orders", "reconcile", jsonl(tmp_path, orders[0]))
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "1 orders in the snapshot, 1 in force by it; 1 in force here: 0 missing here, 0 different, 0 in force here "
        "alone",
        "0 alerts sent",
    ], "exercises apart"
    assert told(pipeline) == []
    assert len(reconciled(pipeline)) == 1
    assert run("audit", "verify")[0] == 0


def test_an_export_of_one_source_states_its_own_orders_and_few_fields(
    pipeline: Pipeline, run: Run, tmp_path: Path
) -> None:
    mine, gone = (of("records/norfolk", order(f"S{number}", risk="high")) for number in (1, 2))
    pipeline.publish("orders", mine, gone, of("courts/norwich", order("S3")))
    (tmp_path / "map.toml").write_text(MAP, "utf-8")
    (tmp_path / "export.csv").write_text("Order,Person,Risk\nO-S1,S1,high\nO-S3,,\n", "utf-8")
    words = ("orders", "reconcile", str(tmp_path / "export.csv"), "--columns", str(tmp_path / "map.toml"))
    code, out, _ = run(*words, "--source", "records", "--json")
    found = shown(out)
    assert code == 1
    assert [each["order_id"] for each in found["extra"]] == ["O-S2"]
    assert (found["missing"], found["differing"]) == ([], [])
    assert [each["line"] for each in found["unread"]] == [3]
    assert {alert.kind for alert in told(pipeline)} == {"order_extra", "order_snapshot_unread"}


def test_an_empty_snapshot_is_told_as_one(pipeline: Pipeline, run: Run, tmp_path: Path) -> None:
    pipeline.publish("orders", *(order(f"S{number}") for number in range(3)))
    file = jsonl(tmp_path)
    code, out, _ = run("orders", "reconcile", file)
    assert (code, out.splitlines()[-1]) == (1, "1 alerts sent")
    (alert,) = told(pipeline)
    assert (alert.kind, alert.severity) == ("order_snapshot_doubtful", "high")
    assert run("orders", "reconcile", file, "--all")[0] == 1
    assert [alert.kind for alert in told(pipeline)].count("order_extra") == 3


def test_a_moment_that_is_asked_for_is_the_moment_compared(pipeline: Pipeline, run: Run, tmp_path: Path) -> None:
    made = order("S1")
    pipeline.publish("orders", made, ended("S1"))
    file = jsonl(tmp_path, made)
    assert run("orders", "reconcile", file, "--dry-run")[0] == 1, "it has been ended"
    assert run("orders", "reconcile", file, "--dry-run", "--as-of", ago(3600).isoformat())[0] == 0


def test_nothing_is_compared_while_orders_wait_and_what_is_wrong_is_said(
    pipeline: Pipeline, run: Run, tmp_path: Path
) -> None:
    [worker] = pipeline.processes
    worker.stop()
    pipeline.publish("orders", order("S1"))
    file = jsonl(tmp_path, order("S1"))
    code, out, err = run("orders", "reconcile", file, "--wait", "0.5")
    assert (code, out) == (1, "")
    assert "workers have not taken in 1 messages of orders" in err
    assert (told(pipeline), reconciled(pipeline)) == ([], [])
    code, _, err = run("orders", "reconcile", str(tmp_path / "none"))
    assert (code, "cannot be read" in err) == (1, True)
    code, _, err = run("orders", "reconcile", file, "--ignore", "colour")
    assert (code, "--ignore colour: not a field" in err) == (1, True)
    pipeline.worker()
    assert run("orders", "reconcile", file, "--dry-run")[0] == 0, "it waits for the worker"
