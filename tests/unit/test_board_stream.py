"""The live stream: who is told what, who comes back misses nothing, and who does not read is let go."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from listener import Heard, parse

from streams.board.model import Change
from streams.board.people import Person
from streams.board.positions import FOLLOWED, Place, decode, encode
from streams.board.stream import Asked, Client, Hub, events

PLACES: list[Place] = [(topic, number) for topic in FOLLOWED for number in (0, 1)]
NOW_MS = 1_800_000_000_000


def somebody(*forces: str, role: Any = "controller", expires_in_s: float = 3600) -> Person:
    expires_at = (datetime.now(UTC) + timedelta(seconds=expires_in_s)).timestamp()
    return Person("op-7", role, frozenset(forces) or None, expires_at)


def change(number: int, *forces: str, before: frozenset[str] | None = None, **more: Any) -> Change:
    data = orjson.dumps({"number": number})
    return Change(
        "task", data, frozenset(forces), before, more.pop("exercise", False), removal=b'{"task_id":"t"}', **more
    )


def begun(most_kept: int = 1000, kept_s: float = 900.0) -> Hub:
    hub = Hub(most_kept, kept_s)
    hub.begin(dict.fromkeys(PLACES, 0))
    return hub


def feed(hub: Hub, *numbers: int, place: Place = PLACES[0], at_ms: float = NOW_MS, **more: Any) -> None:
    for number in numbers:
        hub.passed(place, hub.positions[place], int(at_ms), change(number, **more), NOW_MS)


def heard(made: bytes | Iterable[bytes]) -> list[Heard]:
    whole = made if isinstance(made, bytes) else b"".join(made)
    return list(parse(iter(whole.decode().split("\r\n"))))


def numbers(made: bytes | Iterable[bytes]) -> list[int]:
    return [event.data["number"] for event in heard(made) if event.event == "task"]


@given(st.dictionaries(st.sampled_from(PLACES), st.integers(0, 2**40), min_size=6, max_size=6))
def test_a_position_is_its_text(positions: dict[Place, int]) -> None:
    assert decode(encode(positions)) == positions


@pytest.mark.parametrize("text", ["", "!", "AAAA", "k5MAAg", "null", "x" * 5000, "\u00e9"])
def test_what_is_no_position_is_none(text: str) -> None:
    assert decode(text) is None


def test_each_client_is_told_what_is_theirs() -> None:
    hub = begun()
    clients = {
        "a": hub.open(somebody("A"), "none", None, 100)[0],
        "b": hub.open(somebody("B"), "none", None, 100)[0],
        "all": hub.open(somebody(), "with", None, 100)[0],
        "viewer": hub.open(somebody(role="viewer"), "only", None, 100)[0],
    }
    for number, made in enumerate(
        [
            change(0, "A"),
            change(1, "A", "B"),
            change(2),
            change(3, "A", exercise=True),
            change(4, "A", exercise=True, protected=True),
            change(5, "B", before=frozenset("A")),
        ]
    ):
        hub.passed(PLACES[0], number, NOW_MS, made, NOW_MS)
    taken = {name: client.take() for name, client in clients.items()}
    assert {name: numbers(made) for name, made in taken.items()} == {
        "a": [0, 1, 2], "b": [1, 2, 5], "all": [0, 1, 2, 3, 4, 5], "viewer": [3]
    }  # fmt: skip
    assert heard(taken["a"])[-1][1:] == ("task_removed", {"task_id": "t"}), "it is another force's from now on"


def test_who_comes_back_gets_what_came_since_and_then_goes_on() -> None:
    hub = begun()
    feed(hub, 1, 2)
    position = hub.position()
    feed(hub, 3, place=PLACES[3])
    feed(hub, 4)
    client, missed = hub.open(somebody(), "none", position, 100)
    told = heard(missed)
    assert [event.event for event in told] == ["task", "task", "start"]
    assert sorted(event.data["number"] for event in told[:2]) == [3, 4]
    feed(hub, 5)
    assert numbers(client.take()) == [5]


@given(st.lists(st.tuples(st.sampled_from(PLACES), st.integers(0, 50)), max_size=60), st.data())
def test_whoever_breaks_off_anywhere_and_comes_back_has_all_of_it(log: list[tuple[Place, int]], data: Any) -> None:
    """Also at another board, or after a restart: what it read is the same log, interleaved in another way."""
    hub, other = begun(), begun()
    client, _ = hub.open(somebody(), "none", hub.position(), 1000)
    for number, (place, at) in enumerate(log):
        feed(hub, number, place=place, at_ms=NOW_MS - at)
    by_place = [[(n, *entry) for n, entry in enumerate(log) if entry[0] == place] for place in PLACES]
    for number, place, at in (entry for entries in by_place for entry in entries):
        feed(other, number, place=place, at_ms=NOW_MS - at)
    got = heard(client.take())
    cut = data.draw(st.integers(0, len(got)))
    first = got[:cut]
    last_id = first[-1].id if first else encode(dict.fromkeys(PLACES, 0))
    for board in (hub, other):
        _, missed = board.open(somebody(), "none", last_id, 1000)
        second = heard(missed)
        assert "reset" not in [event.event for event in second]
        cut_again = data.draw(st.integers(0, len(second)))
        third = second[:cut_again]
        _, rest = board.open(somebody(), "none", third[-1].id if third else last_id, 1000)
        whole = {e.data["number"] for e in (*first, *third, *heard(rest)) if e.event == "task"}
        assert whole == set(range(len(log)))


@pytest.mark.parametrize("last_id", ["nonsense", encode({**dict.fromkeys(PLACES, 0), PLACES[0]: 99}), encode({})])
def test_an_id_that_is_none_of_this_log_is_a_reset(last_id: str) -> None:
    hub = begun()
    feed(hub, 1)
    [told] = heard(hub.open(somebody(), "none", last_id, 100)[1])
    assert (told.event, told.id) == ("reset", hub.position())


def test_an_id_from_before_the_ring_is_a_reset_and_one_within_it_is_not() -> None:
    hub = begun(most_kept=3)
    positions = [hub.position()]
    for number in range(5):
        feed(hub, number)
        positions.append(hub.position())
    events_of = [[e.event for e in heard(hub.open(somebody(), "none", at, 100)[1])] for at in positions]
    assert events_of[:2] == [["reset"], ["reset"]]
    assert events_of[2] == ["task"] * 3 + ["start"]
    assert events_of[5] == ["start"]


def test_what_was_old_when_it_was_read_is_not_kept() -> None:
    """The start reads every task that there is: none of them drives out what came in the last minutes."""
    hub = begun(most_kept=10, kept_s=60)
    feed(hub, 1, place=PLACES[1], at_ms=NOW_MS - 1000)
    feed(hub, *range(100), at_ms=NOW_MS - 3_600_000)
    recent = {**dict.fromkeys(PLACES, 0), PLACES[0]: 100}
    assert numbers(hub.open(somebody(), "none", encode(recent), 100)[1]) == [1]


def test_what_was_erased_is_not_told_to_who_comes_back() -> None:
    hub = begun()
    position = hub.position()
    feed(hub, 1)
    gone = Change("task_removed", b'{"task_id":"t"}', frozenset(), None, False)
    hub.passed(PLACES[0], 1, NOW_MS, gone, NOW_MS)
    assert [event.event for event in heard(hub.open(somebody(), "none", position, 9)[1])] == ["task_removed", "start"]


def test_a_client_that_does_not_read_is_let_go_and_told() -> None:
    async def run() -> None:
        hub = begun()
        stream = events(hub, Asked(somebody(), "none", None, 5), 60.0, dict)
        assert not hub.clients, "who goes away before the first event leaves nothing behind"
        first = [event for _ in range(3) for event in heard(await anext(stream))]
        [client] = hub.clients
        feed(hub, *range(3))
        got = heard(await anext(stream))
        feed(hub, *range(3, 9))
        assert client.evicted
        assert not client.waiting, "what waited for it takes no memory any more"
        assert heard(await anext(stream))[0].event == "evicted"
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        assert not hub.clients
        assert [event.event for event in first] == ["start", "heartbeat"]
        _, missed = hub.open(somebody(), "none", got[-1].id, 100)
        assert numbers(missed) == list(range(3, 9)), "it goes on where it was"

    asyncio.run(run())


def test_a_stream_ends_with_the_token() -> None:
    async def run() -> None:
        hub = begun()
        asked = Asked(somebody(expires_in_s=0.2), "none", None, 5)
        made = [chunk async for chunk in events(hub, asked, 60.0, dict)]
        assert heard(made)[-1].event == "expired"
        assert not hub.clients

    asyncio.run(run())


def test_signs_of_life_have_the_state_of_the_data_and_the_position_of_the_client() -> None:
    async def run() -> None:
        hub, state = begun(), {"data_age_s": None, "unreadable": 0}
        stream = events(hub, Asked(somebody("A"), "none", None, 50), 0.05, lambda: dict(state))
        beat = [heard(await anext(stream)) for _ in range(3)][-1][-1]
        assert beat.data.items() >= state.items()
        state |= {"data_age_s": 7.0, "unreadable": 2}
        hub.passed(PLACES[0], 0, NOW_MS, change(1, "B"), NOW_MS)
        beat = heard(await anext(stream))[-1]
        assert (beat.event, beat.id) == ("heartbeat", hub.position()), "what is not theirs is passed too"
        assert beat.data.items() >= state.items()
        await stream.aclose()
        assert not hub.clients

    asyncio.run(run())


def test_all_that_waits_goes_out_as_one() -> None:
    client = Client(somebody(), "none", 10)
    client.offer(b"a")
    client.offer(b"b")
    assert (client.take(), client.take()) == (b"ab", b"")
