"""Commands of whoever answers for personal data: erase, and hold against erasure. Topic `subject-events`.

Only `breachwatch erase` and `breachwatch hold` send them, keyed by the subject: the worker that has the subject's row
decides, on the row as it then stands, and nobody else writes what is the row's. The answer is an audit entry that
names the command's event id.
"""

import hashlib
from typing import Annotated, Literal

from pydantic import Field

from schemas.base import Event, Identity, Instant, Model, Text
from schemas.orders import IdentifierRecord

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


def digest(name: str) -> str:
    """SHA-256 of a person's id, hex: what an erasure may say of whom it erased. Who knows the id can look it up; who
    does not is not told it once more."""
    return hashlib.sha256(name.encode()).hexdigest()


class Beside(Model):
    """What the topics hold of somebody beyond what the row knows: tasks that have left it, identifiers that it gave
    up, records that a split left behind. Keys of messages, which name nobody."""

    tasks: list[Identity] = []
    safeguarding: list[Identity] = []
    identifiers: list[Digest] = []
    held: list[Identity] = []
    """Of `unresolved`."""
    links: list[IdentifierRecord] = []
    """Incident numbers, and other subjects' ids, that still stand for them in the index of running processes."""
    records: list[Annotated[str, Field(max_length=400)]] = []
    """Keys in the records' changelog."""


class EraseSubjectData(Model):
    beside: Beside = Beside()
    merged_into: Identity | None = None
    """The subject that this one turned out to be, who is erased too."""


class EraseSubject(Event):
    """Delete the subject's row and all that lies beside it."""

    type: Literal["erase_subject"]
    data: EraseSubjectData


class ErasePersonData(Model):
    person: Digest
    """Of the protected person's id, which the log is not told once more."""
    beside: Beside = Beside()


class ErasePerson(Event):
    """Take a protected person out of the subject's row, and out of the orders that are over."""

    type: Literal["erase_person"]
    data: ErasePersonData


class PlaceHoldData(Model):
    reference: Identity
    by: Text
    reason: Text


class PlaceHold(Event):
    """Nothing of this subject may be erased until the hold of this reference is lifted."""

    type: Literal["place_hold"]
    data: PlaceHoldData


class LiftHoldData(Model):
    reference: Identity
    by: Text
    reason: Text


class LiftHold(Event):
    """The hold is over."""

    type: Literal["lift_hold"]
    data: LiftHoldData


class Hold(Model):
    """A legal hold, as the row keeps it by its reference."""

    by: Text
    reason: Text
    at: Instant


Command = EraseSubject | ErasePerson | PlaceHold | LiftHold
