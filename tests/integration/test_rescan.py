"""Orders that are known late: what the gate has passed over is searched, on request, and put on the record."""

import asyncio
import threading
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from harness import Event, Pipeline, ago, changed_policy, eventually, order, plate_read, quick, runner, running

from schemas.tasks import Alert
from streams import rescan
from streams.core.policy import load_policy
from streams.errors import BreachwatchError
from streams.rescan import Search, follow
from streams.settings import Settings

OTHERS = 20
"""Reads of nobody's plate that lie in front of those that matter."""


@pytest.fixture
def pipeline(pipeline_settings: Settings, tmp_path: Path) -> Iterator[Pipeline]:
    settings = quick(pipeline_settings, gate_lookback_s=0.1, rescan_gate_lag_s=0.5)
    with running(settings, tmp_path / "logs") as started:
        started.worker()
        started.gate()
        started.ready(workers=1, gates=1)
        yield started


def passed_over(pipeline: Pipeline, *plates: str) -> list[datetime]:
    """The gate has let reads of these plates go by; when they were."""
    times = [ago(300) for _ in plates]
    others = [plate_read(f"ZZ{number:02}ZZZ", ago(300)) for number in range(OTHERS)]
    mine = [plate_read(plate, at) for plate, at in zip(plates, times, strict=True)]
    pipeline.publish("anpr-reads", *others, *mine, b"no read")
    pipeline.drained()
    assert not pipeline.outputs.final_tasks()
    return times


def late_order(subject: str, plate: str) -> Event:
    """It took effect ten minutes ago."""
    made = ago(600).isoformat()
    service = {"served_at": made, "method": "personal", "reference": "proof"}
    return order(subject, plate=plate, made_at=made, service=service)


def proposal(pipeline: Pipeline) -> Alert:
    """The alert that proposes to search for the order."""
    return pipeline.until(
        lambda: next((a for a in pipeline.outputs.alerts() if a.kind == "retro_search_proposed"), None),
        "a search is proposed",
    )


def search(*orders: str) -> Search:
    return Search(orders, ago(600), "RIPA-7", "known late")


def run(pipeline: Pipeline, wanted: Search, say: rescan.Say = print) -> rescan.Found:
    return asyncio.run(rescan.rescan(pipeline.settings, wanted, say))


