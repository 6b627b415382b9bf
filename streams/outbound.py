"""What is sent to others: each message's key, value and headers, in one place.

The value is plain JSON; the headers make it a CloudEvent 1.0 in binary mode as well (`schemas.cloud_events`).
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel

from schemas.base import SCHEMA_VERSION, format_time
from schemas.cloud_events import binary_headers
from schemas.safeguarding import SafeguardingTask
from schemas.sources import SourceStatus
from schemas.tasks import Alert, ArrestTask, AuditEntry
from schemas.updates import TaskAnswer
from streams import metrics

SOURCE = "breachwatch"
"""The CloudEvents `source` of all of them."""


class Kind(NamedTuple):
    """How messages of one outbound topic are keyed, and named as events: a repeat has the same name."""

    model: type[BaseModel]
    key: Callable[[Any], str]
    name: Callable[[Any], str]
    time: Callable[[Any], datetime]


OUT: dict[str, Kind] = {
    "arrest-tasks": Kind(
        ArrestTask, lambda m: m.task_id, lambda m: f"{m.task_id}/{m.revision}", lambda m: m.updated_at
    ),
    "safeguarding-tasks": Kind(
        SafeguardingTask,
        lambda m: m.safeguarding_id,
        lambda m: f"{m.safeguarding_id}/{m.revision}",
        lambda m: m.updated_at,
    ),
    "task-answers": Kind(TaskAnswer, lambda m: m.task_id or m.event_id, lambda m: m.event_id, lambda m: m.at),
    "alerts": Kind(Alert, lambda m: m.alert_id, lambda m: m.alert_id, lambda m: m.at),
    "audit": Kind(AuditEntry, lambda m: m.subject_id, lambda m: m.audit_id, lambda m: m.at),
    "source-status": Kind(
        SourceStatus,
        lambda m: f"{m.worker}|{m.source}",
        lambda m: f"{m.worker}|{m.source}/{format_time(m.until)}",
        lambda m: m.until,
    ),
}
"""Outbound topic -> what its messages are; of `dead-letters` the value is whatever came in."""


class Outbound(NamedTuple):
    """One message, ready to be sent."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def outbound(topic: str, model: BaseModel) -> Outbound:
    """The message of `topic` that says this; with the trace context of what brought it about, where that had one."""
    if isinstance(model, Alert) and not model.exercise:
        metrics.ALERTS.labels(model.kind, model.severity).inc()
    kind = OUT[topic]
    name = kind.model.__name__
    attributes = {
        "id": kind.name(model),
        "source": SOURCE,
        "type": f"{SOURCE}.{name}",
        "time": format_time(kind.time(model)),
        "dataschema": f"urn:breachwatch:{name}:{SCHEMA_VERSION}",
    }
    headers = binary_headers(attributes)
    trace = getattr(model, "traceparent", None)
    if trace is not None:
        headers.append(("traceparent", trace.encode()))
    return Outbound(kind.key(model).encode(), model.model_dump_json().encode(), headers)
