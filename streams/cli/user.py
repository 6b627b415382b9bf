"""Who is at the keyboard, and the record of what they did."""

import os
import pwd
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.kafka.sending import Outgoing
    from streams.settings import Settings


def user() -> str:
    """The name of the user whom the operating system knows: LOGNAME and USER are what anybody sets them to."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a container may run as a number without a name
        return f"uid {os.getuid()}"


def on_record(
    settings: "Settings", decision: str, why: str, about: str, kind: str, place: tuple[str, int, int]
) -> "Outgoing":
    """The audit entry of a command: who did what about which event or source, and why; to be sent before it is done.

    `kind` goes where entries of events have the event's type, `place` is topic, partition and offset.
    """
    from schemas.tasks import AuditEntry
    from streams.kafka.sending import Outgoing
    from streams.kafka.topics import full_name
    from streams.outbound import outbound

    topic, partition, offset = place
    entry = AuditEntry(
        audit_id=str(uuid.uuid4()),
        at=datetime.now(UTC),
        subject_id="-",
        event_id=about,
        event_type=kind,
        decision=decision,
        reasons=[f"by {user()}: {why}"],
        order_versions=[],
        policy_version="-",
        topic=topic,
        partition=partition,
        offset=offset,
    )
    key, value, headers = outbound("audit", entry)
    return Outgoing(full_name(settings, "audit"), key, value, tuple(headers))
