"""A supplier whose software is broken: what it sends is counted and told once, and nobody else waits for it."""

import contextlib
import threading
import time
from statistics import median, quantiles

import orjson
from confluent_kafka import Producer
from harness import Pipeline, order, report, tag_fix

from schemas.inbound import BadMessageError, decode
from streams.kafka.topics import full_name

A_SECOND, AT_MOST_S = 10_000, 90
AT_ONCE, FLOOR = 60_000, 20_000
CALM, STORM = 20, 60
BROKEN = orjson.dumps(
    {
        "specversion": "1.0",
        "id": "f1",
        "source": "tags/broken",
        "type": "tag_fix",
        "time": "2026-11-25T08:00:00Z",
        "recordedtime": "2026-11-25T08:00:00Z",
        "data": {"device": "TAG-1", "lat": 52.6, "lon": 1.3},
    }
)


class Broken(threading.Thread):
    """So many malformed fixes a second, over all partitions, until it is told to stop."""

    def __init__(self, servers: str, topic: str, a_second: int) -> None:
        super().__init__(daemon=True)
        self._producer = Producer(
            {"bootstrap.servers": servers, "linger.ms": 20, "queue.buffering.max.messages": 10**6}
        )
        self._topic, self._a_second = topic, a_second
        self._over = threading.Event()
        self.sent, self.took_s = 0, 0.0

    def run(self) -> None:
        began, batches = time.monotonic(), 0
        while not self._over.wait(max(0.0, began + batches / 20 - time.monotonic())) and batches < AT_MOST_S * 20:
            batches += 1
            self.produce(self._a_second // 20)
        self._producer.flush(30)
        self.took_s = time.monotonic() - began

    def produce(self, count: int) -> None:
        for _ in range(count):
            self._producer.produce(self._topic, BROKEN)
        self.sent += count
        self._producer.poll(0)

    def stop(self) -> None:
        self._over.set()
        self.join()


def refused_a_second() -> float:
    """How many of them one core refuses, and does nothing else: what the worker's rate is measured by."""
    began = time.perf_counter()
    for _ in range(FLOOR):
        with contextlib.suppress(BadMessageError):
            decode("sightings", BROKEN)
    return FLOOR / (time.perf_counter() - began)


def latencies_s(pipeline: Pipeline, subjects: list[str]) -> list[float]:
    """From an event's acknowledgement to its task here: reports and fixes of others in turn."""
    found = []
    for number, subject in enumerate(subjects):
        if number % 2:
            pipeline.publish("breach-reports", report(f"O-{subject}"))
        else:
            pipeline.publish("sightings", tag_fix(f"TAG-{subject}"))
        began = time.monotonic()
        pipeline.until(lambda subject=subject: pipeline.outputs.tasks_of(subject), f"the task for {subject}")
        found.append(time.monotonic() - began)
    return found


def test_ten_thousand_malformed_messages_a_second(pipeline: Pipeline) -> None:
    pipeline.worker()
    pipeline.ready()
    names = [f"S{number}" for number in range(CALM + STORM)]
    pipeline.publish("orders", *(order(name, tag=f"TAG-{name}") for name in names))
    pipeline.drained()
    calm = latencies_s(pipeline, names[:CALM])
    servers, topic = pipeline.settings.bootstrap_servers, full_name(pipeline.settings, "sightings")
    assert servers is not None
    began, first = time.monotonic(), Broken(servers, topic, 0)
    first.produce(AT_ONCE)
    pipeline.drained(120)
    worker, floor = AT_ONCE / (time.monotonic() - began), refused_a_second()
    # A machine that does other things as well is asked for what it can do now: the rest is a queue's length.
    broken = Broken(servers, topic, int(min(A_SECOND, worker / 2)))
    broken.start()
    storm = latencies_s(pipeline, names[CALM:])
    waiting = pipeline.uncommitted("sightings")
    broken.stop()
    pipeline.drained(120)
    letters = [one for one in pipeline.outputs.dead_letters() if one.headers.source == "tags/broken"]
    counted = sum(letter.headers.count for letter in letters)
    print(
        f"refused a second: by the worker {worker:,.0f}, by a core that does nothing else {floor:,.0f}\n"
        f"{broken.sent:,} malformed messages in {broken.took_s:.1f} s, {waiting:,} of them waiting near the end; "
        f"{len(letters):,} dead letters; latency calm {median(calm) * 1000:.0f} ms, in the storm "
        f"{median(storm) * 1000:.0f} ms, p90 {quantiles(storm, n=10)[-1] * 1000:.0f} ms"
    )
    assert counted == broken.sent + first.sent
    assert len(letters) < counted / 50
    assert worker > floor / 10
    floods = {alert.alert_id for alert in pipeline.outputs.alerts() if alert.kind == "dead_letter_flood"}
    assert len(floods) == 1
    assert broken.took_s < AT_MOST_S, "the figures are of the storm"
    assert quantiles(storm, n=10)[-1] < max(1.0, 5 * quantiles(calm, n=10)[-1])
