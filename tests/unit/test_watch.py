"""A watch that keeps looking, and says when it has not seen for long."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from streams import metrics
from streams.errors import BreachwatchError
from streams.lookout import watch as module
from streams.lookout.watch import OLD_S, Watch


class Clock:
    at = 1000.0

    def __call__(self) -> float:
        return self.at


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - what is waited for is what the watch says
            await asyncio.sleep(0.001)


def opened(*outcomes: Exception | None) -> tuple[Callable[[], AsyncGenerator[None]], list[str]]:
    """Looks that end so, one after the other, and then wait; and what was opened and closed meanwhile."""
    left, happened = list(outcomes), list[str]()

    async def looks() -> AsyncGenerator[None]:
        happened.append("opened")
        try:
            while left:
                outcome = left.pop(0)
                if outcome is not None:
                    raise outcome
                yield
            await asyncio.Event().wait()
        finally:
            happened.append("closed")

    return looks, happened


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)


def test_it_is_old_until_it_is_seen_and_when_that_was_a_minute_ago() -> None:
    async def run() -> None:
        clock = Clock()
        looks, happened = opened(None)
        watch = Watch("lag", looks, clock)
        assert watch.old() == "lag: not seen yet"
        await watch.start()
        await until(lambda: watch.old() is None)
        assert metrics.WATCHED_AT.labels("lag")._value.get() > 1.7e9
        clock.at += OLD_S
        assert watch.old() is None
        clock.at += 1
        assert watch.old() == "lag: last seen 61 s ago; is the broker reachable?"
        await watch.stop()
        assert happened == ["opened", "closed"]

    asyncio.run(run())


def test_where_a_look_fails_all_is_opened_anew_and_it_is_said_once(capsys: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        errors = (KafkaConnectionError("away"), TimeoutError(), BreachwatchError("no certificate"))
        looks, happened = opened(*errors, None, None)
        watch = Watch("lag", looks)
        await watch.start()
        await until(lambda: watch.old() is None)
        await watch.stop()
        assert happened == ["opened", "closed"] * 4

    asyncio.run(run())
    said = capsys.readouterr().out
    assert (said.count("lookout_blind"), said.count("lookout_sees_again")) == (1, 1)


def test_a_fault_of_ours_ends_it() -> None:
    async def run() -> Any:
        looks, _ = opened(KeyError("ours"))
        watch = Watch("lag", looks)
        await watch.start()
        assert watch.task is not None
        await asyncio.wait([watch.task], timeout=10)
        return watch.task.exception()

    assert isinstance(asyncio.run(run()), KeyError)
