"""Subjects as assess works on them: a row and its records, decoded once and kept for the subject's next event."""

from collections import OrderedDict
from collections.abc import MutableMapping
from contextlib import suppress

from streams.core.records import Records
from streams.core.rows import load
from streams.core.state import SubjectState


class Subjects:
    """Rows and records over two byte tables; those of the `most` subjects that were last used are kept decoded.

    What is taken is changed as it is decided on, so it is not kept: whoever takes it puts it back when all of it is
    written, or ends.
    """

    def __init__(self, rows: MutableMapping[bytes, bytes], records: MutableMapping[bytes, bytes], most: int) -> None:
        self._rows, self._records, self._most = rows, records, most
        self._kept: OrderedDict[str, tuple[SubjectState, Records]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, subject_id: str) -> tuple[SubjectState, Records]:
        """The subject's row and records; a new row where there is none. Errors as `streams.core.rows.load`."""
        kept = self._kept.pop(subject_id, None)
        if kept is None:
            state = load(self._rows.get(subject_id.encode()), subject_id)
            return state, Records(subject_id, self._records, set(state.hours))
        kept[1].next_event()
        return kept

    def put(self, state: SubjectState, records: Records, row: bytes) -> None:
        """Write the row, which is the state as it is dumped; the records are written already."""
        self._rows[state.subject_id.encode()] = row
        self._kept[state.subject_id] = state, records
        if len(self._kept) > self._most:
            self._kept.popitem(last=False)

    def remove(self, subject_id: str) -> None:
        """Delete the row, of a subject that was taken; its records are deleted already.

        Also where none is here: an earlier attempt may have ended before the changelog had the null value.
        """
        with suppress(KeyError):
            del self._rows[subject_id.encode()]

    def clear(self) -> None:
        """Forget what is decoded: another worker may have written the tables since."""
        self._kept.clear()
