"""A snapshot of orders beside a pipeline that runs: what is told, put on the record, and said; and what is not."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Event, Pipeline, Run, ago, event, order, runner

from schemas.tasks import Alert, AuditEntry
from streams.settings import Settings

MAP = 'source = "records/norfolk"\n[columns]\norder_id = "Order"\nsubject = "Person"\nrisk = "Risk"\n'


@pytest.fixture(scope="module")
def pipeline(module_pipeline: Pipeline) -> Iterator[Pipeline]:
    """The tests share it: each has orders of a source of its own, and expects to be told of those alone."""
    module_pipeline.worker()
    module_pipeline.ready(workers=1)
    yield module_pipeline
    for process in module_pipeline.processes:
        process.stop()


@pytest.fixture
def run(
    module_pipeline_settings: Settings, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Run:
    return runner(module_pipeline_settings, monkeypatch, capsysbinary)


class Told:
    """What reconciling has told and put on the record since the test began."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        pipeline.caught_up()
        self._alerts, self._audits = len(pipeline.outputs.alerts()), len(pipeline.outputs.audits())

    def alerts(self) -> list[Alert]:
        """Each once."""
        self._pipeline.caught_up()
        found = {alert.alert_id: alert for alert in self._pipeline.outputs.alerts()[self._alerts :]}
        return [alert for alert in found.values() if alert.kind.startswith("order_")]

    def audits(self) -> list[AuditEntry]:
        """Repeats and all."""
        self._pipeline.caught_up()
        return [e for e in self._pipeline.outputs.audits()[self._audits :] if e.event_type == "order_snapshot"]


@pytest.fixture
def told(pipeline: Pipeline) -> Told:
    return Told(pipeline)


def jsonl(tmp_path: Path, *events: Event) -> str:
    file = tmp_path / "snapshot.jsonl"
    file.write_text("".join(f"{json.dumps(each)}\n" for each in events), "utf-8")
    return str(file)


def by(source: str, body: Event) -> Event:
    return body | {"source": source}


def ended(subject: str) -> Event:
    return event(
        "order_ended", ago(60), order_id=f"O-{subject}", subject_id=subject, how="discharged", reference="case 1"
    )


def shown(out: str) -> dict[str, Any]:
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_missing_extra_and_different_orders_are_told_once_a_day(
    pipeline: Pipeline, run: Run, told: Told, tmp_path: Path
) -> None:
    missing, ended_here, same, differs, extra = (
        by("courts/a", order(f"A{number}", risk="medium")) for number in range(5)
    )
    pipeline.publish("orders", ended_here, same, differs, extra)
    # No wait: the command itself waits until workers have taken in what lies in the topic.
    pipeline.publish("orders", ended("A1"))
    risky = {**differs, "data": {**differs["data"], "risk": "high"}}
    words = ("orders", "reconcile", jsonl(tmp_path, missing, ended_here, same, risky), "--source", "courts/a")

    code, out, err = run(*words, "--dry-run")
    assert (code, err) == (1, "")
    assert out.splitlines() == [
        "order O-A0: missing here: not known here",
        "order O-A1: missing here: known here, where it was ended by the court",
        "order O-A3: different: risk",
        "order O-A4: in force here alone",
        "4 orders in the snapshot, 4 in force by it; 3 in force here: 2 missing here, 1 different, 1 in force here "
        "alone",
        "4 alerts would be sent",
    ]
    assert (told.alerts(), told.audits()) == ([], []), "a dry run sends nothing"

    assert run(*words)[0] == 1
    first = {(a.order_id, a.kind): a for a in told.alerts()}
    assert {(key, alert.severity) for key, alert in first.items()} == {
        (("O-A0", "order_missing"), "critical"),
        (("O-A1", "order_missing"), "critical"),
        (("O-A3", "order_differs"), "high"),
        (("O-A4", "order_extra"), "medium"),
    }
    assert first[("O-A3", "order_differs")].forces == ["Test Force"]

    code, out, _ = run(*words, "--json")
    found = shown(out)
    assert code == 1
    assert {each["alert_id"] for each in found["alerts"]} == {alert.alert_id for alert in first.values()}
    assert found["differing"] == [{"order_id": "O-A3", "fields": ["risk"]}]
    assert (found["doubtful"], found["unread"]) == ([], [])
    assert len(told.alerts()) == 4, "the same ids again"
    runs = [entry for entry in told.audits() if entry.decision == "reconciled"]
    assert len({entry.audit_id for entry in runs}) == 2, "and each run is on the record"
    assert all(found["sha256"] in entry.reasons[0] for entry in runs)
    assert len({entry.audit_id for entry in told.audits()}) == 4 + 2


