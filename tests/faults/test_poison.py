"""Poison in every topic that the pipeline reads: all else goes on, also after a restart without a local store."""

import shutil

import pytest
from harness import Pipeline, ago, order, plate_read, report, tag_fix

from streams.kafka.topics import TOPICS
from streams.verify import verify

POISON = (b"\xff\x00{", b"[]", b"{}", b'{"subject_id": 7}', b"null", b"")


@pytest.mark.timeout(240)
def test_poison_in_every_topic_that_is_read(pipeline: Pipeline) -> None:
    worker = pipeline.worker("w1")
    pipeline.gate()
    pipeline.ready(workers=1, gates=1)
    subjects = [f"S{number}" for number in range(8)]
    plates = {subject: f"AB12 CD{subject[1]}" for subject in subjects}
    pipeline.publish("orders", *(order(s, tag=f"TAG-{s}", plate=plate) for s, plate in plates.items()))
    pipeline.drained()
    for topic in TOPICS:
        for partition in range(4):
            for value in (*POISON, None):
                if topic.direction in ("inbound", "internal", "changelog"):  # the others have tests of their own
                    pipeline.send(topic.name, value, b"poison", partition=partition)
    at = ago(60)
    pipeline.publish("breach-reports", *(report(f"O-{subject}", at) for subject in subjects))
    pipeline.until(lambda: len(pipeline.outputs.facts()) == 8, "the reported breaches")
    worker.stop()
    pipeline.processes.remove(worker)
    shutil.rmtree(pipeline.settings.data_dir / "workers")
    pipeline.worker("w1")
    pipeline.publish("sightings", *(tag_fix(f"TAG-{subject}", at) for subject in subjects[:4]))
    pipeline.publish("anpr-reads", *(plate_read(plates[subject], at) for subject in subjects[4:]))
    pipeline.until(lambda: len(pipeline.outputs.facts()) == 16, "the visits, under orders that recovery read")
    pipeline.drained()
    inbound = [topic for topic in TOPICS if topic.direction == "inbound"]
    letters = pipeline.outputs.dead_letters()
    places = {(letter.headers.topic, letter.headers.partition) for letter in letters if letter.headers.topic}
    assert {(topic.name, partition) for topic in inbound for partition in range(4)} <= places
    assert [text for text in verify(pipeline.settings).wrong if "poison" not in text] == []
