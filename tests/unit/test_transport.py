"""The barrier before each commit, and what is handed out around a recovery."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from intervaltree import IntervalTree

from streams.transport import Consumer, Producer, Sends, UnsentError
from streams.watchdog import Pulse

Body = Callable[[], Awaitable[None]]


def run(body: Body) -> None:
    asyncio.run(asyncio.wait_for(body(), 10))


def sent_later() -> "asyncio.Future[str]":
    return asyncio.get_running_loop().create_future()


# -- Sends -------------------------------------------------------------------------------------------------


def test_with_nothing_sent_there_is_nothing_to_wait_for() -> None:
    async def body() -> None:
        await Sends().barrier(0.01)

    run(body)


def test_the_barrier_waits_for_every_send_that_was_made_before_it() -> None:
    async def body() -> None:
        sends, first, second = Sends(), sent_later(), sent_later()
        sends.track(first)
        sends.track(second)
        waiting = asyncio.create_task(sends.barrier(5))
        first.set_result("acknowledged")
        await asyncio.sleep(0)
        assert not waiting.done()
        assert len(sends) == 1
        second.set_result("acknowledged")
        await waiting
        assert len(sends) == 0

    run(body)


def test_the_barrier_does_not_wait_for_what_is_sent_after_it() -> None:
    async def body() -> None:
        sends, before, after = Sends(), sent_later(), sent_later()
        sends.track(before)
        waiting = asyncio.create_task(sends.barrier(5))
        await asyncio.sleep(0)
        sends.track(after)
        before.set_result("acknowledged")
        await waiting
        assert len(sends) == 1
        after.cancel()

    run(body)


def test_a_send_that_failed_refuses_this_barrier_and_every_later_one() -> None:
    async def body() -> None:
        sends, failing, good = Sends(), sent_later(), sent_later()
        sends.track(failing)
        sends.track(good)
        waiting = asyncio.create_task(sends.barrier(5))
        await asyncio.sleep(0)
        failing.set_exception(OSError("no space left"))
        good.set_result("acknowledged")
        with pytest.raises(UnsentError, match="not committed: OSError: no space left"):
            await waiting
        later = sent_later()
        sends.track(later)
        later.set_result("acknowledged")
        with pytest.raises(UnsentError, match="no space left"):
            await sends.barrier(5)

    run(body)


def test_a_send_that_failed_before_the_barrier_is_not_forgotten() -> None:
    async def body() -> None:
        sends, failing = Sends(), sent_later()
        sends.track(failing)
        failing.set_exception(OSError("broken"))
        await asyncio.sleep(0)
        assert len(sends) == 0
        with pytest.raises(UnsentError, match="broken"):
            await sends.barrier(5)

    run(body)


def test_a_cancelled_send_is_a_failed_one() -> None:
    async def body() -> None:
        sends, send = Sends(), sent_later()
        sends.track(send)
        send.cancel()
        with pytest.raises(UnsentError, match="a send was cancelled"):
            await sends.barrier(5)

    run(body)


def test_a_stalled_send_refuses_after_the_timeout_even_if_it_succeeds_later() -> None:
    async def body() -> None:
        sends, stalled = Sends(), sent_later()
        sends.track(stalled)
        with pytest.raises(UnsentError, match=r"1 sends were not acknowledged within 0\.05 s"):
            await sends.barrier(0.05)
        stalled.set_result("acknowledged")
        await asyncio.sleep(0)
        with pytest.raises(UnsentError):
            await sends.barrier(0.05)

    run(body)


def test_a_fault_of_our_own_refuses_and_the_first_one_is_told() -> None:
    async def body() -> None:
        sends = Sends()
        sends.poison(ValueError("first"))
        sends.poison(ValueError("second"))
        with pytest.raises(UnsentError, match="first"):
            await sends.barrier(5)

    run(body)


# -- Producer and Consumer ---------------------------------------------------------------------------------


def bare(kind: type, **attributes: Any) -> Any:
    """An object of a class of Faust's, which cannot be made without an app, with what its method uses."""
    made: Any = object.__new__(kind)
    made.__dict__.update(attributes)
    return made


def test_both_ways_of_sending_are_tracked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        soon, now = sent_later(), sent_later()

        async def send(*_: Any, **__: Any) -> Any:
            return now

        monkeypatch.setattr(driver.Producer, "send_soon", lambda *_: None)
        monkeypatch.setattr(driver.Producer, "send", send)
        sends = Sends()
        counted: list[str] = []
        producer = bare(Producer, sends=sends, pulse=Pulse(6.0), app=SimpleNamespace(count_sent=counted.append))
        producer.send_soon(soon)
        await producer.send("topic", b"key", b"value")
        assert len(sends) == 2
        assert counted == ["topic"]
        soon.cancel()
        now.cancel()

    run(body)


