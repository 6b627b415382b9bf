"""What senders are told to do works: the programs of the guide, word for word, and the client for Python."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pytest
from harness import Fact, Pipeline, ago, eventually, order, quick, report, running
from recipes import console_producer, recipes, run_java, write_recipes

from schemas.base import Event
from schemas.examples import STORY
from schemas.inbound import EVENT_TYPES
from schemas.reports import BreachReport
from streams.chaos.process import BREACHWATCH
from streams.core.keys import message_key
from streams.kafka import admin, local
from streams.kafka.client import KafkaUnavailableError
from streams.kafka.cluster import Cluster
from streams.kafka.reading import read_all
from streams.kafka.topics import full_name
from streams.sender import NotAcknowledgedError, Sender
from streams.settings import Settings

SUBJECT = "SUBJ-2026-0417"
SECRET = "he waited outside her school"
RUN_HERE = {
    *("publish.sh", "order.json", "status.sh", "fix.sh", "client.properties"),
    *("send_fixes.py", "BreachReports.java"),
}

pytestmark = pytest.mark.kafka


class Guide:
    """The guide's files in a folder, run as a person would beside a broker whose topics have no prefix."""

    def __init__(self, pipeline: Pipeline, folder: Path) -> None:
        self.pipeline, self.folder = pipeline, folder
        self._environment = pipeline.settings.child_environment()
        tools = f"{folder}:{Path(BREACHWATCH).parent}"
        self._environment["PATH"] = f"{tools}:{os.environ['PATH']}"
        write_recipes(folder)
        console_producer(folder)
        (folder / "client.properties").write_text(f"bootstrap.servers={pipeline.settings.bootstrap_servers}\n")

    def run(self, *words: str) -> str:
        """What it says; fails where it ends with an error."""
        done = subprocess.run(
            words, cwd=self.folder, env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def shell(self, name: str) -> str:
        return self.run("bash", "-euo", "pipefail", name)

    def breaches(self) -> set[tuple[str | None, str]]:
        """Term and certainty of each on the task."""
        return {(fact.term, fact.certainty) for fact in self.pipeline.outputs.facts(SUBJECT)}

    def sources(self) -> set[str]:
        """Whose events have gone on to the subject."""
        events = [orjson.loads(record.value)["event"] for record in self.pipeline.outputs.records["subject-events"]]
        return {event["source"] for event in events}


@pytest.fixture(scope="module")
def guide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guide]:
    """With a worker that runs, and the guide's order published by the guide's command."""
    folder = tmp_path_factory.mktemp("guide")
    with local.running(folder / "kafka") as kafka:
        settings = quick(Settings(bootstrap_servers=kafka.bootstrap_servers, data_dir=folder / "data"))
        admin.apply(admin.plan(settings))
        with running(settings, folder / "logs") as pipeline:
            pipeline.worker()
            pipeline.ready()
            written = folder / "written"
            written.mkdir()
            guide = Guide(pipeline, written)
            said = guide.shell("publish.sh")
            assert "1 events are valid; nothing was sent\n1 events acknowledged on orders\n" in said
            yield guide


def test_every_program_of_the_guide_is_run_here() -> None:
    assert recipes().keys() == RUN_HERE


def test_an_order_by_the_command_line_is_counted_as_its_sources(guide: Guide) -> None:
    guide.pipeline.until(lambda: "courts/norwich: 1 resolved" in guide.shell("status.sh"), "the order is counted")


def test_fixes_by_python_become_a_task(guide: Guide) -> None:
    assert guide.run(sys.executable, "send_fixes.py") == "1 fixes and a heartbeat are acknowledged\n"
    guide.pipeline.until(lambda: ("T1", "confirmed") in guide.breaches(), "the breach of the zone")
    guide.pipeline.until(
        lambda: "source/tags/supplier" in {entry.subject_id for entry in guide.pipeline.outputs.audits()},
        "the heartbeat",
    )


def test_a_report_by_java_becomes_a_task(guide: Guide) -> None:
    done = run_java(guide.folder, "BreachReports", "client.properties")
    assert (done.returncode, done.stdout) == (0, "1 reports are acknowledged\n"), done.stderr
    guide.pipeline.until(lambda: ("T2", "reported") in guide.breaches(), "the reported breach")


def test_java_names_what_was_not_acknowledged(guide: Guide, tmp_path: Path) -> None:
    write_recipes(tmp_path)
    (nobody,) = local.free_ports(1)
    (tmp_path / "client.properties").write_text(f"bootstrap.servers=127.0.0.1:{nobody}\nmax.block.ms=1000\n")
    done = run_java(tmp_path, "BreachReports", "client.properties")
    assert done.returncode == 1
    assert "not acknowledged, send again under the same ids: [call-2026-0007: " in done.stderr


