"""The demonstration plays by itself, prints one object, and leaves nothing behind however it ends."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from streams.cli.demo import demo_policy, percentile
from streams.core.policy import load_policy
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster

BREACHWATCH = [sys.executable, "-c", "from streams.cli import main; main()"]
DEADLINE_S = 120.0
INTERRUPTED = 130


class Demo:
    """A demonstration that runs: its folder for temporary files, its output, and all the processes of it."""

    def __init__(self, folder: Path, options: list[str], extra: dict[str, str]) -> None:
        self.mark = uuid.uuid4().hex
        self.temporary = folder / "tmp"
        self.temporary.mkdir()
        self._out, self._err = folder / "stdout", folder / "stderr"
        environment = {k: v for k, v in os.environ.items() if not k.startswith("BREACHWATCH_")} | extra
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                [*BREACHWATCH, "demo", *options],
                env=environment | {"DEMO_MARK": self.mark, "TMPDIR": str(self.temporary)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while text not in self.stdout + self.stderr:
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.stdout}\n{self.stderr}"
            time.sleep(0.02)

    def running(self) -> list[psutil.Process]:
        """Processes whose environment carries the mark: the demonstration's own, and all that it started."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get("DEMO_MARK") == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.NoSuchProcess, psutil.AccessDenied):
                continue
        return found

    def ended(self) -> int:
        """Its exit code; nothing of it may be left."""
        code = self.process.wait(DEADLINE_S)
        assert self.running() == []
        assert list(self.temporary.iterdir()) == []
        assert "Traceback" not in self.stdout + self.stderr
        return code


@contextmanager
def demo(folder: Path, *options: str, **extra: str) -> Iterator[Demo]:
    playing = Demo(folder, list(options), extra)
    try:
        yield playing
    finally:
        for process in playing.running():
            process.kill()
        playing.process.wait(DEADLINE_S)


def names_in(bootstrap_servers: str) -> list[str]:
    """Topics and groups of the demonstration in a cluster."""
    with connect(Cluster(bootstrap_servers)) as client:
        groups = [group["group_id"] for group in client.list_groups()]
        return [name for name in [*client.list_topics(), *groups] if name.startswith("demo")]


def test_it_prints_one_object_and_leaves_nothing_running(tmp_path: Path) -> None:
    with demo(tmp_path, "--once", "--json") as playing:
        assert playing.ended() == 0, playing.stderr
    shown = json.loads(playing.stdout)
    assert {"tasks", "events_in", "dead_letters", "latency_ms"} <= set(shown)
    (task,) = shown["tasks"]
    assert task["state"] == "arrested"
    assert task["assigned_to"] == "Car NN12"
    assert {breach["certainty"] for breach in task["breaches"]} == {"vehicle", "reported", "confirmed"}
    assert sum(point["points"] for point in task["priority"]["contributions"]) == task["priority"]["score"]
    assert task["last_seen"]["source"] == "officer_sighting"
    assert shown["events_in"] == 309
    assert shown["dead_letters"] == 1
    (unreadable,) = [alert for alert in shown["alerts"] if alert["kind"] == "unreadable_breach_report"]
    assert "offset" in unreadable["text"]
    assert 0 < shown["latency_ms"]["p50"] <= shown["latency_ms"]["p95"] <= shown["latency_ms"]["p99"]


@pytest.mark.parametrize(
    ("moment", "number"),
    [("starting a real Apache Kafka", signal.SIGINT), ("starting gate and worker", signal.SIGTERM)],
    ids=["Ctrl-C while Kafka starts", "SIGTERM while the worker starts"],
)
def test_interrupted_while_it_starts_it_leaves_nothing(tmp_path: Path, moment: str, number: signal.Signals) -> None:
    with demo(tmp_path, "--once", "--json") as playing:
        playing.wait_for(moment)
        playing.process.send_signal(number)
        # An impatient second one must not interrupt the cleaning up.
        playing.wait_for("stopping what was started")
        playing.process.send_signal(number)
        assert playing.ended() == INTERRUPTED
    assert playing.stdout == ""


def test_on_an_existing_cluster_it_goes_on_until_ctrl_c_and_leaves_no_topic_or_group(
    tmp_path: Path, kafka: str
) -> None:
    with demo(tmp_path, BREACHWATCH_BOOTSTRAP_SERVERS=kafka) as playing:
        playing.wait_for(" doctor\n")
        assert names_in(kafka) != []
        exports = [line.split("export ")[1] for line in playing.stdout.splitlines() if "export " in line]
        tail = subprocess.run(
            [*BREACHWATCH, "tail", "arrest-tasks", "--from-beginning", "--until-idle", "3"],
            env=os.environ | dict(export.split("=", 1) for export in exports),
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert "arrested: Simon Sample" in tail.stdout
        [(address, token)] = re.findall(r"(http://127\.0\.0\.1:\d+)/#token=(\S+)", playing.stderr)
        board = httpx.get(f"{address}/api/v1/tasks", headers={"Authorization": f"Bearer {token}"})
        assert [task["state"] for task in board.raise_for_status().json()["tasks"]] == ["arrested"]
        playing.process.send_signal(signal.SIGINT)
        assert playing.ended() == 0, playing.stderr
    assert names_in(kafka) == []


def test_a_worker_that_dies_is_told_in_words(tmp_path: Path, kafka: str) -> None:
    with demo(tmp_path, "--once", "--pause", "60", BREACHWATCH_BOOTSTRAP_SERVERS=kafka) as playing:
        playing.wait_for("Stalking Protection Order")
        (worker,) = [process for process in playing.running() if process.cmdline()[-1] == "worker"]
        worker.kill()
        assert playing.ended() == 1
    assert "the worker ended with code -9" in playing.stderr
    assert names_in(kafka) == []


def test_its_policy_differs_only_where_a_story_cannot_wait(tmp_path: Path) -> None:
    ours, default = load_policy(demo_policy(tmp_path)), load_policy(None)
    differing = {name for name in type(default).model_fields if getattr(ours, name) != getattr(default, name)}
    assert differing == {"version", "limits"}
    assert (
        ours.limits.model_copy(update={"last_seen_interval_s": default.limits.last_seen_interval_s}) == default.limits
    )


def test_percentiles_are_by_nearest_rank() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, share) for share in (0.5, 0.95, 0.99)] == [50.0, 95.0, 99.0]
    assert percentile([7.0], 0.99) == 7.0
