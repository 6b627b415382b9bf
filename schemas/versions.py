"""Messages of an older schema version are made ones of the current version before anything else looks at them."""

from collections.abc import Callable
from typing import Any

from schemas.base import SCHEMA_VERSION

UNSTATED = 1
"""The version of a message that states none: for ever the first, whatever the current one is."""
UPCASTS: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""Version -> how the JSON object of an event of it becomes one of the version after it.

A new version of the contract raises `SCHEMA_VERSION` and adds the step from the one before. A step is pure, needs
nothing but the event, and stays for as long as a message of its version can be in a topic, or a sender sends it.
"""


def readable() -> list[int]:
    """The versions that are read, oldest first."""
    found = [SCHEMA_VERSION]
    while found[0] - 1 in UPCASTS:
        found.insert(0, found[0] - 1)
    return found


def version_of(event: dict[str, Any]) -> int | None:
    """The version that an event states; None where it is no number."""
    version = event.get("schemaversion", UNSTATED)
    return version if isinstance(version, int) and not isinstance(version, bool) else None


def is_older(event: dict[str, Any]) -> bool:
    """Of a version that is read, and not the current one?"""
    version = version_of(event)
    return version is not None and version != SCHEMA_VERSION and version in readable()


def upcast(event: dict[str, Any]) -> dict[str, Any]:
    """The same event in the current version; of a version that `readable` names."""
    version = version_of(event)
    assert version is not None
    while version < SCHEMA_VERSION:
        event = UPCASTS[version](event)
        version += 1
    return event | {"schemaversion": SCHEMA_VERSION}