def test_a_read_before_a_late_order_is_found_once_and_marked(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    breachwatch = runner(pipeline.settings, monkeypatch, capsysbinary)
    [at] = passed_over(pipeline, "AB12CDE")
    pipeline.publish("orders", late_order("S1", "AB12CDE"))
    alert = proposal(pipeline)
    assert alert.order_id == "O-S1"
    assert alert.since is not None
    assert "breachwatch rescan --order O-S1 --from" in alert.text
    words = ("--from", alert.since.isoformat(), "--authority", "RIPA-7", "--reason", "entered a day late")
    code, out, err = breachwatch("rescan", "--order", "O-S1", *words)
    assert (code, err) == (0, "")
    assert f"{OTHERS + 2} reads searched, 1 passed on" in out
    pipeline.drained()
    [task] = pipeline.outputs.tasks_of("S1")
    assert [breach.began_at for breach in task.breaches] == [at]
    assert any("retrospective" in flag for flag in task.breaches[0].flags)
    told = {a.decision: a.reasons for a in pipeline.outputs.audits() if a.decision.startswith("retro_search")}
    assert list(told) == ["retro_search_proposed", "retro_search_began", "retro_search_ended"]
    assert {"RIPA-7", "entered a day late"} <= set(told["retro_search_began"])
    assert f"{OTHERS + 2} reads searched, 1 passed on" in told["retro_search_ended"]

    code, out, _ = breachwatch("rescan", "--order", "O-S1", *words)
    assert (code, "0 reads searched, 0 passed on" in out) == (0, True), "it was searched before"
    assert pipeline.outputs.tasks_of("S1") == [task]


def test_several_orders_take_one_pass_that_goes_on_where_it_was_broken_off(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    plates = ["AB12CDE", "FG34HIJ"]
    times = passed_over(pipeline, *plates)
    pipeline.publish("orders", *(late_order(f"S{number}", plate) for number, plate in enumerate(plates)))
    proposal(pipeline)
    pipeline.drained()
    monkeypatch.setattr(rescan, "_AT_A_TIME", 5)
    monkeypatch.setattr(rescan, "_LOOK_EVERY_S", 0.0)
    said: list[str] = []

    def break_off(text: str) -> None:
        said.append(text)
        if len(said) == 3:
            raise KeyboardInterrupt

    wanted = search("O-S0", "O-S1")
    with pytest.raises(KeyboardInterrupt):
        run(pipeline, wanted, break_off)
    first = int(said[-1].split(" ", 1)[0])
    assert 0 < first < OTHERS + 3
    assert first + run(pipeline, wanted).reads == OTHERS + 3
    pipeline.drained()
    found = [task.breaches[0].began_at for number in range(2) for task in pipeline.outputs.tasks_of(f"S{number}")]
    assert found == times


def test_a_search_waits_while_the_gate_is_behind(pipeline: Pipeline) -> None:
    pipeline.publish("orders", late_order("S1", "AB12CDE"))
    proposal(pipeline)
    [gate] = [process for process in pipeline.processes if process.command == ("gate",)]
    gate.stop()
    [sent] = pipeline.publish("anpr-reads", plate_read("AB12CDE", ago(300)))
    said: list[str] = []
    searching = threading.Thread(target=run, args=(pipeline, search("O-S1"), said.append))
    pipeline.until(lambda: ago().timestamp() - sent.timestamp / 1000 > 1, "the read is older than the gate may lag")
    searching.start()
    eventually(lambda: any("waiting: the gate is behind" in text for text in said), "it says that it waits")
    pipeline.gate()
    searching.join(60)
    assert not searching.is_alive()
    pipeline.until(lambda: pipeline.outputs.tasks_of("S1"), "the read is found once the gate keeps up")


def test_what_cannot_be_searched_is_said(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    breachwatch = runner(pipeline.settings, monkeypatch, capsysbinary)
    words = ("--from", "2026-11-25 03:10", "--authority", "RIPA-7", "--reason", "why")
    code, _, err = breachwatch("rescan", "--order", "O-NOBODY", *words)
    assert code == 1
    assert "no vehicle to search for: O-NOBODY" in err
    code, _, err = breachwatch("rescan", "--order", "O-NOBODY")
    assert code == 1
    assert "a search is on the record" in err
    code, _, err = breachwatch("rescan", "--automatic")
    assert code == 1
    assert "the policy does not authorise automatic searches" in err


def test_where_the_policy_authorises_it_a_late_order_is_searched_for_by_itself(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    [at] = passed_over(pipeline, "AB12CDE")
    pipeline.publish("orders", late_order("S1", "AB12CDE"))
    rule = load_policy(changed_policy(tmp_path, 'automatic = false\nauthority = ""', AUTHORISED)).retro_search

    async def until_found() -> None:
        following = asyncio.create_task(follow(pipeline.settings, rule, print))
        try:
            await asyncio.to_thread(pipeline.until, lambda: pipeline.outputs.tasks_of("S1"), "a task")
        finally:
            following.cancel()

    asyncio.run(until_found())
    pipeline.drained()
    [task] = pipeline.outputs.tasks_of("S1")
    assert [breach.began_at for breach in task.breaches] == [at]
    assert any("Chief Constable's order 12" in a.reasons for a in pipeline.outputs.audits())


AUTHORISED = """automatic = true\nauthority = "Chief Constable's order 12\""""


def test_without_authority_nothing_is_followed(pipeline_settings: Settings) -> None:
    with pytest.raises(BreachwatchError, match="does not authorise"):
        asyncio.run(follow(pipeline_settings, load_policy().retro_search, print))
