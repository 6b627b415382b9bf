"""The published contract: JSON Schema 2020-12 of each message, and one AsyncAPI 3.0 document of them all.

Both are made from the models in `schemas/` and the list of topics, and are checked in below `schemas/contract/`:
`python -m streams.contract` writes them, and a test says when they are not what the code says. Beside them is what
was last released: `python -m streams.contract release` writes it, when a release is made and never else, and a test
fails on a change that breaks somebody unless `SCHEMA_VERSION` was raised.
"""

import json
import sys
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, models_json_schema

import schemas
from schemas.base import SCHEMA_VERSION
from schemas.examples import STORY, inbound
from schemas.inbound import EVENT_TYPES, TOPIC_EVENTS, BadReason, type_name
from schemas.internal import DeadLetterHandled, DeadLetterHeaders, Held, SourceControl, SubjectEvent
from schemas.orders import IdentifierRecord
from schemas.sources import NewestDeadLetter, SourceStatus
from streams.compatibility import Who, breaks
from streams.core.policy import load_policy
from streams.core.rehearsal import Rehearsal
from streams.kafka.topics import BY_NAME, Topic, topic_specs
from streams.outbound import OUT, SOURCE
from streams.settings import Settings

DIRECTORY = Path(schemas.__file__).with_name("contract")
INTERNAL: tuple[type[BaseModel], ...] = (
    SubjectEvent,
    Held,
    IdentifierRecord,
    SourceControl,
    DeadLetterHeaders,
    DeadLetterHandled,
)
"""What only this pipeline writes and reads: not published, and not to be changed unnoticed either, since it is in the
log for weeks."""
ABOUT = (
    "Events for breachwatch, and what it makes of them. What a schema cannot say stands in its description. Of every "
    "message: the day of a time is one that there is, a whole number is written without a fraction (1, not 1.0), and "
    f"a message of more than {Settings().max_message_bytes:,} bytes is not read."
)
_INBOUND = {model.__name__ for model in EVENT_TYPES.values()}
_SENT = {topic: kind.model for topic, kind in OUT.items()}
_OUTBOUND = {model.__name__ for model in _SENT.values()}
_REF = "#/components/schemas/{model}"
_CLOUD_EVENT = {
    "type": "object",
    "description": "CloudEvents 1.0 in binary mode; a reader that wants plain JSON may ignore them.",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "content-type"],
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {"type": "string"},
        "ce_source": {"const": SOURCE},
        "ce_type": {"type": "string"},
        "ce_time": {"type": "string", "format": "date-time"},
        "ce_dataschema": {"type": "string"},
        "content-type": {"const": "application/json"},
        "traceparent": {"type": "string"},
    },
}
_COPIES: dict[str, dict[str, Any]] = {
    "alerts-cap": {
        "name": "CapAlert",
        "summary": "An alert as CAP 1.2.",
        "contentType": "application/cap+xml",
        "payload": {"type": "string", "description": "One <alert> of urn:oasis:names:tc:emergency:cap:1.2."},
    },
    "cloud-events": {
        "name": "CloudEvent",
        "summary": "A message of any outbound topic, as a CloudEvent in structured mode.",
        "contentType": "application/cloudevents+json",
        "payload": {
            "type": "object",
            "required": ["specversion", "id", "source", "type", "data"],
            "properties": {
                "type": {"enum": [f"{SOURCE}.{model.__name__}" for model in _SENT.values()]},
                "data": {"oneOf": [{"$ref": _REF.format(model=model.__name__)} for model in _SENT.values()]},
            },
        },
    },
}
"""What the adapters copy: topic -> its one message."""


@cache
def json_schemas() -> dict[str, dict[str, Any]]:
    """Name of the message -> its JSON Schema 2020-12, whole in itself, as senders must write it and readers will read
    it."""
    models = [(model, _mode(model)) for model in (*EVENT_TYPES.values(), *_SENT.values(), *INTERNAL)]
    return {model.__name__: _standalone(model, mode) for model, mode in models}


def _mode(model: type[BaseModel]) -> JsonSchemaMode:
    return "validation" if model in EVENT_TYPES.values() else "serialization"


