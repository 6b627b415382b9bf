"""A real Prometheus on a real run: every rule and every dashboard's query is evaluated, and the queries give data."""

import time
from collections.abc import Iterator

import pytest
import watched
from at_the_door import jwks, post, token
from harness import Pipeline, ago, event, eventually, order, plate_read, quick, report, running, tag_fix
from prometheus import Watch, installed, watching
from watched import Query, Rule

from streams.kafka.local import free_ports
from streams.settings import Settings

pytestmark = installed

PROCESSES = {
    "worker": ("worker", "--name", "w1"),
    "gate": ("gate",),
    "adapters": ("adapters", "run"),
    "door": ("door",),
    "board": ("board", "--demo-token"),
    "lookout": ("lookout",),
}
"""By job."""
WITHOUT_CAUSE = {"breachwatch_certificate_expiry_timestamp_seconds", "breachwatch_suppressed_alerts_total"}
"""A run without TLS, and without a low alert that repeats, has no series of these."""


@pytest.fixture(scope="module")
def watch(module_pipeline_settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watch]:
    directory = tmp_path_factory.mktemp("watching")
    ports = dict(zip(PROCESSES, free_ports(len(PROCESSES)), strict=True))
    (directory / "jwks.json").write_bytes(jwks())
    door_port, board_port = free_ports(2)
    settings = quick(
        module_pipeline_settings,
        door_jwks_file=directory / "jwks.json",
        door_port=door_port,
        board_port=board_port,
        adapter_sources={"traccar": "tags/traccar"},
    )
    with running(settings, directory / "logs") as pipeline:
        for job, words in PROCESSES.items():
            pipeline.run(*words, settings=settings.model_copy(update={"metrics_port": ports[job]}))
        pipeline.ready(gates=1)
        with watching(directory, {job: [port] for job, port in ports.items()}) as watch:
            watch.up(*PROCESSES)
            something_of_everything(pipeline)
            # Rates are of two scrapes: the second one after all this has been counted.
            done = time.time()
            for job in PROCESSES:
                eventually(
                    lambda job=job: any(at > done + 5 for _, at in watch.query(f'timestamp(up{{job="{job}"}})')),
                    f"{job} has been scraped since",
                )
            yield watch


def something_of_everything(pipeline: Pipeline) -> None:
    """A breach by each way, and something that cannot be used."""
    pipeline.publish("orders", order("S1", tag="TAG-S1", plate="AB12CDE"), order("S2", tag="TAG-S2"))
    pipeline.publish("source-heartbeats", event("source_heartbeat", sequence=1, next_due=ago(-600).isoformat()))
    # The canary's plate reads never end, and the gate commits each late.
    pipeline.drained(past_the_gate=False)
    pipeline.publish("sightings", tag_fix("TAG-S1"), tag_fix("TAG-unknown"), b"{")
    pipeline.publish("anpr-reads", plate_read("AB12CDE"), plate_read("XY99ZZZ"), b"{")
    pipeline.publish("breach-reports", report("O-S1"))
    pipeline.publish("raw-traccar", traccar("TAG-S2"), b"{")
    bearer = {"Authorization": f"Bearer {token(scope='publish:sightings', source='test')}"}
    refused = tag_fix("TAG-S1") | {"source": "somebody/else"}
    answer = post(pipeline, "topics/sightings/events", [tag_fix("TAG-S1"), refused], headers=bearer)
    assert answer.json()["accepted"] == 1
    pipeline.until(lambda: len(pipeline.outputs.facts("S1")) >= 2, "the breaches of S1")
    pipeline.until(lambda: pipeline.outputs.tasks_of("S2"), "the task of S2, by way of Traccar")
    pipeline.drained(past_the_gate=False)


def traccar(tag: str) -> dict[str, object]:
    """A position that Traccar forwards, in the zone."""
    position = {"id": 9, "fixTime": ago(1).isoformat(), "valid": True, "latitude": 51.501, "longitude": -0.1}
    return {"position": position | {"accuracy": 8.0}, "device": {"id": 3, "name": "bracelet", "uniqueId": tag}}


def test_every_rule_is_evaluated_without_an_error(watch: Watch) -> None:
    eventually(lambda: all(rule["health"] != "unknown" for rule in watch.prometheus.rules()), "all are evaluated")
    rules = watch.prometheus.rules()
    assert [rule["name"] for rule in rules] == [rule.name for rule in watched.rules()]
    assert [(rule["name"], rule.get("lastError")) for rule in rules if rule["health"] != "ok"] == []


@pytest.mark.parametrize("rule", watched.rules(), ids=lambda rule: str(rule.name))
def test_a_rule_asks_for_series_that_are_there(watch: Watch, rule: Rule) -> None:
    watch.query(rule.expr)
    for name in watched.names(rule.expr) - WITHOUT_CAUSE:
        # What is recorded of days is evaluated once a minute.
        eventually(lambda name=name: watch.query(f"count(last_over_time({name}[5m]))"), f"{name} is shown", 90)


@pytest.mark.parametrize("query", watched.queries(), ids=str)
def test_a_dashboards_query_gives_data(watch: Watch, query: Query) -> None:
    watch.query(query.expr)
    if watched.names(query.expr) & WITHOUT_CAUSE:
        pytest.skip("nothing shows this here")
    eventually(lambda: watch.query(query.expr), "it gives data", 90)


def test_nothing_pages_on_a_run_that_is_well(watch: Watch) -> None:
    firing = {labels["alertname"] for labels, _ in watch.query('ALERTS{alertstate="firing"}')}
    assert firing == {"Watchdog"}


def test_the_dead_mans_switch_is_fed_again_and_again(watch: Watch) -> None:
    eventually(lambda: len(watch.receivers.named("Watchdog", "dead-mans-switch")) >= 3, "three heartbeats", 120)
    first, second, third = (notice.at for notice in watch.receivers.named("Watchdog")[:3])
    assert third - second < 40 > second - first


def test_what_alerts_fire_on_at_once_is_there_before(watch: Watch) -> None:
    """A counter that begins at 1 has no increase."""
    for name in (
        'breachwatch_unreadable_total{topic="identifiers"}',
        'breachwatch_deadlines_missed_total{grade="immediate"}',
        'breachwatch_escalations_total{to="duty_inspector"}',
        'breachwatch_event_to_task_seconds_count{topic="custody-events",grade="prompt"}',
        'breachwatch_gate_reads_total{outcome="forgotten_early"}',
        'breachwatch_dead_letters_total{topic="orders",reason="not_json"}',
        'breachwatch_door_events_total{topic="breach-reports",outcome="unknown"}',
        'breachwatch_board_updates_total{action="acknowledge",outcome="unsent"}',
    ):
        assert [value for _, value in watch.query(f"max({name})")] == [0], name


@pytest.mark.parametrize("job", PROCESSES)
def test_the_number_of_series_is_far_from_its_alert(watch: Watch, job: str) -> None:
    [(_, count)] = watch.query(f'scrape_samples_scraped{{job="{job}"}}')
    print(f"{job}: {count:.0f} series")
    assert count < 2500
