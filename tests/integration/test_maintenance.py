"""Planned maintenance on a real Alertmanager: what a silence takes with it, and what it must not."""

import subprocess
from pathlib import Path
from typing import Any

import promql_parser as promql
import pytest
import watched
from harness import eventually
from prometheus import Alertmanager, alertmanager, installed

pytestmark = installed
WORKER = {"job": "worker", "instance": "worker-1:9100"}
OTHER = {"job": "worker", "instance": "worker-2:9100"}


def posted(**of: str) -> list[dict[str, str]]:
    """Every alert that there is, with the labels that it has; those of a process are of this one."""
    known = watched.known_series()
    return [
        {"alertname": alert.name, "site": "primary", **alert.labels}
        | {name: of.get(name, "x") for name in watched.labels_of(promql.parse(alert.expr), known)}
        for alert in watched.alerts()
    ]


def silence(manager: Alertmanager, *words: str) -> None:
    command = ["amtool", f"--alertmanager.url={manager.url}", "silence", "add", "--author=tests", *words]
    subprocess.run(command, check=True, capture_output=True)


def silenced(manager: Alertmanager) -> set[tuple[str, str]]:
    return {
        (alert["labels"]["alertname"], alert["labels"].get("instance", ""))
        for alert in manager.alerts()
        if alert["status"]["silencedBy"]
    }


def test_a_process_under_maintenance_is_silent_and_nothing_else(tmp_path: Path) -> None:
    with alertmanager(tmp_path) as (manager, receivers):
        silence(manager, "job=worker", "instance=worker-1:9100", "--duration=30m", "--comment=a new disk, CHG-1042")
        manager.post(*posted(**WORKER), *posted(**OTHER))
        eventually(lambda: silenced(manager), "the silence is applied")
        has = {alert["alertname"] for alert in posted() if {"job", "instance"} <= alert.keys()}
        assert silenced(manager) == {(name, WORKER["instance"]) for name in has}
        assert {"WorkerDown", "NotReady", "IndexNotFresh"} <= has
        assert not has & {"CanaryAbsent", "CanaryLost", "CanaryPartitionStale", "Watchdog", "WorkersGone"}
        for name in ("CanaryLost", "CanaryAbsent", "CanaryPartitionStale", "WorkersGone", "Watchdog"):
            eventually(lambda name=name: receivers.named(name), f"{name} arrives all the same")
        eventually(lambda: receivers.named("IndexNotFresh"), "the other worker is told of")
        assert {notice.labels["instance"] for notice in receivers.named("IndexNotFresh")} == {OTHER["instance"]}


def test_what_follows_from_something_larger_is_held_back(tmp_path: Path) -> None:
    with alertmanager(tmp_path) as (manager, _):
        manager.post(*posted(**WORKER))
        inhibited = {alert["labels"]["alertname"] for alert in manager.alerts() if alert["status"]["inhibitedBy"]}
        assert inhibited >= {"WorkerDown", "LagHigh", "PartitionStalled", "LookoutBlind", "GateBehind"}
        assert not inhibited & {"CanaryAbsent", "CanaryLost", "CanaryPartitionStale", "Watchdog", "WorkersGone"}


@pytest.mark.parametrize(
    ("severity", "team", "receiver"),
    [
        ("page", "platform", "page-platform"),
        ("page", "control-room", "page-control-room"),
        ("heartbeat", "platform", "dead-mans-switch"),
    ],
)
def test_it_arrives_with_the_receivers_token(tmp_path: Path, severity: str, team: str, receiver: str) -> None:
    with alertmanager(tmp_path) as (manager, receivers):
        manager.post({"alertname": "Tried", "site": "primary", "severity": severity, "team": team})
        eventually(lambda: receivers.named("Tried", receiver), f"{receiver} gets it", 30)


@pytest.mark.parametrize(("window", "muted"), [({}, True), ({"years": ["2001"]}, False)])
def test_in_the_weekly_maintenance_tickets_wait_and_pages_do_not(
    tmp_path: Path, window: dict[str, object], muted: bool
) -> None:
    """With a window that is always, or never: Alertmanager has no clock but the machine's."""

    def change(config: dict[str, Any]) -> None:
        config["time_intervals"][0]["time_intervals"] = [window]
        for route in config["route"]["routes"]:
            # A ticket, which usually waits for others of its group, is due before the page, which waits 5 s.
            if route["receiver"] == "tickets":
                route["group_wait"] = "0s"

    with alertmanager(tmp_path, change) as (manager, receivers):
        manager.post(*posted(**WORKER))
        eventually(lambda: receivers.named("CanaryLost", "page-platform"), "a page arrives")
        assert receivers.named("Watchdog", "dead-mans-switch")
        assert bool(receivers.named("RowNearLimit", "tickets")) is not muted
