"""The Kafka key of an inbound message: for spreading only, since no key but our own is ever trusted."""

import hashlib

from schemas.base import Event
from streams.core.resolve import direct_subject, references


def message_key(event: Event) -> bytes:
    """The subject where the event names one, else a hash of what it names somebody by.

    A hash, because a plate or a phone number in a key would be personal data outside the message.
    """
    subject = direct_subject(event)
    if subject is not None:
        return subject.encode()
    named = references(event)
    text = "\x1f".join(named[0]) if named else event.event_id
    return hashlib.sha256(text.encode()).hexdigest()[:32].encode()
