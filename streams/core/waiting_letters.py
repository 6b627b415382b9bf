"""Which dead letters wait for somebody, from the messages of `dead-letters`: letters, and marks of those handled."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from schemas.cloud_events import Headers
from schemas.inbound import BadReason
from schemas.internal import DeadLetterHandled, DeadLetterHeaders

OTHER = "other"
"""The reason of a letter whose headers another program wrote, or another version."""
REASONS: Sequence[str] = (*BadReason, OTHER)
_KNOWN = {str(reason): reason for reason in BadReason}


class Place(NamedTuple):
    """Where a message lies in `dead-letters`; as text `PARTITION:OFFSET`."""

    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.partition}:{self.offset}"


def read_letter(headers: Headers | None) -> DeadLetterHeaders | None:
    """What the headers of a dead letter say; None where they are missing or unreadable."""
    try:
        return DeadLetterHeaders.from_kafka(headers or ())
    except ValueError:
        return None


def read_mark(headers: Headers | None) -> DeadLetterHandled | None:
    """What the headers of a mark say; None for anything else."""
    if not any(name == "bw-handled" for name, _ in headers or ()):
        return None
    try:
        return DeadLetterHandled.from_kafka(headers or ())
    except ValueError:
        return None


def name_of(key: bytes | None, letter: DeadLetterHeaders | None, place: Place) -> bytes:
    """What a mark of this letter has as its key: the letter's own, or its place where another program wrote it."""
    return str(place).encode() if letter is None or key is None else key


class _Letter(NamedTuple):
    reason: str
    messages: int
    last_offset: int
    since: float
    place: Place


class Waiting(NamedTuple):
    """What waits, by reason."""

    counts: Counter[str]
    """Messages, of every reason; a letter stands for one or many."""
    since: dict[str, float]
    """When the broker took the oldest letter, seconds since 1970; only of reasons of which one waits."""


class WaitingLetters:
    """The letters that nobody has replayed or dismissed; some 0.3 KB each.

    Letters and marks may come again, and in any order: a letter has a key of its own for ever. One that stands for
    many and comes again with more of them waits again.
    """

    def __init__(self) -> None:
        self._letters: dict[bytes, _Letter] = {}
        self._marks: dict[bytes, DeadLetterHandled] = {}
        self._waiting: Waiting | None = None
        """Counted last; None since something has changed. A million letters take a second."""

    def take(self, key: bytes | None, headers: Headers | None, place: Place, at: float) -> None:
        """One message; `at` is when the broker appended it, seconds since 1970."""
        self._waiting = None
        mark = read_mark(headers)
        if mark is not None:
            if key is not None and (key not in self._marks or _until(mark) >= _until(self._marks[key])):
                self._marks[key] = mark
            return
        stated = read_letter(headers)
        name = name_of(key, stated, place)
        if stated is None:
            letter = _Letter(OTHER, 1, -1, at, place)
        else:
            last = -1 if stated.last_offset is None else stated.last_offset
            letter = _Letter(_KNOWN.get(stated.reason, OTHER), stated.count, last, at, place)
        before_it = self._letters.get(name)
        if before_it is not None:
            newer = max(letter, before_it, key=lambda one: (one.last_offset, one.messages, one.place.offset))
            first = min(letter.since, before_it.since)
            letter = newer._replace(since=first, place=max(letter.place, before_it.place))
        self._letters[name] = letter

    def forget(self, begins: Mapping[int, int]) -> None:
        """What retention has deleted, by the first offset of each partition, waits no more: nobody can read it."""
        gone = [name for name, one in self._letters.items() if one.place.offset < begins[one.place.partition]]
        for name in gone:
            self._waiting = None
            del self._letters[name]

    def handled(self, key: bytes | None, headers: Headers | None, place: Place) -> DeadLetterHandled | None:
        """The mark of a letter; None of one that waits."""
        stated = read_letter(headers)
        mark = self._marks.get(name_of(key, stated, place))
        last = -1 if stated is None or stated.last_offset is None else stated.last_offset
        return None if mark is None or _until(mark) < last else mark

    def waiting(self) -> Waiting:
        """As it is now."""
        if self._waiting is not None:
            return self._waiting
        found = self._waiting = Waiting(Counter(dict.fromkeys(REASONS, 0)), {})
        for name, letter in self._letters.items():
            if self._waits(name, letter):
                found.counts[letter.reason] += letter.messages
                found.since[letter.reason] = min(letter.since, found.since.get(letter.reason, letter.since))
        return found

    def _waits(self, name: bytes, letter: _Letter) -> bool:
        mark = self._marks.get(name)
        return mark is None or _until(mark) < letter.last_offset


def _until(mark: DeadLetterHandled) -> int:
    return -1 if mark.last_offset is None else mark.last_offset
