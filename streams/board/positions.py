"""Where a reader of the stream is: the next offset of each partition that the board follows.

Offsets are the log's own, so a position holds after a restart, and at another board of the same cluster.
"""

import base64
import binascii
from collections.abc import Mapping

import msgspec

Place = tuple[str, int]
"""A topic, without prefix, and a partition."""
FOLLOWED = ("arrest-tasks", "safeguarding-tasks", "alerts")
"""The topics that the stream has, in the order in which a position lists them."""


def encode(positions: Mapping[Place, int]) -> str:
    """As an event's id: base64url of MessagePack; 3 bytes a partition while topics have less than 65,536 messages."""
    lists = [[offset for (name, _), offset in sorted(positions.items()) if name == topic] for topic in FOLLOWED]
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(lists)).rstrip(b"=").decode()


def decode(text: str) -> dict[Place, int] | None:
    """None for what is no position."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        lists = msgspec.msgpack.decode(raw, type=list[list[int]])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        return None
    if len(lists) != len(FOLLOWED):
        return None
    return {
        (topic, partition): offset
        for topic, offsets in zip(FOLLOWED, lists, strict=True)
        for partition, offset in enumerate(offsets)
    }
