"""The published contract is what the code says, and its examples are true."""

import json
from typing import Any

import jsonschema
import pytest

from schemas.examples import STORY
from schemas.inbound import EVENT_TYPES, TOPIC_EVENTS, decode
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
