"""A worker is started with another policy, and with the one before it again; no more is done, and nothing is lost."""

from pathlib import Path

from harness import Pipeline, Process, changed_policy, order, report

from schemas.tasks import ArrestTask
from streams.settings import Settings

SHIPPED, OTHER = "default-1", "force-2"


def under(pipeline: Pipeline, subject: str, version: str) -> ArrestTask:
    """The task of a subject once it is decided by that version of the policy."""

    def decided() -> list[ArrestTask]:
        return [task for task in pipeline.outputs.tasks_of(subject) if task.policy_version == version]

    [task] = pipeline.until(decided, f"{subject} decided by {version}")
    return task


def test_a_policy_is_taken_back_by_starting_with_the_one_before(pipeline: Pipeline, tmp_path: Path) -> None:
    other = pipeline.settings.model_copy(
        update={"policy_file": changed_policy(tmp_path, f'version = "{SHIPPED}"', f'version = "{OTHER}"')}
    )

    def restarted(settings: Settings, before: Process | None = None) -> Process:
        if before is not None:
            before.stop()
        return pipeline.worker("w1", settings)

    worker = restarted(pipeline.settings)
    pipeline.publish("orders", *(order(f"S{number}") for number in range(1, 4)))
    pipeline.publish("breach-reports", report("O-S1"))
    first = under(pipeline, "S1", SHIPPED)
    worker = restarted(other, worker)
    pipeline.publish("breach-reports", report("O-S2"))
    second = under(pipeline, "S2", OTHER)
    # What nothing has happened to since is left as it was decided.
    assert pipeline.outputs.tasks_of("S1") == [first]
    worker = restarted(pipeline.settings, worker)
    pipeline.publish("breach-reports", report("O-S3"), report("O-S2"))
    under(pipeline, "S3", SHIPPED)
    # The same task, decided anew with its next event.
    again = under(pipeline, "S2", SHIPPED)
    assert (again.task_id, again.breach_count) == (second.task_id, second.breach_count + 1)
    assert pipeline.outputs.tasks_of("S1") == [first]
    worker.stop()
    assert not pipeline.outputs.dead_letters()
