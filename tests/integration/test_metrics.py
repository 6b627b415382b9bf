"""Metrics of a real run: what is counted, and that what comes from outside makes no series."""

import re
import urllib.request

from harness import Pipeline, eventually, order, plate_read, report, tag_fix

from streams.kafka.local import free_ports

PLATES, DEVICES = 90_000, 10_000
TOLD_ON = {'breachwatch_alerts_total{kind="escalation",severity="high"}'}
"""What time alone brings to a task that nobody attends for some minutes."""


def scrape(port: int) -> dict[str, float]:
    """Series, as they are written -> value."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
        lines = answer.read().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def ours(series: dict[str, float]) -> set[str]:
    return {name for name in series if name.startswith("breachwatch_") and not name.startswith("breachwatch_build")}


def test_what_comes_from_outside_makes_no_series(pipeline: Pipeline) -> None:
    """100,000 different plates and devices, after one of each kind: as many series as before."""
    ports = free_ports(2)
    worker, gate = (pipeline.settings.model_copy(update={"metrics_port": port}) for port in ports)
    pipeline.worker(settings=worker)
    pipeline.gate(settings=gate)
    pipeline.ready(gates=1)
    pipeline.publish("orders", order("S1", tag="TAG-S1", plate="AB12CDE"))
    pipeline.drained()
    pipeline.publish("anpr-reads", plate_read("AB12CDE"), plate_read("XY99ZZZ"), b"{")
    pipeline.publish("sightings", tag_fix("TAG-S1"), tag_fix("TAG-unknown"), b"{")
    pipeline.publish("breach-reports", report("O-S1"))
    pipeline.until(lambda: len(pipeline.outputs.facts("S1")) >= 2, "both breaches")
    pipeline.drained()
    status = 'breachwatch_messages_out_total{topic="source-status"}'
    eventually(lambda: all(status in scrape(port) for port in ports), "what is sent every few seconds has been")
    before = [scrape(port) for port in ports]
    for first in range(0, PLATES, 10_000):
        sends = [pipeline.send("anpr-reads", plate_read(f"Q{n:06d}")) for n in range(first, first + 10_000)]
        [send.get(60) for send in sends]
    sends = [pipeline.send("sightings", tag_fix(f"TAG-{n}")) for n in range(DEVICES)]
    [send.get(60) for send in sends]
    pipeline.drained(300)
    after = [scrape(port) for port in ports]
    for was, now in zip(before, after, strict=True):
        assert ours(now) - TOLD_ON == ours(was) - TOLD_ON
        print(f"{len(ours(now)):,} series of ours, {len(now):,} in all")
    assert after[1]['breachwatch_gate_reads_total{outcome="passed"}'] >= PLATES
    assert after[0]['breachwatch_events_in_total{outcome="unresolved",topic="sightings"}'] >= DEVICES


def test_a_breach_can_be_followed_in_metrics_and_logs(pipeline: Pipeline) -> None:
    port = free_ports(1)[0]
    process = pipeline.worker(settings=pipeline.settings.model_copy(update={"metrics_port": port}))
    pipeline.ready()
    pipeline.publish("orders", order("S1", tag="TAG-S1"))
    trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    [placed] = pipeline.publish("breach-reports", report("O-S1"), headers=[("traceparent", trace.encode())])
    pipeline.until(lambda: pipeline.outputs.tasks_of("S1"), "the task")
    eventually(lambda: "4bf92f3577b34da6a3ce929d0e0e4736" in process.log.read_text(), "the log's line of the task")
    [line] = [one for one in process.log.read_text().splitlines() if '"task"' in one]
    assert f"breach-reports/{placed.partition}/{placed.offset}" in line
    assert "S1" not in line
    shown = scrape(port)
    assert (
        sum(value for name, value in shown.items() if name.startswith("breachwatch_event_to_task_seconds_count")) == 1
    )
    assert shown['breachwatch_ready{check="tables"}'] == 1
    assert shown["breachwatch_assigned_partitions"] > 0
    assert shown['breachwatch_messages_out_total{topic="arrest-tasks"}'] == 1
    assert 0 <= shown["breachwatch_index_age_seconds"] < 30
    stages = set(re.findall(r'breachwatch_stage_seconds_count{stage="(\w+)"', "\n".join(shown)))
    assert stages == {"transport", "wait", "own"}
