"""Real fixes through real processes: 20,000 of one person's, who is a subject with a tag and an excluded zone.

The breaches must be those of the oracle: also when the fixes arrive in disorder, and when each comes twice.
"""

import os
import random
import time
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import pytest
from harness import Event, Pipeline, ago, event, order, quick, running
from oracle import ACCURACY_M, REAL_ZONE, OracleVisit, RealFix, edge_distances, real_fixes, visits

from streams.core import policy
from streams.settings import Settings

DAYS_30 = 30 * 86400
WITHIN_S = 800.0
# Disorder and duplicates are three times as many messages: of a part with six visits, unless all are asked for.
SOME = slice(None) if os.environ.get("BREACHWATCH_ALL_REAL_FIXES") else slice(17_500, 19_500)

pytestmark = pytest.mark.timeout(900)


def write_policy(path: Path, enter: int, leave: int) -> Path:
    """The shipped policy for evidence that is up to 30 days old, under which N fixes make or end a visit."""
    text = Path(policy.__file__).with_name("policy.toml").read_text("utf-8")
    for name, value in {
        "enter_fixes": enter,
        "leave_fixes": leave,
        "horizon_s": DAYS_30,
        "stale_after_s": DAYS_30,
    }.items():
        lines = [f"{name} = {value}" if line.startswith(f"{name} = ") else line for line in text.splitlines()]
        assert f"{name} = {value}" in lines
        text = "\n".join(lines)
    path.write_text(text, "utf-8")
    assert policy.load_policy(path).visits.enter_fixes == enter
    return path


def fixes_of(subject: str, fixes: Iterable[RealFix]) -> list[Event]:
    """As the tag of this subject sends them; each subject's have ids of their own."""
    events = []
    for number, real in enumerate(fixes):
        place = {"latitude": real.latitude, "longitude": real.longitude, "accuracy_m": ACCURACY_M}
        sent = event("tag_fix", real.at, device_id=f"TAG-{subject}", position=place)
        events.append({**sent, "id": f"{subject}-{number}"})
    return events


def order_on(subject: str) -> Event:
    term = {"term_id": "T1", "kind": "exclusion_zone", "area": {"type": "Polygon", "coordinates": [REAL_ZONE]}}
    return order(subject, tag=f"TAG-{subject}", terms=[term])


def confirmed(pipeline: Pipeline, subject: str) -> list[OracleVisit]:
    """What stands on the subject's one task."""
    (task,) = pipeline.outputs.tasks_of(subject)
    assert any(flag.startswith("jurisdiction") for flag in task.flags)  # that person lives in Beijing
    return [OracleVisit(b.began_at, b.ended_at) for b in task.breaches if b.certainty == "confirmed"]


def judge(pipeline: Pipeline, orders: Iterable[Event], fixes: list[Event]) -> float:
    """Publish and wait until everything is judged; fixes a second, from the first one's sending."""
    pipeline.worker()
    pipeline.publish("orders", *orders)
    pipeline.until(lambda: pipeline.outputs.records["identifiers"], "the orders are loaded")
    began = time.monotonic()
    pipeline.publish("sightings", *fixes)
    pipeline.drained(WITHIN_S)
    return len(fixes) / (time.monotonic() - began)


def wanted(fixes: list[RealFix], enter: int, leave: int) -> list[OracleVisit]:
    return visits(fixes, edge_distances(fixes, REAL_ZONE), enter, leave)


@pytest.mark.parametrize(("enter", "leave", "count"), [(1, 3, 17), (3, 3, 14)])
def test_breaches_of_real_fixes_are_those_of_the_oracle(
    pipeline_settings: Settings, tmp_path: Path, enter: int, leave: int, count: int
) -> None:
    fixes = real_fixes(_now())
    settings = quick(pipeline_settings, policy_file=write_policy(tmp_path / "policy.toml", enter, leave))
    with running(settings, tmp_path / "logs") as pipeline:
        rate = judge(pipeline, [order_on("R1")], fixes_of("R1", fixes))
        print(f"{len(fixes)} fixes at {rate:.0f} a second")
        assert confirmed(pipeline, "R1") == wanted(fixes, enter, leave)
        assert len(wanted(fixes, enter, leave)) == count


def test_in_disorder_and_twice_they_are_the_same(pipeline_settings: Settings, tmp_path: Path) -> None:
    """Two subjects: one's fixes arrive shuffled within ten minutes, each of the other's comes twice."""
    fixes = real_fixes(_now())[SOME]
    chance = random.Random(17)
    shuffled = sorted(fixes_of("R2", fixes), key=lambda e: _time(e).timestamp() + chance.uniform(0, 600))
    twice = [sent for sent in fixes_of("R3", fixes) for _ in range(2)]
    settings = quick(pipeline_settings, policy_file=write_policy(tmp_path / "policy.toml", 1, 3))
    with running(settings, tmp_path / "logs") as pipeline:
        rate = judge(pipeline, [order_on("R2"), order_on("R3")], [*shuffled, *twice])
        print(f"{len(shuffled) + len(twice)} fixes at {rate:.0f} a second")
        assert confirmed(pipeline, "R2") == wanted(fixes, 1, 3)
        assert confirmed(pipeline, "R3") == wanted(fixes, 1, 3)
        assert len({task.task_id for task in pipeline.outputs.final_tasks()}) == 2


def _now() -> datetime:
    return ago().replace(microsecond=0)


def _time(event: Event) -> datetime:
    return datetime.fromisoformat(event["time"])
