"""The trail of who looked at what, and what was refused: entries on `audit`, written before anything is shown.

Data protection law asks a controller to log consultation and disclosure (DPA 2018 s62): who, what, when; the reason
is optional. These entries stand in no chain: a subject's chain is the workers'.
"""

import uuid
from datetime import UTC, datetime

from schemas.tasks import AuditEntry
from streams.board.people import Person
from streams.board.positions import Place

NOBODY = "-"


def entry(
    person: Person | None,
    decision: str,
    what: str,
    *,
    about: str = NOBODY,
    subject_id: str = NOBODY,
    why: str | None = None,
    place: Place = ("board", 0),
    offset: int = 0,
    exercise: bool = False,
) -> AuditEntry:
    """What somebody did at the board. `about` is the id that they asked for, `place` and `offset` where the message
    lies that they were shown; `person` None: whoever had no valid token."""
    who = "somebody without a valid token" if person is None else f"{person.name} ({person.role})"
    reasons = [f"by {who}: {what}"] + ([f"reason given: {why}"] if why else [])
    return AuditEntry(
        audit_id=str(uuid.uuid4()),
        at=datetime.now(UTC),
        subject_id=subject_id,
        event_id=about,
        event_type="board",
        decision=decision,
        reasons=reasons,
        order_versions=[],
        policy_version="-",
        topic=place[0],
        partition=place[1],
        offset=offset,
        exercise=exercise,
    )
