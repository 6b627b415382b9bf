"""What comes in bulk waits until there is room in front of assess, and never for ever."""

import asyncio

import pytest
from faust.types import TP

from streams import backlog
from streams.backlog import Backlog

ZERO, ONE = TP("subject-events", 0), TP("subject-events", 1)


def test_it_counts_what_is_not_applied_in_partitions_that_have_been_worked_on() -> None:
    ends = {ZERO: 10, ONE: 7}
    waiting = Backlog(ends.__getitem__)
    assert len(waiting) == 0
    waiting.applied(ZERO, 3)
    assert len(waiting) == 6
    waiting.applied(ONE, 6)
    assert len(waiting) == 6
    ends[ZERO] = 3
    assert len(waiting) == 0, "the end that was last heard of may be behind"
    waiting.clear()
    assert len(waiting) == 0


def test_who_needs_room_waits_until_there_is_some() -> None:
    async def run() -> None:
        waiting = Backlog(lambda _: 10)
        waiting.applied(ZERO, 0)
        room = asyncio.create_task(waiting.room(5))
        for offset in (1, 2, 3):
            waiting.applied(ZERO, offset)
            await asyncio.sleep(0)
            assert not room.done()
        waiting.applied(ZERO, 4)
        await asyncio.wait_for(room, 5)

    asyncio.run(run())


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backlog, "LONGEST_WAIT_S", 0.01)
    waiting = Backlog(lambda _: 10)
    waiting.applied(ZERO, 0)
    asyncio.run(asyncio.wait_for(waiting.room(5), 5))
