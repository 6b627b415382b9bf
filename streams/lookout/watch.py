"""One thing that is looked at again and again, whatever happens to the brokers, and when it was last seen."""

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable

import structlog
from aiokafka.errors import KafkaError

from streams import metrics
from streams.errors import BreachwatchError

log = structlog.get_logger()

OLD_S = 60.0
"""What was seen longer ago than this is not known any more: a page is due in less than two minutes."""
_AGAIN_S = 2.0

Looks = Callable[[], AsyncGenerator[None]]
"""Opens what it needs, and yields after each look, when the gauges show what was seen."""


class Watch:
    """Keeps looking: where a look fails, all is opened anew. `start`, then `stop`."""

    def __init__(self, what: str, looks: Looks, now: Callable[[], float] = time.monotonic) -> None:
        self.what = what
        self.task: asyncio.Task[None] | None = None
        self._looks, self._now = looks, now
        self._seen: float | None = None
        self._blind = False

    async def start(self) -> None:
        self.task = asyncio.create_task(self._run(), name=self.what)

    async def stop(self) -> None:
        if self.task is not None:
            self.task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await self.task

    def old(self) -> str | None:
        """Why what is said of it cannot be relied on; None if it can."""
        if self._seen is None:
            return f"{self.what}: not seen yet"
        age = self._now() - self._seen
        return f"{self.what}: last seen {age:.0f} s ago; is the broker reachable?" if age > OLD_S else None

    async def _run(self) -> None:
        while True:
            try:
                async with contextlib.aclosing(self._looks()) as looks:
                    async for _ in looks:
                        self._saw()
            except (KafkaError, OSError, BreachwatchError) as error:
                self._failed(error)
            await asyncio.sleep(_AGAIN_S)

    def _saw(self) -> None:
        self._seen = self._now()
        metrics.WATCHED_AT.labels(self.what).set_to_current_time()
        if self._blind:
            self._blind = False
            log.warning("lookout_sees_again", watched=self.what)

    def _failed(self, error: Exception) -> None:
        if not self._blind:
            self._blind = True
            log.error(
                "lookout_blind",
                watched=self.what,
                error=type(error).__name__,
                detail=str(error),
                what="it tries again until it sees; what /metrics shows of it is old meanwhile",
            )
