"""The contract as JSON Schemas, checked in, so that no change of it goes unnoticed.

`python -m schemas.snapshot` rewrites the file; a test compares it with the models.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from schemas.inbound import EVENT_TYPES
from schemas.internal import DeadLetterHeaders, SubjectEvent
from schemas.orders import IdentifierRecord
from schemas.safeguarding import SafeguardingTask
from schemas.tasks import Alert, ArrestTask, AuditEntry
from schemas.updates import TaskAnswer

PATH = Path(__file__).with_name("snapshot.json")
OUTPUTS: tuple[type[BaseModel], ...] = (
    SubjectEvent,
    IdentifierRecord,
    ArrestTask,
    SafeguardingTask,
    TaskAnswer,
    Alert,
    AuditEntry,
    DeadLetterHeaders,
)


def schemas() -> dict[str, Any]:
    """Name -> JSON Schema: inbound events as we read them, the rest as we write it."""
    inbound = {model.__name__: model.model_json_schema(mode="validation") for model in EVENT_TYPES.values()}
    outputs = {model.__name__: model.model_json_schema(mode="serialization") for model in OUTPUTS}
    return inbound | outputs


def text() -> str:
    return json.dumps(schemas(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    PATH.write_text(text(), "utf-8")