def committing(sends: Sends, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, list[Any], list[BaseException]]:
    committed: list[Any] = []
    crashed: list[BaseException] = []

    async def commit(_: Any, offsets: Any) -> bool:
        committed.append(offsets)
        return True

    async def crash(error: BaseException) -> None:
        crashed.append(error)

    monkeypatch.setattr(driver.Consumer, "_commit", commit)
    app = SimpleNamespace(sends=sends, before_commit=lambda: sends.barrier(0.05), crash=crash, committed={})
    return bare(Consumer, app=app), committed, crashed


PLACE = TP("orders", 3)


def test_offsets_are_committed_once_every_send_has_succeeded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def body() -> None:
        sends, send = Sends(), sent_later()
        sends.track(send)
        consumer, committed, crashed = committing(sends, monkeypatch)
        waiting = asyncio.create_task(consumer._commit({PLACE: 7}))
        await asyncio.sleep(0)
        assert not committed
        send.set_result("acknowledged")
        assert await waiting
        assert len(committed) == 1
        assert not crashed
        assert consumer.app.committed == {("orders", 3): 7}

    run(body)


@pytest.mark.parametrize("how", ["failed", "stalled"])
def test_nothing_is_committed_and_the_app_ends_when_a_send_did_not_succeed(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def body() -> None:
        sends, send = Sends(), sent_later()
        sends.track(send)
        if how == "failed":
            send.set_exception(OSError("broken"))
        consumer, committed, crashed = committing(sends, monkeypatch)
        assert not await consumer._commit({})
        assert not await consumer._commit({})
        assert not committed
        assert len(crashed) == 2
        assert all(isinstance(error, UnsentError) for error in crashed)
        assert consumer.app.committed == {}

    run(body)


def test_a_seek_stops_the_flow_and_waits_until_the_batch_in_hand_is_put_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else messages that Faust hands out around it are lost: from the queues, and as already read."""

    async def body() -> None:
        order: list[str] = []

        async def seek(_: Any) -> None:
            order.append("seek")

        async def records(_: Any, *__: float) -> tuple[dict[Any, Any], set[Any]]:
            order.append("fetch")
            return {}, set()

        monkeypatch.setattr(driver.Consumer, "perform_seek", seek)
        monkeypatch.setattr(driver.Consumer, "_wait_next_records", records)
        between = asyncio.Event()
        between.set()
        consumer = bare(Consumer, _between_batches=between, flow_active=True, stop_flow=lambda: order.append("stop"))
        await consumer._wait_next_records(1.0)
        assert not between.is_set()
        seeking = asyncio.create_task(consumer.perform_seek())
        await asyncio.sleep(0)
        assert order == ["fetch", "stop"]
        await consumer._wait_next_records(1.0)
        await seeking
        assert order[-1] == "seek"

    run(body)


def test_a_seek_after_a_fetch_without_flow_does_not_wait_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faust seeks from within the fetch when it has come in the middle of a rebalance."""

    async def body() -> None:
        sought: list[bool] = []

        async def seek(_: Any) -> None:
            sought.append(True)

        async def records(_: Any, *__: float) -> tuple[dict[Any, Any], set[Any]]:
            return {}, set()

        monkeypatch.setattr(driver.Consumer, "perform_seek", seek)
        monkeypatch.setattr(driver.Consumer, "_wait_next_records", records)
        consumer = bare(Consumer, _between_batches=asyncio.Event(), flow_active=False, stop_flow=lambda: None)
        await consumer._wait_next_records(1.0)
        await consumer.perform_seek()
        assert sought

    run(body)


def test_a_gap_does_not_take_the_message_behind_it_for_acknowledged() -> None:
    tp = TP("sightings", 0)

    async def body() -> None:
        consumer = Consumer.__new__(Consumer)
        consumer._committed_offset = {tp: 10}
        consumer._gap = defaultdict(IntervalTree)
        consumer._acked = {tp: [10, 15, 19]}
        consumer._acked_index = {tp: {10, 15, 19}}
        await consumer._add_gap(tp, 11, 15)
        await consumer._add_gap(tp, 16, 19)
        assert consumer._new_offset(tp) == 20
        assert consumer._acked[tp] == []

    run(body)
