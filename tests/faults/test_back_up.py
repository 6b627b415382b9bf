"""Back-up and restore of a cluster's topics, as the runbook has it: what the senders send again makes it whole."""

import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from harness import Event, Fact, Pipeline, ago, order, quick, report

from streams.kafka import admin, local
from streams.settings import Settings
from streams.verify import verify

SUBJECTS = [f"S{number}" for number in range(8)]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where a cluster of one node keeps everything; whatever runs there at the end is ended."""
    local.start(tmp_path / "kafka")
    yield tmp_path
    local.stop(tmp_path / "kafka")


def pipeline_on(folder: Path, logs: str) -> Pipeline:
    found = local.status(folder / "kafka")
    assert found is not None
    settings = quick(Settings(bootstrap_servers=found.bootstrap_servers, data_dir=folder))
    admin.apply(admin.plan(settings))
    return Pipeline(settings, folder / logs)


def facts(reports: dict[str, datetime]) -> set[Fact]:
    return {Fact(subject, f"O-{subject}", "T2", "reported", at, at) for subject, at in reports.items()}


@pytest.mark.parametrize("stores", ["deleted", "forgotten"])
@pytest.mark.timeout(300)
def test_a_cluster_restored_from_a_back_up_goes_on_and_is_whole_once_senders_send_again(
    folder: Path, stores: str
) -> None:
    before, after = ({subject: ago(60) for subject in half} for half in (SUBJECTS[:4], SUBJECTS[4:]))
    kafka, kept = folder / "kafka", folder / "kept"
    first = pipeline_on(folder, "first")
    worker = first.worker("w1")
    first.publish("orders", *(order(subject) for subject in SUBJECTS))
    first.publish("breach-reports", *(report(f"O-{subject}", at) for subject, at in before.items()))
    first.until_facts(facts(before))
    worker.stop()
    local.stop(kafka)
    shutil.copytree(kafka, kept)
    local.start(kafka)
    worker = first.worker("w1")
    later: list[Event] = [report(f"O-{subject}", at) for subject, at in after.items()]
    first.publish("breach-reports", *later)
    first.until_facts(facts(before | after))
    first.drained()
    worker.stop()
    first.close()

    local.stop(kafka)
    shutil.rmtree(kafka)
    shutil.move(kept, kafka)
    if stores == "deleted":
        shutil.rmtree(folder / "workers")
    local.start(kafka)
    restored = pipeline_on(folder, "restored")
    try:
        restored.until_facts(facts(before))
        worker = restored.worker("w1")
        if stores == "forgotten":
            assert worker.wait() == 1
            assert "deleted; built anew from the changelogs" in worker.log.read_text()
            restored.worker("w1")
        restored.publish("breach-reports", *later)
        restored.until_facts(facts(before | after))
        restored.drained()
        assert {task.subject_id: task.breach_count for task in restored.outputs.final_tasks()} == dict.fromkeys(
            SUBJECTS, 1
        )
        assert verify(restored.settings).wrong == []
    finally:
        restored.close()
