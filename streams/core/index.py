"""The identifier index: who is named by a plate, tag, order or reference, at a moment. Pure memory."""

from collections import defaultdict
from collections.abc import Container
from datetime import datetime

from schemas.orders import IdentifierKind, IdentifierRecord, Role
from streams.core.plates import canonical, readings, skeleton
from streams.core.resolve import EXERCISE


class IdentifierIndex:
    """The records by what they name; pure memory."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], dict[tuple[str, str, str], IdentifierRecord]] = defaultdict(dict)
        self._skeletons: dict[str, set[str]] = defaultdict(set)
        """Plates by what cameras confuse, and by that with one character lost."""

    def __len__(self) -> int:
        return sum(map(len, self._records.values()))

    def add(self, record: IdentifierRecord) -> None:
        value = _spelt(record.kind, record.value)
        self._records[(record.kind, value)][(record.subject_id, record.order_id, record.role)] = record
        if record.kind is IdentifierKind.PLATE:
            for read in readings(value):
                self._skeletons[read].add(value)

    @property
    def looks_known(self) -> Container[str]:
        """Skeletons of the reads that could be of interest: of plates on any order, and of what looks like them."""
        return self._skeletons

    def find(self, kind: IdentifierKind, value: str, at: datetime, exercise: bool) -> list[IdentifierRecord]:
        """The records that `value` names at `at`, one for each subject and role."""
        found: dict[tuple[str, Role], IdentifierRecord] = {}
        for record in self._records.get((kind, _spelt(kind, value)), {}).values():
            if record.subject_id.startswith(EXERCISE) == exercise and _valid(record, at):
                found[(record.subject_id, record.role)] = record
        return list(found.values())

    def look_alikes(self, vrm: str, at: datetime, exercise: bool) -> list[IdentifierRecord]:
        """The records of plates that a camera could have read as this: confused characters, or one lost.

        The plate itself is not among them.
        """
        others = self._skeletons.get(skeleton(vrm), set()) - {canonical(vrm)}
        return [r for plate in sorted(others) for r in self.find(IdentifierKind.PLATE, plate, at, exercise)]


def _spelt(kind: str, value: str) -> str:
    return canonical(value) if kind == IdentifierKind.PLATE else value


def _valid(record: IdentifierRecord, at: datetime) -> bool:
    return (record.valid_from is None or record.valid_from <= at) and (
        record.valid_to is None or at < record.valid_to
    )