def test_a_snapshot_that_agrees_is_on_the_record_and_tells_nobody(
    pipeline: Pipeline, run: Run, told: Told, tmp_path: Path
) -> None:
    known, exercise = (by("courts/b", order(f"B{number}", exercise=number == 2)) for number in (1, 2))
    pipeline.publish("orders", known, exercise)
    code, out, err = run("orders", "reconcile", jsonl(tmp_path, known), "--source", "courts/b")
    assert (code, err) == (0, "")
    assert "0 missing here, 0 different, 0 in force here alone" in out
    assert out.endswith("0 alerts sent\n"), "exercises apart"
    assert told.alerts() == []
    assert [entry.decision for entry in told.audits()] == ["reconciled"]
    assert run("audit", "verify")[0] == 0


def test_an_export_of_one_source_states_its_own_orders_and_few_fields(
    pipeline: Pipeline, run: Run, told: Told, tmp_path: Path
) -> None:
    mine, gone = (by("records/norfolk", order(f"C{number}", risk="high")) for number in (1, 2))
    pipeline.publish("orders", mine, gone, by("courts/norwich", order("C3")))
    (tmp_path / "map.toml").write_text(MAP, "utf-8")
    (tmp_path / "export.csv").write_text("Order,Person,Risk\nO-C1,C1,high\nO-C3,,\n", "utf-8")
    words = ("orders", "reconcile", str(tmp_path / "export.csv"), "--columns", str(tmp_path / "map.toml"))
    code, out, _ = run(*words, "--source", "records", "--json")
    found = shown(out)
    assert code == 1
    assert [each["order_id"] for each in found["extra"]] == ["O-C2"]
    assert (found["missing"], found["differing"]) == ([], [])
    assert [each["line"] for each in found["unread"]] == [3]
    assert {alert.kind for alert in told.alerts()} == {"order_extra", "order_snapshot_unread"}


def test_an_empty_snapshot_is_told_as_one(pipeline: Pipeline, run: Run, told: Told, tmp_path: Path) -> None:
    pipeline.publish("orders", *(by("courts/d", order(f"D{number}")) for number in range(3)))
    words = ("orders", "reconcile", jsonl(tmp_path), "--source", "courts/d")
    code, out, _ = run(*words)
    assert (code, out.splitlines()[-1]) == (1, "1 alerts sent")
    assert [(alert.kind, alert.severity) for alert in told.alerts()] == [("order_snapshot_doubtful", "high")]
    assert run(*words, "--all")[0] == 1
    assert [alert.kind for alert in told.alerts()].count("order_extra") == 3


def test_a_moment_that_is_asked_for_is_the_moment_compared(pipeline: Pipeline, run: Run, tmp_path: Path) -> None:
    made = by("courts/e", order("E1"))
    pipeline.publish("orders", made, ended("E1"))
    words = ("orders", "reconcile", jsonl(tmp_path, made), "--source", "courts/e", "--dry-run")
    assert run(*words)[0] == 1, "it has been ended"
    assert run(*words, "--as-of", ago(3600).isoformat())[0] == 0


def test_nothing_is_compared_while_orders_wait_and_what_is_wrong_is_said(
    pipeline: Pipeline, run: Run, told: Told, tmp_path: Path
) -> None:
    [worker] = pipeline.processes
    worker.stop()
    made = by("courts/f", order("F1"))
    pipeline.publish("orders", made)
    words = ("orders", "reconcile", jsonl(tmp_path, made), "--source", "courts/f")
    code, out, err = run(*words, "--wait", "0.5")
    assert (code, out) == (1, "")
    assert "workers have not taken in 1 messages of orders" in err
    assert (told.alerts(), told.audits()) == ([], [])
    code, _, err = run("orders", "reconcile", str(tmp_path / "none"))
    assert (code, "cannot be read" in err) == (1, True)
    code, _, err = run(*words, "--ignore", "colour")
    assert (code, "--ignore colour: not a field" in err) == (1, True)
    pipeline.worker()
    code, out, err = run(*words)
    assert (code, err) == (0, ""), f"it waits for the worker\n{out}"
