"""What is kept beside a subject's row, because it would outgrow it: evidence by minute, and order versions.

Keys are `<subject>|e|<minute>` (minutes since 1970), `<subject>|o|<order>|<version>` and, for effects that are
too long for the row's outbox, `<subject>|x|<offset>|<part>`. A minute holds at most some sixty fixes of a tag,
about 15 KB, which is what one more fix costs in the changelog.
"""

from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import suppress
from datetime import datetime
from functools import cached_property, lru_cache

from pydantic import TypeAdapter

from schemas.base import AnyArea, Model, Position
from schemas.orders import Buffer, Curfew, Distance, ExclusionZone, IdentifierRecord, OrderData, Residence, Term
from streams.core.zones import Bounds, Zone, ZoneIndex, prepare

MINUTE_S = 60
# Decoded minutes that are kept for a subject's next event: most look at the last one or two, of 2 KB a fix.
_MOST_SLICES = 10
NOT_THEIRS = "not_theirs"
"""The nature of evidence of a tag or plate that was somebody else's at its time."""
# A broker takes messages of 1 MB; a late order with hundreds of terms can have more effects than that.
_PART_BYTES = 250_000


class Observation(Model):
    """One event that may show a breach: a fix, read, officer sighting, adjudicated face match or report."""

    id: str
    """The event's id: source and id."""
    type: str
    at: datetime
    track: str
    """What moves: `tag:<device>`, `plate:<plate>`, `officer`, `face`; `report` does not move."""
    position: Position | None = None
    match: str = "direct"
    nature: str | None = None
    channel: str | None = None
    excuse: str | None = None
    force: str | None = None
    order_id: str | None = None
    protects: str | None = None
    topic: str
    partition: int
    offset: int
    sha256: str
    search_id: str | None = None
    """Of the search of retained reads that found it."""
    applied_at: int
    """Offset in `subject-events` of the record that brought it: the same offset again is a replay after a
    crash, another one is a duplicate."""


_SLICE: TypeAdapter[list[Observation]] = TypeAdapter(list[Observation])


def _minute(at: datetime) -> int:
    return int(at.timestamp()) // MINUTE_S