def _standalone(model: type[BaseModel], mode: JsonSchemaMode) -> dict[str, Any]:
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        "$id": f"urn:breachwatch:{model.__name__}:{SCHEMA_VERSION}",
        **model.model_json_schema(mode=mode),
    }


@cache
def asyncapi() -> dict[str, Any]:
    """The document, as JSON."""
    names = [*TOPIC_EVENTS, *_SENT, "dead-letters", *_COPIES]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "breachwatch",
            "version": f"{SCHEMA_VERSION}.0.0",
            "description": ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(BY_NAME[name]) for name in names},
        "operations": {_operation_name(name): _operation(name) for name in names},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _channel(topic: Topic) -> dict[str, Any]:
    production = next(spec for spec in topic_specs(Settings(environment="production")) if spec.name == topic.name)
    settings: dict[str, Any] = {
        "cleanup.policy": topic.cleanup.split(","),
        "max.message.bytes": topic.max_message_bytes,
    }
    if topic.retention_ms is not None:
        settings["retention.ms"] = topic.retention_ms
    return {
        "address": topic.name,
        "description": f"{topic.purpose} Key: {topic.key}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _names(topic.name)},
        "bindings": {
            "kafka": {
                "partitions": production.partitions,
                "replicas": production.replication,
                "topicConfiguration": settings,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _names(topic: str) -> list[str]:
    """The messages of a topic."""
    if topic in TOPIC_EVENTS:
        return [type_name(model) for model in TOPIC_EVENTS[topic]]
    if topic in _SENT:
        return [_SENT[topic].__name__]
    return [_COPIES[topic]["name"]] if topic in _COPIES else ["DeadLetter", "DeadLetterHandled"]


def _operation_name(topic: str) -> str:
    return f"{'receive' if topic in TOPIC_EVENTS else 'send'}-{topic}"


def _operation(topic: str) -> dict[str, Any]:
    """What breachwatch does with a channel: it receives what others publish, and sends what dashboards read."""
    return {
        "action": "receive" if topic in TOPIC_EVENTS else "send",
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{name}"} for name in _names(topic)],
    }


def _messages() -> dict[str, Any]:
    examples = inbound()
    found = {
        name: _message(model, examples[name], "Publish it as often as you like: source and id name it for ever.")
        for name, model in EVENT_TYPES.items()
    }
    for topic, model in _SENT.items():
        sent = _message(model, outbound()[topic], "It may come again, under the same id.")
        found[model.__name__] = sent | {"headers": _CLOUD_EVENT}
    letters = {"DeadLetter": _dead_letter(), "DeadLetterHandled": _dead_letter_handled()}
    return found | letters | {message["name"]: message for message in _COPIES.values()}


def _message(model: type[BaseModel], example: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "name": model.__name__,
        "summary": (model.__doc__ or "").split("\n", 1)[0],
        "description": description,
        "payload": {"$ref": _REF.format(model=model.__name__)},
        "examples": [{"name": model.__name__, "payload": example}],
    }


def _dead_letter() -> dict[str, Any]:
    return {
        "name": "DeadLetter",
        "summary": "A message that could not be used: the original bytes, and why not in the headers.",
        "contentType": "application/octet-stream",
        "headers": _headers(DeadLetterHeaders, {"bw-reason": sorted(BadReason)}),
    }


def _dead_letter_handled() -> dict[str, Any]:
    return {
        "name": "DeadLetterHandled",
        "summary": "A mark without a value: the dead letter of the same key was replayed or dismissed.",
        "contentType": "application/octet-stream",
        "headers": _headers(DeadLetterHandled, {"bw-handled": ["dismissed", "replayed"]}),
    }


def _headers(model: type[BaseModel], closed: dict[str, list[str]]) -> dict[str, Any]:
    """The Kafka headers that a model is; `closed` holds those that have one of a few values."""
    fields = {f"bw-{name.replace('_', '-')}": field for name, field in model.model_fields.items()}
    return {
        "type": "object",
        "required": [name for name, field in fields.items() if field.is_required()],
        "properties": {name: {"type": "string"} for name in fields}
        | {name: {"type": "string", "enum": values} for name, values in closed.items()},
    }


def _schemas() -> dict[str, Any]:
    models = [(model, _mode(model)) for model in (*EVENT_TYPES.values(), *_SENT.values())]
    _, found = models_json_schema(models, ref_template=_REF)
    return {name: _for_asyncapi(schema) for name, schema in found["$defs"].items()}


def _for_asyncapi(schema: Any) -> Any:
    """AsyncAPI has JSON Schema draft 07: tuples are lists of `items`; and its discriminator is no object."""
    if isinstance(schema, list):
        return [_for_asyncapi(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _for_asyncapi(value) for name, value in schema.items() if name != "discriminator"}
    if "prefixItems" in found:
        found |= {"items": found.pop("prefixItems"), "additionalItems": False}
    return found


@cache
def outbound() -> dict[str, dict[str, Any]]:
    """Topic -> an example of what is sent there: what the inbound examples bring about, one after the other."""
    pipeline = Rehearsal(load_policy())
    for topic, event in STORY:
        now = datetime.fromisoformat(event["recordedtime"])
        pipeline.feed("sightings" if topic == "anpr-reads" else topic, json.dumps(event).encode(), now)
    [task], [safeguarding] = pipeline.tasks.values(), pipeline.safeguarding.values()
    breach = next(alert for alert in pipeline.alerts if alert.kind == "breach")
    audit = next(entry for entry in pipeline.audits if entry.decision == "breach")
    status = SourceStatus(
        source="tags/supplier",
        worker="worker-1",
        since=datetime.fromisoformat("2026-11-25T08:00:00Z"),
        until=datetime.fromisoformat("2026-11-25T12:00:00Z"),
        outcomes={"resolved": 14_400, "dead_letter": 2},
        reasons={"invalid_field": 2},
        newest_event_at=datetime.fromisoformat("2026-11-25T11:59:58Z"),
        newest_dead_letter=NewestDeadLetter(
            at=datetime.fromisoformat("2026-11-25T11:40:07Z"),
            topic="sightings",
            partition=3,
            offset=881_205,
            reason="invalid_field",
            detail="not a valid tag_fix: data.device_id: Field required",
        ),
    )
    made = {
        "source-status": status,
        "arrest-tasks": task,
        "safeguarding-tasks": safeguarding,
        "task-answers": pipeline.answers[-1],
        "alerts": breach,
        "audit": audit,
    }
    return {topic: json.loads(model.model_dump_json()) for topic, model in made.items()}


def files() -> dict[str, str]:
    """Name of each file of the contract -> its text."""
    found = {f"{name}.json": schema for name, schema in json_schemas().items()} | {"asyncapi.json": asyncapi()}
    return {name: json.dumps(body, indent=1, sort_keys=True) + "\n" for name, body in sorted(found.items())}


def write() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for file in DIRECTORY.glob("*.json"):
        file.unlink()
    for name, text in files().items():
        (DIRECTORY / name).write_text(text, "utf-8")


RELEASED = DIRECTORY / "released" / "schemas.json"


def broken() -> list[str]:
    """What of the contract breaks senders or readers of the last release; nothing where the version was raised."""
    released = json.loads(RELEASED.read_text("utf-8"))
    if released["version"] < SCHEMA_VERSION:
        return []
    now = json_schemas()
    found = []
    for name, before in released["schemas"].items():
        who: Who = "senders" if name in _INBOUND else "readers"
        found += [f"{name}: {text}" for text in breaks(before, now.get(name, {"not": {}}), who)]
    return found


def release() -> None:
    """What is here now is what was released."""
    RELEASED.parent.mkdir(exist_ok=True)
    published = {name: schema for name, schema in json_schemas().items() if name in _INBOUND | _OUTBOUND}
    body = {"version": SCHEMA_VERSION, "schemas": published}
    RELEASED.write_text(json.dumps(body, indent=1, sort_keys=True) + "\n", "utf-8")


if __name__ == "__main__":
    release() if sys.argv[1:] == ["release"] else write()
