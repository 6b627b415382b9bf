"""What the command finds beside a subject's row: of their world, and of nobody else."""

import pytest
from builders import NOW, custody

from schemas.internal import Arrival, Held, encode_held
from schemas.orders import IdentifierKind, IdentifierRecord, Role
from streams.erase import finds, waits_for

ARRIVAL = Arrival(topic="custody-events", partition=1, offset=2, appended_at=NOW, sha256="0" * 64)


def alias(subject: str) -> IdentifierRecord:
    """S1 is the same person as this subject."""
    return IdentifierRecord(
        kind=IdentifierKind.SUBJECT, value="S1", subject_id=subject, role=Role.SUBJECT, order_id="merged/S1"
    )


@pytest.mark.parametrize(
    ("erased", "merged_into", "found"),
    [
        ("S1", "S9", True),
        ("exercise/S1", "exercise/S9", True),
        ("exercise/S1", "S9", False),
        ("S1", "exercise/S9", False),
        ("S9", "S9", True),
    ],
)
def test_an_alias_of_the_other_world_is_not_theirs(erased: str, merged_into: str, found: bool) -> None:
    assert finds(alias(merged_into), erased) is found


def test_what_waits_for_a_subject_of_the_other_world_is_left() -> None:
    event = custody("detained", NOW)
    held = Held.read(encode_held(ARRIVAL, event.model_dump_json(exclude_none=True).encode()))
    named = {("subject", event.data.subject_id)}
    assert waits_for(held, event.data.subject_id, named)
    assert not waits_for(held, f"exercise/{event.data.subject_id}", named)
