"""What is urgent does not queue up behind what comes in bulk; the bulk is done all the same."""

from harness import OUTSIDE, Pipeline, ago, order, report, tag_fix

SUBJECTS, FIXES, OLD_FIXES = 20, 5000, 1500


def test_a_report_overtakes_more_fixes_than_a_worker_takes_and_a_bulk_of_old_ones(pipeline: Pipeline) -> None:
    names = [f"S{number}" for number in range(SUBJECTS)]
    pipeline.worker()
    pipeline.ready()
    pipeline.publish("orders", *(order(name, tag=f"TAG-{name}") for name in names))
    pipeline.drained()
    bulk = [
        pipeline.send(topic, tag_fix(f"TAG-{names[number % SUBJECTS]}", ago(hours * 3600 - number), OUTSIDE))
        for topic, count, hours in (("sightings", FIXES, 1), ("sightings-backfill", OLD_FIXES, 48))
        for number in range(count)
    ]
    for sent in bulk:
        sent.get(60)
    for name in names[:2]:
        pipeline.publish("breach-reports", report(f"O-{name}"))
        pipeline.until(lambda name=name: pipeline.outputs.tasks_of(name), "the report is a task")
    waiting, old = pipeline.uncommitted("sightings"), pipeline.uncommitted("sightings-backfill")
    assert waiting > FIXES / 5, "the tasks came while many fixes waited"
    assert old > OLD_FIXES * 0.9, "and nearly all of the backfill"
    pipeline.until(lambda: pipeline.uncommitted("sightings") == 0, "the fixes are taken up", 120)
    assert pipeline.uncommitted("sightings-backfill") > OLD_FIXES / 4, "before the backfill"
    pipeline.drained(120)
    taken = len(pipeline.outputs.records["subject-events"])
    assert taken >= SUBJECTS + FIXES + OLD_FIXES + 2, "and nothing is lost"
