"""Behaviour 42 by real processes: while tables recover, what comes in waits; it is never judged as "no order"."""

import shutil

from harness import OUTSIDE, Pipeline, ago, event, order, report, tag_fix

SUBJECTS = [f"S42-{number}" for number in range(8)]
"""More than there are partitions, so that every partition's recovery is in it."""


def test_behaviour_42_worker_that_rebuilds_its_tables_judges_what_waited(pipeline: Pipeline) -> None:
    """The orders are known to the old tables only; the local store is gone, and events are there at the start."""
    worker = pipeline.worker()
    pipeline.ready()
    pipeline.publish("orders", *(order(subject, tag=f"tag-{subject}") for subject in SUBJECTS))
    pipeline.drained()
    worker.stop()
    shutil.rmtree(pipeline.settings.data_dir / "workers")

    at = ago(5)
    pipeline.publish("sightings", *(tag_fix(f"tag-{subject}", at) for subject in SUBJECTS))
    reports = [
        event("breach_report", at, nature="contact", order_id=f"O-{subject}", reported_by="witness")
        for subject in SUBJECTS
    ]
    pipeline.publish("breach-reports", *reports)
    pipeline.worker()
    pipeline.until(
        lambda: all({"T1", "T2"} <= {fact.term for fact in pipeline.outputs.facts(subject)} for subject in SUBJECTS),
        "the visit and the contact of each subject, under the order from before",
    )
    pipeline.drained()
    assert {alert.kind for alert in pipeline.outputs.alerts()} == {"breach"}, "nobody was under no order"
    assert pipeline.outputs.records["unresolved"] == []
    decisions = {entry.decision for entry in pipeline.outputs.audits()}
    assert not decisions & {"no_order_in_force", "not_in_force", "no_breach"}


def test_case_21_alert_that_was_held_back_is_not_raised_by_a_restart(pipeline: Pipeline) -> None:
    """The second notice of a weak battery within the hour is held back, also by a worker that has just started."""
    worker = pipeline.worker()
    pipeline.ready()
    pipeline.publish("orders", order("S21", tag="tag-21"))
    pipeline.publish("sightings", tag_fix("tag-21", where=OUTSIDE, battery_low=True))
    pipeline.until(lambda: pipeline.outputs.alerts(), "the notice")
    pipeline.drained()
    worker.stop()
    shutil.rmtree(pipeline.settings.data_dir / "workers")

    pipeline.publish("sightings", tag_fix("tag-21", where=OUTSIDE, battery_low=True))
    pipeline.publish("breach-reports", report("O-S21"))
    pipeline.worker()
    pipeline.until(lambda: pipeline.outputs.final_tasks(), "the breach after it is told at once")
    pipeline.drained()
    assert sorted(alert.kind for alert in pipeline.outputs.alerts()) == ["breach", "tag_battery"]
