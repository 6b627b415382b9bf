"""The live stream: what changed goes to every client that may see it, and a client that comes back misses nothing.

The id of an event is the position behind it (`streams.board.positions`). The newest changes are kept in a ring; a
client that says where it was gets what came since, or a `reset` where the ring does not reach back as far. Events
have the whole of what changed, so one that comes twice does no harm.

Each client has a queue of its own. One that does not read fills it and is evicted: its queue is let go at once, and
where it reads again it is told so, and comes back with the last id that it has.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple

import orjson
from sse_starlette import ServerSentEvent

from streams import metrics
from streams.board.model import Change
from streams.board.people import Exercises, Person, of_world
from streams.board.positions import Place, decode, encode

# So long a client waits before it comes back by itself, milliseconds.
_RETRY_MS = 2000
# Events that are sent as one: some 100 KB, which is what the socket of a client that does not read goes on to hold
# when it is dropped, and 1 ms of the loop's time to make.
_AT_A_TIME = 50


class Kept(NamedTuple):
    """A change in the ring, where it came from, and when the broker had it, milliseconds since 1970."""

    place: Place
    offset: int
    at_ms: int
    change: Change


class Event(NamedTuple):
    """As a client gets it."""

    name: str
    data: bytes


def seen(change: Change, person: Person, exercises: Exercises) -> Event | None:
    """What somebody is told of a change; None: nothing of it is theirs to see."""
    if not of_world(change.exercise, exercises):
        return None
    if person.sees(change.forces, protected=change.protected):
        return Event(change.kind, change.data)
    if change.before is not None and person.sees(change.before, protected=change.protected):
        # It was theirs, and a correction made it another force's alone.
        return Event(f"{change.kind}_removed", change.removal)
    return None


def chunk(event: Event, position: str) -> bytes:
    return ServerSentEvent(event.data.decode(), event=event.name, id=position).encode()


@dataclass(eq=False)
class Client:
    """One that listens: who, to what, and what waits for it."""

    person: Person
    exercises: Exercises
    most: int
    waiting: deque[bytes] = field(default_factory=deque)
    evicted: bool = False
    _woken: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, made: bytes) -> None:
        if self.evicted:
            return
        if len(self.waiting) >= self.most:
            self.evicted = True
            self.waiting.clear()
            metrics.BOARD_DROPPED.labels("slow").inc()
        else:
            self.waiting.append(made)
        self._woken.set()

    def take(self) -> bytes:
        """What waits, as much of it as goes out as one."""
        taken = b"".join(self.waiting.popleft() for _ in range(min(_AT_A_TIME, len(self.waiting))))
        if not self.waiting:
            self._woken.clear()
        return taken

    async def wait(self, timeout_s: float) -> None:
        """Until something waits, at most so long."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._woken.wait()
        except TimeoutError:
            pass


