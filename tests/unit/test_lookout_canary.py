"""What becomes of a probe: seen, late or lost, by its way; and when a partition was last seen to work."""

import contextlib

import orjson
import pytest
from builders import NOW, Subject, fix, order
from prometheus_client import REGISTRY
from pydantic import ValidationError
from test_canary import canary, probe

from streams.lookout.canary import LATE_S, LOST_S, Sent, Waiting, shown
from streams.settings import Settings


def probes(outcome: str, way: str = "sightings") -> float:
    return REGISTRY.get_sample_value("breachwatch_canary_probes_total", {"outcome": outcome, "way": way}) or 0.0


def seen(partition: int) -> float | None:
    return REGISTRY.get_sample_value("breachwatch_canary_seen_timestamp_seconds", {"partition": str(partition)})


def test_a_new_canary_has_seen_no_partition_and_has_a_series_for_each() -> None:
    Waiting(3, ("sightings",)).send("c#1", Sent(1, "sightings", 0.0, 5000.0))
    Waiting(3, ("sightings",))
    assert [seen(partition) for partition in range(3)] == [0, 0, 0]


def test_a_task_in_time_is_seen_and_a_later_one_late() -> None:
    waiting = Waiting(2, ("sightings", "anpr"))
    before = {(o, w): probes(o, w) for o in ("seen", "late", "lost") for w in ("sightings", "anpr")}
    waiting.send("c#1", Sent(0, "sightings", 100.0, 5000.0))
    waiting.send("c#2", Sent(1, "anpr", 100.0, 5001.0))
    assert waiting.came("c#3", 100.1) is None
    assert waiting.came("c#1", 100.0 + LATE_S) == Sent(0, "sightings", 100.0, 5000.0)
    assert waiting.came("c#1", 101.0) is None, "the same task again"
    waiting.came("c#2", 100.1 + LATE_S)
    assert probes("seen") == before["seen", "sightings"] + 1
    assert probes("late", "anpr") == before["late", "anpr"] + 1
    assert (seen(0), seen(1), len(waiting)) == (5000.0, 5001.0, 0)


def test_one_that_does_not_come_is_lost_once_and_its_partition_not_seen() -> None:
    waiting = Waiting(1, ("sightings",))
    before = probes("lost")
    waiting.send("c#1", Sent(0, "sightings", 100.0, 5000.0))
    assert waiting.lose(100.0 + LOST_S) == []
    assert len(waiting.lose(100.1 + LOST_S)) == 1
    assert waiting.lose(300.0) == []
    assert waiting.came("c#1", 301.0) is None
    assert (probes("lost"), seen(0)) == (before + 1, 0)


def test_it_looks_at_its_own_tasks_alone() -> None:
    event_id, effects = probe(canary(), NOW)
    [task] = effects.tasks
    assert list(shown(task.model_dump_json().encode())) == [event_id]
    real = Subject(order(), fix(NOW)).task
    assert list(shown(real.model_dump_json().encode())) == []
    assert list(shown(None)) == []

    no_task: list[dict[str, object]] = [{"subject": 1}, {"subject_id": None, "breaches": 1}]
    no_task.append({"subject_id": "exercise/canary-1", "breaches": [{"evidence": [1]}]})
    for message in no_task:
        with contextlib.suppress(KeyError, TypeError):
            assert list(shown(orjson.dumps(message))) == []
    odd = {"subject_id": "exercise/canary-1", "breaches": [{"evidence": [{"event_id": ["c"]}]}]}
    assert Waiting(1, ("sightings",)).came(*shown(orjson.dumps(odd)), 1.0) is None


def test_probes_are_a_second_apart_at_least() -> None:
    with pytest.raises(ValidationError, match="a second apart at least"):
        Settings(canary_interval_s=0.5)
    with pytest.raises(ValidationError, match="less than or equal to 10"):
        Settings(canary_interval_s=30)  # the alert on a lost canary reckons with one in 10 s
    assert Settings(canary_interval_s=0).canary_interval_s == 0