class Records:
    """One subject's records over a byte table (a Faust table, or a dict in tests).

    `hours` is the row's own list of hours that hold evidence: the table cannot be searched by prefix.
    Decoded slices and orders are kept for the life of this object; changes are written at once.
    """

    def __init__(self, subject_id: str, table: MutableMapping[bytes, bytes], hours: set[int]) -> None:
        self._subject = subject_id
        self._table = table
        self.hours = hours
        self.needed_by_row = False
        """What was written must be safe in the changelog before a row refers to it: an order, or effects."""
        self._slices: dict[int, list[Observation]] = {}
        self._orders: dict[tuple[str, int], KeptOrder] = {}

    def next_event(self) -> None:
        """Ready for another event of the subject."""
        self.needed_by_row = False
        if len(self._slices) > _MOST_SLICES:
            self._slices.clear()

    def _key(self, minute: int) -> bytes:
        return f"{self._subject}|e|{minute}".encode()

    def order_key(self, order_id: str, version: int) -> bytes:
        """Of an order version, in the table."""
        return f"{self._subject}|o|{order_id}|{version}".encode()

    def _slice(self, minute: int) -> list[Observation]:
        if minute // 60 not in self.hours:
            return []
        if minute not in self._slices:
            raw = self._table.get(self._key(minute))
            self._slices[minute] = _SLICE.validate_json(raw) if raw else []
        return self._slices[minute]

    def add(self, observation: Observation) -> bool:
        """Keep it; False if its id is already kept from another record, which is how a duplicate is known.

        Row and records reach their changelogs apart, so after a crash a slice may hold what the row does not
        know of: the replayed record is then applied, not taken for its own duplicate.
        """
        minute = _minute(observation.at)
        present = self._slice(minute)
        known = next((known for known in present if known.id == observation.id), None)
        if known is not None and known.applied_at != observation.applied_at:
            return False
        present = [kept for kept in present if kept is not known]
        self.hours.add(minute // 60)
        self._write(minute, sorted([*present, observation], key=lambda o: (o.at, o.id)))
        return True

    def remove(self, observation: Observation) -> None:
        """Forget one observation (its source has taken it back)."""
        minute = _minute(observation.at)
        self._write(minute, [kept for kept in self._slice(minute) if kept.id != observation.id])

    def _write(self, minute: int, observations: list[Observation]) -> None:
        self._slices[minute] = observations
        self._table[self._key(minute)] = _SLICE.dump_json(observations, exclude_defaults=True)

    def rewrite(self, at: datetime) -> None:
        """Write the slice again as it is: a replay may find it in the local store but not in the changelog."""
        minute = _minute(at)
        if self._slice(minute):
            self._write(minute, self._slice(minute))

    def all(self) -> Iterator[Observation]:
        """Everything kept, by time."""
        for hour in sorted(self.hours):
            for minute in range(hour * 60, hour * 60 + 60):
                yield from self._slice(minute)

    def keeps(self, observation: Observation) -> bool:
        """Is an observation of this id kept, as it came or as it was adjudicated?"""
        return any(kept.id == observation.id for kept in self._slice(_minute(observation.at)))

    def find(self, event_id: str) -> Observation | None:
        return next((kept for kept in self.all() if kept.id == event_id), None)

    def after(self, at: datetime, end: datetime) -> Iterator[Observation]:
        """Those from `at` on, by time, up to the minute of `end`."""
        for minute in range(_minute(at), _minute(end) + 1):
            yield from (kept for kept in self._slice(minute) if kept.at >= at)

    def before(self, at: datetime) -> Iterator[Observation]:
        """Those up to `at`, newest first, as far back as there is any."""
        if not self.hours:
            return
        for minute in range(_minute(at), min(self.hours) * 60 - 1, -1):
            yield from (kept for kept in reversed(self._slice(minute)) if kept.at <= at)

    def expire(self, before: datetime) -> int:
        """Drop whole hours that ended before `before`; the number of minutes dropped."""
        dropped = 0
        for hour in [h for h in self.hours if (h + 1) * 3600 <= before.timestamp()]:
            for minute in range(hour * 60, hour * 60 + 60):
                if self._table.get(self._key(minute)) is not None:
                    del self._table[self._key(minute)]
                    dropped += 1
                self._slices.pop(minute, None)
            self.hours.discard(hour)
        return dropped

    def put_order(self, order: OrderData) -> None:
        self.needed_by_row = True
        self._orders.pop((order.order_id, order.version), None)
        self._table[self.order_key(order.order_id, order.version)] = order.model_dump_json(exclude_none=True).encode()

    def effects_keys(self, offset: int, parts: int) -> list[bytes]:
        """Of an outbox entry that was cut into so many parts, in the table."""
        return [f"{self._subject}|x|{offset}|{number}".encode() for number in range(parts)]

    def put_effects(self, offset: int, raw: bytes) -> int:
        """Keep an outbox entry that is too long for the row; the number of parts that it was cut into."""
        self.needed_by_row = True
        parts = [raw[at : at + _PART_BYTES] for at in range(0, len(raw), _PART_BYTES)]
        for key, part in zip(self.effects_keys(offset, len(parts)), parts, strict=True):
            self._table[key] = part
        return len(parts)

    def effects(self, offset: int, parts: int) -> bytes:
        return b"".join(self._table[key] for key in self.effects_keys(offset, parts))

    def drop_effects(self, offset: int, parts: int) -> None:
        for key in self.effects_keys(offset, parts):
            self._table.pop(key, None)

    def are_theirs(self, key: str) -> bool:
        """Is it a key of this subject's records?"""
        return key.startswith(f"{self._subject}|")

    def erase(self, keys: Iterable[str]) -> None:
        """Delete all evidence, and what has these keys; nothing of it stays in this process either.

        Also what is not there: an earlier attempt may have deleted it here, and have ended before the changelog had
        the null value. So of each hour all 60 minutes: 10,000 after a week of fixes, a second or two, once.
        """
        self.needed_by_row = True
        minutes = [self._key(minute) for hour in self.hours for minute in range(hour * 60, hour * 60 + 60)]
        for key in [*minutes, *(key.encode() for key in keys)]:
            with suppress(KeyError):
                del self._table[key]
        self.hours.clear()
        self._slices.clear()
        self._orders.clear()
        _kept_order.cache_clear()

    def rewrite_order(self, order_id: str, version: int) -> None:
        """As `rewrite`, for an order version."""
        key = self.order_key(order_id, version)
        raw = self._table.get(key)
        if raw is not None:
            self._table[key] = raw

    def order(self, order_id: str, version: int) -> "KeptOrder":
        """The order version that the row says is kept; KeyError means the table and the row disagree."""
        kept = self._orders.get((order_id, version))
        if kept is None:
            raw = self._table.get(self.order_key(order_id, version))
            if raw is None:
                raise KeyError(f"{order_id} version {version}")
            kept = self._orders[(order_id, version)] = _kept_order(raw)
        return kept


_OF_PLACES = ExclusionZone | Buffer | Distance | Curfew | Residence


class KeptOrder:
    """An order version, decoded once, with its zones prepared once."""

    def __init__(self, data: OrderData) -> None:
        self.data = data
        self.terms: dict[str, Term] = {term.term_id: term for term in data.terms}
        self._zones: dict[str, Zone] = {}
        self.named: dict[str, list[IdentifierRecord]] = {}
        """Subject -> who and what it names under that subject; see `streams.core.identity`."""

    @cached_property
    def is_about_places(self) -> bool:
        """Can a sighting of a vehicle matter to a term of it?"""
        return any(term.locality is not None or isinstance(term, _OF_PLACES) for term in self.data.terms)

    @cached_property
    def _by_place(self) -> ZoneIndex:
        return ZoneIndex(
            {term.term_id: self.zone(term) for term in self.data.terms if isinstance(term, ExclusionZone | Buffer)}
        )

    @cached_property
    def _anywhere(self) -> frozenset[str]:
        return frozenset(term.term_id for term in self.data.terms if isinstance(term, Distance | Curfew))

    def may_concern(self, movement: Bounds) -> set[str]:
        """The terms that a movement within the box may breach or end: zones near it, and all that are no zones."""
        return self._by_place.near(movement) | self._anywhere

    def zone(self, term: ExclusionZone | Buffer | Curfew) -> Zone:
        return self._prepared(term.term_id, term.area)

    def locality(self, term: Term) -> Zone:
        """The area that a term is limited to; only for terms that have one."""
        assert term.locality is not None
        return self._prepared(f"{term.term_id} locality", term.locality)

    def _prepared(self, name: str, area: AnyArea) -> Zone:
        zone = self._zones.get(name)
        if zone is None:
            zone = self._zones[name] = prepare(area)
        return zone


# One process sees the same few orders at each fix of a tag; decoding a large one takes milliseconds.
@lru_cache(maxsize=20_000)
def _kept_order(raw: bytes) -> KeptOrder:
    return KeptOrder(OrderData.model_validate_json(raw))
