"""What is stuck or was frozen is seen, and ends."""

import asyncio
import math
import time

import pytest

from streams.watchdog import BEAT_S, Progress, Pulse, Stalls, Watchdog


class Hands:
    at = 0.0

    def __call__(self) -> float:
        return self.at


def test_a_gap_above_the_limit_ends_the_process_before_its_next_send() -> None:
    ended: list[str] = []
    hands = Hands()
    pulse = Pulse(6.0, ended.append, hands)
    hands.at = 5.9
    pulse.check()
    assert ended == []
    hands.at = 6.1
    pulse.check()
    assert "6.1 s" in ended[0]


def test_the_first_beat_after_a_freeze_does_not_hide_it() -> None:
    ended: list[str] = []
    hands = Hands()
    pulse = Pulse(6.0, ended.append, hands)
    hands.at = 60.0
    pulse.beat()
    assert len(ended) == 1


def test_only_what_waits_uncommitted_for_too_long_is_stalled() -> None:
    stalls = Stalls(10.0)
    ages = stalls.look({"stuck": Progress(3, 5), "goes on": Progress(3, 5), "idle": Progress(5, 5)}, 0.0)
    assert ages == {"stuck": 0.0, "goes on": 0.0, "idle": 0.0}
    ages = stalls.look({"stuck": Progress(3, 9), "goes on": Progress(4, 9), "idle": Progress(5, 5)}, 11.0)
    assert stalls.stalled(ages) == ["stuck"]


def test_what_came_only_just_after_a_long_silence_is_not_stalled() -> None:
    stalls = Stalls(10.0)
    stalls.look({"p": Progress(5, 5)}, 0.0)
    stalls.look({"p": Progress(5, 5)}, 500.0)
    assert stalls.look({"p": Progress(5, 6)}, 501.0) == {"p": 1.0}


def test_a_partition_that_was_away_starts_anew() -> None:
    stalls = Stalls(10.0)
    stalls.look({"p": Progress(3, 5)}, 0.0)
    stalls.look({}, 5.0)
    assert stalls.look({"p": Progress(3, 5)}, 20.0) == {"p": 0.0}


@pytest.mark.parametrize("what", ["loop", "commits"])
def test_a_stuck_process_says_so_and_is_ended(what: str) -> None:
    """The loop stands still in a call that does not come back, or messages are handed out and never committed."""
    ended: list[str] = []

    async def run() -> None:
        stuck = {"p": Progress(3, 5)} if what == "commits" else {}
        watchdog = Watchdog(Pulse(math.inf), 2 * BEAT_S, lambda: stuck, ended.append)
        await watchdog.start()
        assert watchdog.alive() is None
        deadline = time.monotonic() + 10
        while not ended and time.monotonic() < deadline:
            if what == "loop":
                time.sleep(0.05)  # noqa: ASYNC251 - that is the fault
            else:
                await asyncio.sleep(0.05)
        assert watchdog.alive() if what == "loop" else watchdog.committing()
        await watchdog.stop()

    asyncio.run(run())
    assert ("stands still" if what == "loop" else "nothing committed") in ended[0]
