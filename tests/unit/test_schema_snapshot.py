"""The contract on the wire does not change unnoticed."""

import json

from schemas import snapshot
from schemas.inbound import TOPIC_EVENTS


def test_the_contract_is_what_was_agreed() -> None:
    agreed, now = json.loads(snapshot.PATH.read_text("utf-8")), snapshot.schemas()
    changed = sorted(name for name in agreed.keys() | now.keys() if agreed.get(name) != now.get(name))
    assert not changed, (
        f"the JSON Schema of {', '.join(changed)} changed. If senders and readers can live with it, "
        "`python -m schemas.snapshot` rewrites the snapshot; commit it with the change"
    )


def test_the_snapshot_is_complete() -> None:
    names = {model.__name__ for models in TOPIC_EVENTS.values() for model in models}
    names |= {"SubjectEvent", "IdentifierRecord", "ArrestTask", "Alert", "AuditEntry", "DeadLetterHeaders"}
    names |= {"SafeguardingTask", "TaskAnswer"}
    assert set(snapshot.schemas()) == names


def test_the_file_is_as_the_command_writes_it() -> None:
    assert snapshot.PATH.read_text("utf-8") == snapshot.text()