class Hub:
    """Gives what changed to the clients. `most_kept` is the size of the ring, `kept_s` how far it reaches back."""

    def __init__(self, most_kept: int, kept_s: float) -> None:
        self.clients: set[Client] = set()
        self.positions: dict[Place, int] = {}
        self._most_kept, self._kept_ms = most_kept, kept_s * 1000
        self._ring: deque[Kept] = deque()
        self._gone: dict[Place, int] = {}
        """The first offset of each partition of which all from there on is in the ring."""

    def begin(self, positions: dict[Place, int]) -> None:
        """Reading begins there."""
        self.positions, self._gone = dict(positions), dict(positions)
        self._ring.clear()

    def passed(self, place: Place, offset: int, at_ms: int, change: Change | None, now_ms: float) -> None:
        """A message was taken in; `change` is what it changed."""
        self.positions[place] = offset + 1
        if change is None:
            return
        if change.kind.endswith("_removed"):
            self._purge(change)
        if now_ms - at_ms > self._kept_ms:
            self._gone[place] = offset + 1
        else:
            self._ring.append(Kept(place, offset, at_ms, change))
        while len(self._ring) > self._most_kept or (self._ring and now_ms - self._ring[0].at_ms > self._kept_ms):
            old = self._ring.popleft()
            self._gone[old.place] = max(self._gone.get(old.place, 0), old.offset + 1)
        if self.clients:
            self._give(change)

    def _give(self, change: Change) -> None:
        position = encode(self.positions)
        made: dict[Event, bytes] = {}
        for client in list(self.clients):
            event = seen(change, client.person, client.exercises)
            if event is not None:
                if event not in made:
                    made[event] = chunk(event, position)
                client.offer(made[event])

    def _purge(self, change: Change) -> None:
        """What was removed is erased here too: nobody who comes back is told of it any more."""
        kept = (k for k in self._ring if k.change.removal != change.data)
        self._ring = deque(kept)

    def position(self) -> str:
        return encode(self.positions)

    def has(self, positions: dict[Place, int]) -> bool:
        """Is all that was taken in there taken in here? A position of another log never is."""
        return positions.keys() == self.positions.keys() and all(
            at <= self.positions[place] for place, at in positions.items()
        )

    def of_person(self, name: str) -> int:
        """How many clients somebody has."""
        return sum(client.person.name == name for client in self.clients)

    def _reaches(self, positions: dict[Place, int] | None) -> bool:
        """Is all that came since then still here? A position ahead of ours is another log's, or another board's."""
        return (
            positions is not None
            and self.has(positions)
            and all(self._gone.get(place, 0) <= at for place, at in positions.items())
        )

    def open(
        self, person: Person, exercises: Exercises, last_id: str | None, most: int
    ) -> tuple[Client, Iterator[bytes]]:
        """A client from now on, and what it has missed since `last_id`, one event after the other."""
        client = Client(person, exercises, most)
        self.clients.add(client)
        metrics.BOARD_CLIENTS.set(len(self.clients))
        if last_id is None:
            return client, iter([chunk(Event("start", b"{}"), self.position())])
        positions = decode(last_id)
        if positions is None or not self._reaches(positions):
            return client, iter([chunk(Event("reset", b"{}"), self.position())])
        # References alone: made into text as they are sent, or fifty clients that come back at once need 40 MB each.
        missed = [kept for kept in self._ring if kept.offset >= positions[kept.place]]
        return client, _told(missed, client, positions, self.position())

    def close(self, client: Client) -> None:
        self.clients.discard(client)
        metrics.BOARD_CLIENTS.set(len(self.clients))


def _told(missed: list[Kept], client: Client, positions: dict[Place, int], position: str) -> Iterator[bytes]:
    # In the order in which they were read: that of the log within a partition, whatever a broker's clock did.
    for kept in missed:
        positions[kept.place] = kept.offset + 1
        event = seen(kept.change, client.person, client.exercises)
        if event is not None:
            yield chunk(event, encode(positions))
    yield chunk(Event("start", b"{}"), position)


class Asked(NamedTuple):
    """Who wants to listen to what, since when, and how much may wait for them."""

    person: Person
    exercises: Exercises
    last_id: str | None
    most: int


async def events(
    hub: Hub, asked: Asked, heartbeat_s: float, state: Callable[[], dict[str, Any]]
) -> AsyncIterator[bytes]:
    """The stream of one client, until it is evicted or its token ends; heartbeats say the `state` of the data.

    It is a client from the first event on: one that goes away before leaves nothing behind.
    """
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + asked.person.expires_at - datetime.now(UTC).timestamp()
    client, missed = hub.open(*asked)
    try:
        yield ServerSentEvent(retry=_RETRY_MS).encode()
        while part := b"".join(islice(missed, _AT_A_TIME)):
            yield part
        beat_at = loop.time()
        while True:
            # Where much waits the heartbeat does too: what waits is a sign of life.
            await client.wait(min(beat_at, ends_at) - loop.time())
            if client.evicted:
                yield ServerSentEvent("{}", event="evicted").encode()
                return
            made = client.take()
            if loop.time() >= beat_at and not client.waiting:
                # All that came is taken, so that the position is what this client has.
                made += _heartbeat(hub, state())
                beat_at = loop.time() + heartbeat_s
            if made:
                yield made
            if loop.time() >= ends_at:
                yield ServerSentEvent("{}", event="expired").encode()
                return
    finally:
        hub.close(client)


def _heartbeat(hub: Hub, state: dict[str, Any]) -> bytes:
    said = {"at": datetime.now(UTC), **state}
    return chunk(Event("heartbeat", orjson.dumps(said, option=orjson.OPT_UTC_Z)), hub.position())
