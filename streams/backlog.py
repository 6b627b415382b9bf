"""How many subject events wait for assess, so that what comes in bulk does not queue up before what is urgent.

`subject-events` is one queue, in the log's order. So what can wait does so in its own topic until there is room here.
A worker looks at its own partitions alone: subjects are spread by hash, and those of other workers are as full.
"""

import asyncio
from collections.abc import Callable

from faust.types import TP

# Somebody who cannot say when there will be room must not wait for ever, or a bulk that never gets any would look
# like a worker that is stuck: one message in this time goes on anyway.
LONGEST_WAIT_S = 5.0


class Backlog:
    """Of the partitions that have been worked on since `clear`; `end` says where one ends, as far as is known."""

    def __init__(self, end: Callable[[TP], int]) -> None:
        self._end = end
        self._next: dict[TP, int] = {}
        self._moved = asyncio.Event()

    def __len__(self) -> int:
        return sum(max(0, self._end(tp) - offset) for tp, offset in self._next.items())

    def applied(self, tp: TP, offset: int) -> None:
        """Assess is done with this message."""
        self._next[tp] = offset + 1
        self._moved.set()
        self._moved = asyncio.Event()

    def clear(self) -> None:
        """Partitions may belong to others now."""
        self._next.clear()

    async def room(self, most: int) -> None:
        """Return once no more than `most` events wait, or after LONGEST_WAIT_S."""
        try:
            async with asyncio.timeout(LONGEST_WAIT_S):
                while len(self) > most:
                    await self._moved.wait()
        except TimeoutError:
            return
