"""The identifier index: who is named by a plate, tag, order or reference, at a moment. Pure memory.

Each worker and gate holds the whole of it: 100,000 identifiers, half of them plates, of 50,000 orders. So what it
keeps is small: tuples, and one text for each way in which cameras may read a plate.
"""

from collections.abc import Container, Iterator
from datetime import datetime
from typing import NamedTuple

from schemas.orders import NEVER, IdentifierKind, IdentifierRecord, Role
from streams.core.plates import canonical, readings, skeleton
from streams.core.resolve import is_exercise


class _Named(NamedTuple):
    """A record, without what it is found by."""

    subject_id: str
    order_id: str
    role: Role
    person_id: str | None
    valid_from: datetime | None
    valid_to: datetime | None

    def valid(self, at: datetime) -> bool:
        return (self.valid_from is None or self.valid_from <= at) and (self.valid_to is None or at < self.valid_to)


class IdentifierIndex:
    """The records by what they name; pure memory."""

    def __init__(self) -> None:
        self._named: dict[tuple[IdentifierKind, str], tuple[_Named, ...]] = {}
        self._plates: dict[str, str | set[str]] = {}
        """What cameras confuse, and that with one character lost -> the plate; a set where there are several."""

    def __len__(self) -> int:
        return sum(map(len, self._named.values()))

    def __iter__(self) -> Iterator[IdentifierRecord]:
        return (_record(kind, value, named) for (kind, value), many in self._named.items() for named in many)

    def add(self, record: IdentifierRecord) -> None:
        value = _spelt(record.kind, record.value)
        new = _Named(
            record.subject_id, record.order_id, record.role, record.person_id, record.valid_from, record.valid_to
        )
        if new.valid_to is not None and new.valid_to <= NEVER:
            self._forget(record.kind, value, new)
            return
        others = [named for named in self._named.get((record.kind, value), ()) if named[:3] != new[:3]]
        self._named[(record.kind, value)] = (*others, new)
        if record.kind is IdentifierKind.PLATE and not others:
            for read in readings(value):
                known = self._plates.setdefault(read, value)
                if isinstance(known, set):
                    known.add(value)
                elif known != value:
                    self._plates[read] = {known, value}

    def _forget(self, kind: IdentifierKind, value: str, gone: _Named) -> None:
        left = tuple(named for named in self._named.get((kind, value), ()) if named[:3] != gone[:3])
        if left:
            self._named[(kind, value)] = left
        elif self._named.pop((kind, value), ()) and kind is IdentifierKind.PLATE:
            for read in readings(value):
                known = self._plates[read]
                others = known - {value} if isinstance(known, set) else {known} - {value}
                if others:
                    self._plates[read] = others
                else:
                    del self._plates[read]

    @property
    def looks_known(self) -> Container[str]:
        """Skeletons of the reads that could be of interest: of plates on any order, and of what looks like them."""
        return self._plates

    def find(self, kind: IdentifierKind, value: str, at: datetime, exercise: bool) -> list[IdentifierRecord]:
        """The records that `value` names at `at`, one for each subject and role."""
        spelt = _spelt(kind, value)
        found = {
            (named.subject_id, named.role): named
            for named in self._named.get((kind, spelt), ())
            if is_exercise(named.subject_id) == exercise and named.valid(at)
        }
        return [_record(kind, spelt, named) for named in found.values()]

    def look_alikes(self, vrm: str, at: datetime, exercise: bool) -> list[IdentifierRecord]:
        """The records of plates that a camera could have read as this: confused characters, or one lost.

        The plate itself is not among them.
        """
        known = self._plates.get(skeleton(vrm), set())
        others = (known if isinstance(known, set) else {known}) - {canonical(vrm)}
        return [r for plate in sorted(others) for r in self.find(IdentifierKind.PLATE, plate, at, exercise)]


def _record(kind: IdentifierKind, value: str, named: _Named) -> IdentifierRecord:
    return IdentifierRecord.model_construct(kind=kind, value=value, **named._asdict())


def _spelt(kind: IdentifierKind, value: str) -> str:
    return canonical(value) if kind is IdentifierKind.PLATE else value
