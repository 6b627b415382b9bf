"""Formats that are out there already, on a real broker: what each product sends in, an arrest task out."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import orjson
import pytest
from at_the_door import jwks, post, token
from harness import INSIDE, Pipeline, Run, ago, order, quick, report, runner, running

from streams.adapters.cap import NAMESPACE
from streams.adapters.routes import Made, Route, routes
from streams.adapters.running import again
from streams.kafka.admin import cluster_of
from streams.kafka.local import free_ports
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.settings import Settings

TOKEN = token(scope="adapt:owntracks adapt:plate-recognizer publish:breach-reports", source="suppliers/x")
ADAPTERS = ("traccar", "plate-recognizer", "owntracks", "cap", "cloudevents")


@pytest.fixture(scope="module")
def pipeline(module_pipeline_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """Worker, gate, all adapters and the door, each a process of its own."""
    directory = tmp_path_factory.mktemp("formats")
    (directory / "jwks.json").write_bytes(jwks())
    (directory / "cameras.csv").write_text(f"camera_id,latitude,longitude\ncamera-1,{INSIDE[0]},{INSIDE[1]}\n")
    [port] = free_ports(1)
    changed = {
        "door_jwks_file": directory / "jwks.json",
        "door_port": port,
        "cameras_file": directory / "cameras.csv",
        "adapter_sources": {"traccar": "tags/traccar"},
    }
    with running(quick(module_pipeline_settings, **changed), directory / "logs") as started:
        started.worker()
        started.gate()
        started.run("adapters", "run", *ADAPTERS)
        started.run("door")
        started.ready(workers=1, gates=1)
        subjects = {"S1": {"tag": "TAG-1"}, "S2": {"plate": "BD15 DLO"}, "S3": {"tag": "sam/phone"}}
        orders = [order(subject, **named) for subject, named in subjects.items()]
        started.publish("orders", *orders, order("S4"), order("S5", tag="TAG-5"))
        started.drained()
        yield started


def traccar(tag: str, at: datetime, where: tuple[float, float] = INSIDE) -> dict[str, Any]:
    time = at.isoformat()
    return {
        "position": {
            "id": 0,
            "attributes": {},
            "deviceId": 3,
            "protocol": "osmand",
            "serverTime": time,
            "deviceTime": time,
            "fixTime": time,
            "outdated": False,
            "valid": True,
            "latitude": where[0],
            "longitude": where[1],
            "accuracy": 8.0,
        },
        "device": {"id": 3, "name": "bracelet", "uniqueId": tag},
    }


def task_of(pipeline: Pipeline, subject: str) -> Any:
    [task] = pipeline.until(lambda: pipeline.outputs.tasks_of(subject), f"a task for {subject}")
    return task


def test_a_position_that_traccar_forwards_becomes_a_task(pipeline: Pipeline) -> None:
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    pipeline.publish("raw-traccar", traccar("TAG-1", ago(30)), key=b"3", headers=[("traceparent", trace)])
    task = task_of(pipeline, "S1")
    assert task.traceparent == trace.decode(), "one trace from the supplier to the task"
    sent = next(r for r in pipeline.outputs.records["arrest-tasks"] if r.key == task.task_id.encode())
    assert dict(sent.headers)["traceparent"] == trace
    assert dict(sent.headers)["ce_type"] == b"breachwatch.ArrestTask"
    assert task.last_seen.event_id.startswith("tags/traccar#")
    assert [breach.term_kind for breach in task.breaches] == ["exclusion_zone"]


def test_a_plate_that_plate_recognizer_stream_posts_becomes_a_task(pipeline: Pipeline) -> None:
    body = {
        "hook": {"target": "door", "id": "camera-1", "event": "recognition", "filename": "a.jpg"},
        "data": {
            "camera_id": "camera-1",
            "filename": "a.jpg",
            "timestamp": ago(30).isoformat(),
            "results": [{"plate": "bd15dlo", "score": 0.9}, {"plate": "ab12cde", "score": 0.5}],
        },
    }
    answer = post(pipeline, "adapters/plate-recognizer", body, headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status_code, answer.json()["items"][0]["events"]) == (202, 2)
    assert task_of(pipeline, "S2").breaches[0].certainty == "vehicle"


def test_a_location_that_owntracks_posts_becomes_a_task(pipeline: Pipeline) -> None:
    body = {"_type": "location", "topic": "owntracks/sam/phone", "lat": INSIDE[0], "lon": INSIDE[1], "acc": 9}
    answer = post(pipeline, "adapters/owntracks", body | {"tst": int(ago(30).timestamp())}, auth=("sam", TOKEN))
    assert answer.status_code == 202, answer.text
    assert task_of(pipeline, "S3").last_seen.event_id.startswith("suppliers/x#")


def test_a_report_through_the_door_becomes_a_task_and_goes_out_in_cap_and_as_cloud_events(
    pipeline: Pipeline,
) -> None:
    event = report("O-S4") | {"source": "suppliers/x"}
    answer = post(pipeline, "topics/breach-reports/events", event, headers={"Authorization": f"Bearer {TOKEN}"})
    assert answer.status_code == 202, answer.text
    task = task_of(pipeline, "S4")

    def copies(topic: str) -> list[Any]:
        return list(read_all(cluster_of(pipeline.settings), full_name(pipeline.settings, topic)))

    def in_cap() -> str | None:
        documents = [ElementTree.fromstring(m.value) for m in copies("alerts-cap")]
        found = [d for d in documents if task.task_id in "".join(d.itertext())]
        return found[0].findtext(f"{{{NAMESPACE}}}info/{{{NAMESPACE}}}event") if found else None

    assert pipeline.until(in_cap, "the alert in CAP") == "breach"
    events = pipeline.until(
        lambda: [
            e for m in copies("cloud-events") if (e := orjson.loads(m.value))["data"].get("task_id") == task.task_id
        ],
        "the task as a CloudEvent",
    )
    assert {"breachwatch.ArrestTask", "breachwatch.Alert"} <= {e["type"] for e in events}


def test_what_an_adapter_cannot_use_is_a_dead_letter_and_stops_nothing(pipeline: Pipeline) -> None:
    wrong = traccar("TAG-5", ago(40), (95.0, 0.0))
    pipeline.publish("raw-traccar", b"{", b"[]", {"device": {}}, wrong, traccar("TAG-5", ago(20)))
    task_of(pipeline, "S5")

    def letters() -> list[Any]:
        return [letter for letter in pipeline.outputs.dead_letters() if letter.headers.topic == "raw-traccar"]

    pipeline.until(lambda: len(letters()) >= 4, "the dead letters")
    reasons = sorted(letter.headers.reason for letter in letters())
    assert reasons == ["invalid_field", "invalid_field", "not_an_object", "not_json"]
    assert {letter.headers.source for letter in letters()} == {"tags/traccar"}
    assert b"{" in [letter.value for letter in letters()]


def test_a_mended_adapter_takes_again_what_was_wrong(pipeline: Pipeline) -> None:
    """The first make of the adapter knows no such message; the second does, and what was right stays one event."""
    settings, route = pipeline.settings, routes(pipeline.settings, {})["traccar"]
    pipeline.publish("orders", order("S6", tag="TAG-6"))
    pipeline.publish("raw-traccar", b'{"tag":"TAG-6"}')

    def mended(message: Any) -> Made:
        if message.value == b'{"tag":"TAG-6"}':
            message = replace(message, value=orjson.dumps(traccar("TAG-6", ago(50))))
        return route.make(message)

    said: list[str] = []
    done = asyncio.run(again(settings, "traccar", Route(route.reads, route.writes, mended), ago(600), said.append))
    assert done.made >= 3
    task_of(pipeline, "S6")
    pipeline.drained()
    assert task_of(pipeline, "S1").breach_count == 1, "what came again is known"


@pytest.fixture
def run(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return runner(pipeline.settings, monkeypatch, capsysbinary)


def test_again_is_on_the_record(pipeline: Pipeline, run: Run) -> None:
    since = ago(600).isoformat()
    code, out, _ = run("adapters", "again", "owntracks", "--since", since, "--reason", "release 7 reads batt")
    assert code == 0
    assert "events sent" in out
    pipeline.until(
        lambda: [e for e in pipeline.outputs.audits() if e.decision == "adapter_run_again"], "the audit entry"
    )
    assert run("adapters", "again", "cap", "--since", since, "--reason", "x")[0] == 1
    assert "traccar" in run("adapters", "list")[1]


def test_an_export_of_orders_is_imported_and_a_report_under_one_becomes_a_task(
    pipeline: Pipeline, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "map.toml").write_text(
        'source = "records/x"\ntimes = ["%d/%m/%Y"]\n[columns]\norder_id = "No"\nsubject = "Person"\nkind = "Type"\n'
        'made = "Made"\nno_contact = "Contact"\nprotects = "Victims"\n[kinds]\n"SPO" = "spo_full"\n'
    )
    (tmp_path / "orders.csv").write_text(
        "No,Person,Type,Made,Contact,Victims\nSPO-9,S9,SPO,01/07/2026,yes,P9\n,,,,,\n"
    )
    code, out, err = run("orders", "import", str(tmp_path / "orders.csv"), "--columns", str(tmp_path / "map.toml"))
    assert "line 3" in out + err, (code, out, err)
    pipeline.publish("breach-reports", report("SPO-9"))
    assert task_of(pipeline, "S9").breaches[0].order_id == "SPO-9"
