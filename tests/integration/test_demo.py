"""The demonstration plays by itself, prints one object and leaves nothing running."""

import json
import os
import subprocess
import sys
import uuid

import psutil

PLAY = [sys.executable, "-c", "from streams.cli import main; main()", "demo", "--once", "--json"]


def marked_processes(mark: str) -> list[int]:
    """Processes whose environment carries the mark: the demonstration's, and all that it started."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DEMO_MARK") == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process.pid)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def test_it_prints_one_object_and_leaves_nothing_running() -> None:
    mark = uuid.uuid4().hex
    environment = {k: v for k, v in os.environ.items() if not k.startswith("BREACHWATCH_")} | {"DEMO_MARK": mark}
    played = subprocess.run(PLAY, env=environment, capture_output=True, text=True, timeout=180)
    assert played.returncode == 0, played.stderr
    shown = json.loads(played.stdout)
    (task,) = shown["tasks"]
    assert task["state"] == "arrested"
    assert {breach["certainty"] for breach in task["breaches"]} == {"vehicle", "reported", "confirmed"}
    assert sum(point["points"] for point in task["priority"]["contributions"]) == task["priority"]["score"]
    assert task["last_seen"]["source"] == "officer_sighting"
    (letter,) = shown["dead_letters"]
    assert letter["reason"] == "invalid_field"
    assert "offset" in letter["detail"]
    assert shown["events_in"] == 309
    assert 0 < shown["latency_ms"]["p50"] <= shown["latency_ms"]["p95"] <= shown["latency_ms"]["p99"]
    assert marked_processes(mark) == []