def test_a_fix_by_kafkas_command_line_goes_on_to_its_subject(guide: Guide) -> None:
    guide.shell("fix.sh")
    guide.pipeline.until(lambda: "tags/other-supplier" in guide.sources(), "the fix in binary mode")
    guide.pipeline.until(lambda: ("T1", "confirmed") in guide.breaches(), "the breach of the zone")


def test_nothing_that_the_guide_sends_is_set_aside(guide: Guide) -> None:
    guide.pipeline.drained()
    assert guide.pipeline.outputs.dead_letters() == []


# -- the client for Python ---------------------------------------------------------------------------------


def test_each_type_lies_on_its_topic_with_its_key(pipeline: Pipeline) -> None:
    settings = pipeline.settings
    sent: dict[str, list[tuple[bytes, Event]]] = {}
    for topic, body in STORY:
        event = EVENT_TYPES[body["type"]].model_validate_json(orjson.dumps(body))
        named = topic if body["type"] == "retraction" else None
        with Sender(settings.bootstrap_servers or "", source=event.source, topic_prefix=settings.topic_prefix) as it:
            it.send(event, named)
        sent.setdefault(topic, []).append((message_key(event), event))
    for topic, expected in sent.items():
        lying = read_all(Cluster(settings.bootstrap_servers or ""), full_name(settings, topic))
        found = [(message.key, EVENT_TYPES[orjson.loads(message.value)["type"]], message.value) for message in lying]
        events = [(key, model.model_validate_json(value)) for key, model, value in found]
        assert sorted(events, key=lambda one: one[1].id) == sorted(expected, key=lambda one: one[1].id)


@dataclass(frozen=True)
class Mortal:
    """A broker of these tests alone, which they may kill."""

    kafka: local.LocalKafka
    settings: Settings

    def sender(self, timeout_s: float) -> Sender:
        return Sender(self.kafka.bootstrap_servers, source="test/breach_report", timeout_s=timeout_s)


@pytest.fixture(scope="module")
def mortal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mortal]:
    folder = tmp_path_factory.mktemp("mortal")
    with local.running(folder / "kafka") as kafka:
        settings = quick(Settings(bootstrap_servers=kafka.bootstrap_servers, data_dir=folder / "data"))
        admin.apply(admin.plan(settings))
        yield Mortal(kafka, settings)


def reports(count: int) -> list[Event]:
    """So many reports, a minute apart, with what must be in no error."""
    bodies = [report("O-S1", ago(600 + 60 * number), description=SECRET) for number in range(count)]
    return [BreachReport.model_validate_json(orjson.dumps(body)) for body in bodies]


def test_what_a_dead_broker_did_not_acknowledge_is_named_and_sent_again_counts_once(
    mortal: Mortal, tmp_path: Path
) -> None:
    events = reports(6)
    before, during = events[:3], events[3:]
    with mortal.sender(timeout_s=4.0) as sender:
        for event in before:
            sender.send(event)
        sender.flush()

        mortal.kafka.kill_node(1)
        for event in during:
            sender.send(event)
        with pytest.raises(NotAcknowledgedError) as refused:
            sender.flush()
        assert refused.value.events == [(event, "breach-reports") for event in during]
        assert str(refused.value).startswith(f"not acknowledged: {', '.join(event.id for event in during)} (")
        assert SECRET not in str(refused.value)
        with pytest.raises(KafkaUnavailableError):
            sender.send(during[0])

        mortal.kafka.start_node(1)
        for event, topic in refused.value.events:
            sender.send(event, topic)
        sender.send(before[0])
    log = read_all(Cluster(mortal.kafka.bootstrap_servers), "breach-reports")
    ids = [orjson.loads(message.value)["id"] for message in log]
    assert set(ids) == {event.id for event in events}
    assert ids.count(before[0].id) == 2
    with running(mortal.settings, tmp_path / "logs") as pipeline:
        pipeline.worker()
        pipeline.ready()
        pipeline.publish("orders", order("S1"))
        pipeline.until_facts({Fact("S1", "O-S1", "T2", "reported", event.time, event.time) for event in events})
        pipeline.drained()
        assert len(pipeline.outputs.facts_by_id()) == len(events)
        assert [task.breach_count for task in pipeline.outputs.final_tasks()] == [len(events)]


def test_a_sender_that_never_asks_is_told_by_its_next_send(mortal: Mortal) -> None:
    sender, sent = mortal.sender(timeout_s=2.0), list[Event]()

    def send() -> None:
        sent.extend(reports(1))
        sender.send(sent[-1])

    send()
    sender.flush()
    mortal.kafka.kill_node(1)
    with pytest.raises(NotAcknowledgedError) as refused:
        eventually(send, "a send says that those before it failed")
    assert [event for event, _ in refused.value.events] == sent[1:], "with the one that says so"
    sender.close()
