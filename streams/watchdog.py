"""Sees that this process is stuck or was frozen, and ends it, so that another takes over.

A frozen process (stopped, swapped out, a suspended machine) may have lost its partitions to another meanwhile: it
must not go on as if it had them. A stuck one keeps them for ever, since Faust's heartbeats come from a thread of
their own. Neither can be trusted to end in order, so the process ends at once; what was not committed is read again.
"""

import asyncio
import os
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple

import structlog

from streams import metrics

log = structlog.get_logger()

EXIT_CODE = 70
"""EX_SOFTWARE: a fault of our own, as sysexits.h has it."""
BEAT_S = 0.25
_THREAD_LOOK_S = 1.0


def clock() -> float:
    """Seconds that go on while the machine is suspended, where it can tell."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if boot is None else time.clock_gettime(boot)


def end_process(why: str) -> None:
    """End now, without another send: not even what lies in a buffer."""
    log.critical("watchdog_ends_process", why=why)
    os._exit(EXIT_CODE)


class Pulse:
    """When the event loop last ran. `limit_s` is the longest gap after which the process may still go on."""

    def __init__(
        self, limit_s: float, end: Callable[[str], None] = end_process, now: Callable[[], float] = clock
    ) -> None:
        self._limit_s, self._end, self._now = limit_s, end, now
        self._last = now()

    def begin(self) -> None:
        """The loop has begun to run. What it took until now is no gap: nothing has been believed yet."""
        self._last = self._now()

    def gap(self) -> float:
        """Seconds since the loop last ran; read by other threads too."""
        return self._now() - self._last

    def check(self) -> None:
        """Called before each send: what was decided before a freeze must not be sent after it."""
        gap = self.gap()
        if gap > self._limit_s:
            self._end(
                f"the event loop stood still for {gap:.1f} s, more than the {self._limit_s:g} s after which another "
                "worker may have its partitions"
            )

    def beat(self) -> None:
        self.check()
        self._last = self._now()


class Progress(NamedTuple):
    """Of one partition: up to where it is committed, and its end as far as it is known here."""

    committed: int
    end: int


class Stalls:
    """Partitions with messages left, of which nothing has been committed for longer than `limit_s`."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._since: dict[object, tuple[int, float]] = {}

    def look(self, partitions: Mapping[object, Progress], now: float) -> dict[object, float]:
        """Partition -> seconds without progress, of those that are behind."""
        ages = {}
        for partition in list(self._since):
            if partition not in partitions:
                del self._since[partition]
        for partition, (committed, end) in partitions.items():
            before = self._since.get(partition)
            if end <= committed or before is None or before[0] != committed:
                self._since[partition] = (committed, now)
            ages[partition] = now - self._since[partition][1]
        return ages

    def stalled(self, ages: Mapping[object, float]) -> list[object]:
        return [partition for partition, age in ages.items() if age > self._limit_s]


class Watchdog:
    """Beats in the event loop, and watches the loop from a thread and the commits from the loop."""

    def __init__(
        self,
        pulse: Pulse,
        stall_s: float,
        partitions: Callable[[], Mapping[object, Progress]],
        end: Callable[[str], None] = end_process,
    ) -> None:
        """`partitions` gives those of which progress is to be expected now."""
        self.pulse = pulse
        self._stall_s, self._partitions, self._end = stall_s, partitions, end
        self._stalls = Stalls(stall_s)
        self._ages: Mapping[object, float] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch_loop, name="watchdog", daemon=True)
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.pulse.begin()
        self._thread.start()
        self.task = asyncio.create_task(self._run(), name="watchdog")

    async def stop(self) -> None:
        self._stopped.set()
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError):
                await self.task

    def alive(self) -> str | None:
        """Why the process is stuck; None if it is not."""
        gap = self.pulse.gap()
        return f"the event loop stands still for {gap:.0f} s" if gap > self._stall_s / 2 else None

    def committing(self) -> str | None:
        """Why it cannot be said to make progress; None if it can."""
        late = {partition: age for partition, age in self._ages.items() if age > self._stall_s / 2}
        return f"nothing committed for {max(late.values()):.0f} s, messages waiting: {late}" if late else None

    async def _run(self) -> None:
        while True:
            began = clock()
            await asyncio.sleep(BEAT_S)
            metrics.LOOP_DELAY.observe(max(0.0, clock() - began - BEAT_S))
            self.pulse.beat()
            self._ages = self._stalls.look(self._partitions(), clock())
            metrics.COMMIT_AGE.set(max(self._ages.values(), default=0.0))
            if stuck := self._stalls.stalled(self._ages):
                self._end(
                    f"nothing committed for {self._stall_s:g} s although messages wait: {sorted(map(str, stuck))}"
                )

    def _watch_loop(self) -> None:
        while not self._stopped.wait(_THREAD_LOOK_S):
            gap = self.pulse.gap()
            metrics.LOOP_GAP.set(gap)
            if gap > self._stall_s:
                self._end(f"the event loop stands still for {gap:.0f} s")
