"""An order and the evidence against it published at the same moment, in either order: the breach is found.

The two go through different topics, partitions and processes, so nothing but the pipeline's own rules (look again
at the index, hold what nobody is known for, look back at the gate) can bring them together.
"""

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from harness import Event, Fact, Pipeline, ago, order, plate_read, quick, report, running, tag_fix

from streams.settings import Settings

PAIRS = 8
"""Each meeting is a race, so it is run more than once."""


@pytest.fixture(scope="module")
def pipeline(module_pipeline: Pipeline) -> Iterator[Pipeline]:
    module_pipeline.worker()
    module_pipeline.gate()
    module_pipeline.ready(workers=1, gates=1)
    yield module_pipeline
    for process in module_pipeline.processes:
        process.stop()


def fix_against(subject: str, at: datetime) -> tuple[str, Event, Fact]:
    fact = Fact(subject, f"O-{subject}", "T1", "confirmed", at, None)
    return "sightings", tag_fix(f"TAG-{subject}", at), fact


def read_against(subject: str, at: datetime) -> tuple[str, Event, Fact]:
    fact = Fact(subject, f"O-{subject}", "T1", "vehicle", at, None)
    return "anpr-reads", plate_read(plate_of(subject), at), fact


def report_against(subject: str, at: datetime) -> tuple[str, Event, Fact]:
    fact = Fact(subject, f"O-{subject}", "T2", "reported", at, at)
    return "breach-reports", report(f"O-{subject}", at), fact


def plate_of(subject: str) -> str:
    """A plate that looks like no other subject's."""
    number = int(subject.rsplit("-", 1)[1])
    return f"{subject[:2]}{number % 10}{number // 10}XYA".upper()


@pytest.mark.parametrize("order_first", [True, False], ids=["order first", "evidence first"])
@pytest.mark.parametrize("against", [fix_against, read_against, report_against])
def test_order_and_evidence_at_the_same_moment(pipeline: Pipeline, against, order_first: bool) -> None:  # type: ignore[no-untyped-def]
    name = {fix_against: "fa", read_against: "ra", report_against: "pa"}[against][0] + ("x" if order_first else "y")
    expected, sends = set(), []
    for number in range(PAIRS):
        subject = f"{name}-{number}"
        topic, evidence, fact = against(subject, ago(30))
        pair = [("orders", order(subject, plate=plate_of(subject), tag=f"TAG-{subject}")), (topic, evidence)]
        sends += [pipeline.send(*message) for message in (pair if order_first else reversed(pair))]
        expected.add(fact)
    for send in sends:
        send.get(30)
    subjects = [fact.subject for fact in expected]
    pipeline.until_facts(expected, *subjects)


def test_a_read_waits_for_workers_that_come_long_after_it(pipeline_settings: Settings, tmp_path: Path) -> None:
    """No worker runs for several look-backs after a read and its order: the gate remembers the read all the same."""
    settings = quick(pipeline_settings, gate_lookback_s=0.5)
    with running(settings, tmp_path / "logs") as late:
        late.gate()
        late.ready(workers=0, gates=1)
        read_at = ago(1)
        late.publish("anpr-reads", plate_read("AB12CDE", read_at))
        late.publish("orders", order("L1", plate="AB12CDE"))
        published = time.monotonic()
        late.until(lambda: time.monotonic() > published + 4 * settings.gate_lookback_s, "several look-backs are over")
        late.worker()
        late.until_facts({Fact("L1", "O-L1", "T1", "vehicle", read_at, None)})
        for process in late.processes:
            process.stop()


def test_a_gate_that_comes_back_to_more_reads_than_it_can_remember_forgets_none_too_early(
    pipeline_settings: Settings, tmp_path: Path
) -> None:
    """It takes no more until the orders of the time since it came back are known; an order that comes then finds all
    that the gate has passed over."""
    settings = quick(pipeline_settings, gate_lookback_s=10.0, gate_lookback_reads=100, gate_batch=50)
    with running(settings, tmp_path / "logs") as back:
        back.worker()
        read_at = ago(1)
        back.publish("anpr-reads", plate_read("AB12CDE", read_at), partition=0)
        back.publish("anpr-reads", *(plate_read(f"ZZ{number:03}", ago(1)) for number in range(600)), partition=0)
        back.gate()
        back.ready(workers=1, gates=1)
        back.publish("orders", order("L1", plate="AB12CDE"))
        back.until_facts({Fact("L1", "O-L1", "T1", "vehicle", read_at, None)})
        back.drained()
        assert "look_back_overrun" not in {alert.kind for alert in back.outputs.alerts()}
        for process in back.processes:
            process.stop()


def test_while_no_worker_gets_on_reads_of_known_vehicles_go_on_and_it_is_said_what_may_be_missed(
    pipeline_settings: Settings, tmp_path: Path
) -> None:
    settings = quick(pipeline_settings, gate_lookback_s=0.5, gate_lookback_reads=50, gate_batch=50)
    with running(settings, tmp_path / "logs") as alone:
        worker = alone.worker()
        alone.ready(workers=1)
        alone.publish("orders", order("L1", plate="AB12CDE"))
        alone.drained()
        worker.stop()
        alone.publish("orders", order("L2"))
        alone.gate()
        alone.publish("anpr-reads", *(plate_read(f"ZZ{number:03}", ago(1)) for number in range(300)), partition=0)
        alone.publish("anpr-reads", plate_read("AB12CDE"), partition=0)
        overrun = alone.until(
            lambda: next((a for a in alone.outputs.alerts() if a.kind == "look_back_overrun"), None), "the alert"
        )
        assert "may be missed" in overrun.text
        alone.until(lambda: alone.uncommitted("sightings") == 1, "the read of a known vehicle goes on")
