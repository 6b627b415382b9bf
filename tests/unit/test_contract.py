"""The published contract is what the code says, and its examples are true."""

import json
from typing import Any

import jsonschema
import pytest

from schemas.examples import STORY, inbound
from schemas.inbound import EVENT_TYPES, TOPIC_EVENTS, BadMessageError, decode
from streams import contract
from streams.kafka.topics import TOPICS

DOCUMENT = contract.asyncapi()


def test_the_files_are_what_the_code_says() -> None:
    here = {file.name: file.read_text("utf-8") for file in contract.DIRECTORY.glob("*.json")}
    now = contract.files()
    changed = sorted(name for name in here.keys() | now.keys() if here.get(name) != now.get(name))
    assert not changed, (
        f"{', '.join(changed)} changed. If senders and readers can live with it, `python -m streams.contract` "
        "writes the files; commit them with the change"
    )


@pytest.mark.parametrize(("topic", "event"), STORY, ids=lambda value: value if isinstance(value, str) else None)
def test_every_inbound_example_is_taken_and_fits_its_schema(topic: str, event: dict[str, Any]) -> None:
    assert decode(topic, json.dumps(event).encode()).id == event["id"]
    schema = contract.json_schemas()[EVENT_TYPES[event["type"]].__name__]
    jsonschema.Draft202012Validator(schema).validate(event)


RING = [[1.29, 52.63], [1.3, 52.63], [1.3, 52.64], [1.29, 52.63]]
OFF_THE_GLOBE = [[190, 52.63], [191, 52.63], [191, 52.64], [190, 52.63]]


@pytest.mark.parametrize(
    ("name", "changes", "fits"),
    [
        ("order", {"made_at": "1899-12-31T23:59:59Z"}, False),
        ("order", {"made_at": "1900-01-01T00:00:00Z"}, True),
        ("order", {"expires_at": "9000-12-31T23:59:59Z"}, True),
        ("order", {"expires_at": "9001-01-01T00:00:00Z"}, False),
        ("order", {"made_at": "2016-12-31T23:59:60Z"}, False),
        ("order", {"area": {"centre": {"latitude": 52.6, "longitude": 1.3}, "radius_m": 5.0}}, False),
        ("order", {"area": {"line": [[1.29, 52.63], [1.3, 52.63]], "half_width_m": 5.0}}, False),
        ("order", {"area": {"type": "Polygon", "coordinates": [RING]}}, True),
        ("order", {"area": {"type": "Polygon", "coordinates": [[[*at, 12.5] for at in RING]]}}, True),
        ("order", {"area": {"type": "Polygon", "coordinates": [OFF_THE_GLOBE]}}, False),
        ("order", {"area": {"type": "Polygon", "coordinates": []}}, False),
        ("order", {"area": {"type": "MultiPolygon", "coordinates": [[RING]]}}, True),
        ("order", {"area": {"type": "MultiPolygon", "coordinates": [[OFF_THE_GLOBE]]}}, False),
        ("order", {"area": {"type": "MultiPolygon", "coordinates": []}}, False),
        ("order", {"area": {"type": "MultiPolygon", "coordinates": [[RING], []]}}, False),
        ("identity_corrected", {"how": "merged", "order_ids": []}, True),
        ("identity_corrected", {"how": "merged", "order_ids": ["O1"]}, False),
        ("identity_corrected", {"how": "split"}, False),
        ("identity_corrected", {"how": "split", "order_ids": ["O1"]}, True),
        ("breach_report", {"order_id": None}, False),
        ("breach_report", {"order_id": None, "subject_id": "S1"}, True),
        ("breach_report", {"order_id": None, "identifiers": []}, False),
        ("breach_report", {"order_id": None, "identifiers": [{"kind": "plate", "value": "BD15 DLO"}]}, True),
        ("task_update", {"action": "link", "incident": None}, False),
        ("task_update", {"action": "link", "task_id": None}, False),
        ("task_update", {"action": "note", "incident": None}, True),
        ("task_update", {"action": "note", "task_id": None}, True),
        ("task_update", {"action": "note", "task_id": None, "incident": None}, False),
    ],
)
def test_the_schema_says_what_is_checked(name: str, changes: dict[str, Any], fits: bool) -> None:
    topic = next(topic for topic, event in STORY if event["type"] == name)
    body = inbound()[name]
    data = body["data"] | {field: value for field, value in changes.items() if field != "area"}
    if "area" in changes:
        data["terms"] = [data["terms"][0] | {"area": changes["area"]}]
    message = body | {"data": data}
    of_its_own = jsonschema.Draft202012Validator(contract.json_schemas()[EVENT_TYPES[name].__name__])
    of_the_document = jsonschema.Draft7Validator(
        DOCUMENT["components"]["messages"][name]["payload"] | {"components": DOCUMENT["components"]}
    )
    assert of_its_own.is_valid(message) == fits
    assert of_the_document.is_valid(message) == fits
    assert _is_taken(topic, message) == fits


def _is_taken(topic: str, message: dict[str, Any]) -> bool:
    try:
        decode(topic, json.dumps(message).encode())
    except BadMessageError:
        return False
    return True


@pytest.mark.parametrize("topic", contract.OUT)
def test_every_outbound_example_fits_its_schema(topic: str) -> None:
    schema = contract.json_schemas()[contract.OUT[topic].model.__name__]
    jsonschema.Draft202012Validator(schema).validate(contract.outbound()[topic])


def test_every_schema_is_one() -> None:
    for schema in contract.json_schemas().values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_topic_of_others_is_a_channel_with_its_messages() -> None:
    assert DOCUMENT["channels"].keys() == {t.name for t in TOPICS if t.direction in ("inbound", "outbound", "copy")}
    for topic, models in TOPIC_EVENTS.items():
        assert len(DOCUMENT["channels"][topic]["messages"]) == len(models)


def test_the_document_refers_to_nothing_that_is_not_in_it() -> None:
    def refs(part: Any) -> list[str]:
        if isinstance(part, dict):
            return [part["$ref"]] if "$ref" in part else [ref for value in part.values() for ref in refs(value)]
        return [ref for each in part for ref in refs(each)] if isinstance(part, list) else []

    for ref in refs(DOCUMENT):
        part: Any = DOCUMENT
        for step in ref.removeprefix("#/").split("/"):
            part = part[step]


def test_nothing_breaks_who_built_on_the_last_release() -> None:
    assert contract.broken() == [], "raise SCHEMA_VERSION, and add a step to schemas.versions.UPCASTS"


def test_a_change_that_breaks_somebody_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = json.loads(json.dumps(contract.json_schemas()))
    changed["BreachReport"]["$defs"]["BreachReportData"]["required"].append("channel")
    del changed["Alert"]["properties"]["severity"]
    changed["Alert"]["required"].remove("severity")
    monkeypatch.setattr(contract, "json_schemas", lambda: changed)
    assert contract.broken() == ["Alert: severity: must be there", "BreachReport: data.channel: must be there"]
    monkeypatch.setattr(contract, "SCHEMA_VERSION", contract.SCHEMA_VERSION + 1)
    assert contract.broken() == [], "a new version may"
