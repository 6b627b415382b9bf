"""Is anybody working, and do they get on?"""

import re
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import orjson
import psutil  # type: ignore[import-untyped]
from kafka import TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from schemas.internal import SourceControl
from schemas.sources import SourceStatus
from streams.core.canary import SOURCE
from streams.doctor.finding import Finding, listed
from streams.doctor.watch import HIDDEN, Group, Look, Span, old_s
from streams.kafka.access import ADAPTERS, GATES, WORKERS
from streams.kafka.cluster import Cluster
from streams.kafka.reading import opened
from streams.kafka.topics import BY_NAME, full_name
from streams.lookout.lag import readers
from streams.settings import Settings

OFF_WARN = timedelta(days=1)
# A worker sends its counts of a source every 5 s while they change.
HEARD_S = 60.0
# What a worker takes up only while nothing else waits.
_PATIENT = {"sightings-backfill"}
_ASK_S = 5.0
_SAME_PIPELINE = {"BREACHWATCH_BOOTSTRAP_SERVERS", "BREACHWATCH_TOPIC_PREFIX"}


@dataclass(frozen=True)
class Stage:
    """A group and what it reads."""

    what: str
    group: str
    """Without prefix."""
    topics: tuple[str, ...]
    """Without prefix."""
    start: str
    needed: bool = True
    """A pipeline is not whole without it."""


def stages(settings: Settings) -> list[Stage]:
    """Worker, gate, and an adapter for each format of raw messages; other adapters are there for who wants them."""
    start = {WORKERS: ("workers", "breachwatch worker --name NAME"), GATES: ("gate", "breachwatch gate")}
    found = []
    for group, names in readers(settings).items():
        if group in start:
            found.append(Stage(start[group][0], group, names, start[group][1]))
        elif all(BY_NAME[name].direction == "raw" for name in names):
            command = f"breachwatch adapters run {group.removeprefix(f'{ADAPTERS}-')}"
            found.append(Stage("adapter", group, names, command, needed=False))
    return found


# -- groups ------------------------------------------------------------------------------------------------


def groups(first: Look, second: Look, settings: Settings) -> Iterator[Finding]:
    """Of each stage whether somebody works, whether all partitions have somebody, and whether it gets on."""
    for stage in stages(settings):
        name = settings.topic_prefix + stage.group
        one = second.groups[name]
        if one.state == HIDDEN:
            if stage.needed:
                yield Finding(stage.what, "ok", "we may not see its group: nothing is shown by this")
            continue
        spans = {
            tp: span
            for topic in stage.topics
            for tp, span in second.spans.items()
            if tp.topic == full_name(settings, topic)
        }
        waiting = sum(max(0, span.end - max(one.committed.get(tp, 0), span.begin)) for tp, span in spans.items())
        if one.members or stage.needed or waiting:
            yield from _working(stage, one, spans, waiting)
        if stage.what == "workers":
            yield from _names(first.groups[name], one)
        yield from _expired(stage, one, spans)
        if one.members:
            yield from _lag(stage, first.groups[name], one, spans, settings)


def _working(stage: Stage, group: Group, spans: Iterable[TopicPartition], waiting: int) -> Iterator[Finding]:
    start = f"`{stage.start}`, and let the machine start it again whenever it ends"
    if not group.members:
        if group.committed:
            detail = f"nobody works on {listed(stage.topics)}: {waiting:,} messages wait"
            yield Finding(stage.what, "fail", detail, start)
        elif waiting:
            detail = f"nobody works on {listed(stage.topics)}, and nobody ever did: {waiting:,} messages wait"
            yield Finding(stage.what, "fail", detail, start)
        else:
            yield Finding(stage.what, "warn", f"nobody works on {listed(stage.topics)}, and nothing waits", start)
        return
    if group.state != "Stable":
        detail = f"partitions are being given anew ({group.state})"
        yield Finding(
            stage.what, "warn", detail, "look again in a minute; where it goes on, a member joins and leaves"
        )
        return
    taken = {tp for member in group.members for tp in member.partitions}
    free = sorted(f"{tp.topic}/{tp.partition}" for tp in spans if tp not in taken)
    if free:
        detail = f"{len(free)} partitions have nobody: {listed(free)}"
        yield Finding(stage.what, "fail", detail, "restart them one by one: each reads the topics anew as it starts")
    else:
        yield Finding(stage.what, "ok", f"{len(group.members)} at work, and every partition has one")


def _names(first: Group, second: Group) -> Iterator[Finding]:
    """A name is one process's: a second one throws the first out, which starts again and throws the second out."""
    joined: dict[str, set[tuple[str, str]]] = {}
    for member in (*first.members, *second.members):
        if member.name is not None:
            joined.setdefault(member.name, set()).add((member.member_id, member.host))
    for name, lives in sorted(joined.items()):
        hosts = sorted({host for _, host in lives})
        if len(hosts) > 1:
            detail = f"worker {name} has joined from {listed(hosts)} within seconds: they throw each other out"
            yield Finding("names", "fail", detail, "give each worker a --name of its own")
        elif len(lives) > 1:
            detail = f"worker {name} has joined anew within seconds"
            mend = "look at its log; where two have the same --name, give each its own"
            yield Finding("names", "warn", detail, mend)


def _expired(stage: Stage, group: Group, spans: Mapping[TopicPartition, Span]) -> Iterator[Finding]:
    lost = {
        tp: span.begin - group.committed[tp]
        for tp, span in spans.items()
        if 0 <= group.committed.get(tp, -1) < span.begin
    }
    if lost:
        where = listed(f"{tp.topic}/{tp.partition}" for tp in lost)
        detail = f"{sum(lost.values()):,} messages were deleted before anybody read them: {where}"
        yield Finding(
            stage.what, "fail", detail, "have their senders send them again: deploy/runbook.md; work on what is left"
        )


def _lag(
    stage: Stage, first: Group, second: Group, spans: Mapping[TopicPartition, Span], settings: Settings
) -> Iterator[Finding]:
    """Messages that have waited too long; whether their partition has got on between the two looks."""
    patient = {full_name(settings, name) for name in _PATIENT}
    old, stuck = {}, []
    for tp, span in spans.items():
        done = second.committed.get(tp, -1)
        late = span.young - max(done, span.begin)
        if late > 0 and tp.topic not in patient:
            old[tp] = late
            if first.committed.get(tp, -1) == done:
                stuck.append(tp)
    what, long = f"{stage.what} lag", f"for more than {old_s(settings):.0f} s"
    if stuck:
        where = listed(f"{tp.topic}/{tp.partition}" for tp in stuck)
        detail = f"messages have waited {long}, and nothing moves: {where}"
        mend = "look at the log and /readyz of who has it; restart that one: deploy/runbook.md"
        yield Finding(what, "fail", detail, mend)
    elif old:
        detail = f"{sum(old.values()):,} messages have waited {long}"
        mend = f"they get on; where it grows, start another: `{stage.start}`, deploy/sizing.md"
        yield Finding(what, "warn", detail, mend)
    else:
        yield Finding(what, "ok", f"nothing has waited {long}")


# -- this machine ------------------------------------------------------------------------------------------


def names_here(commands: Iterable[list[str]]) -> Iterator[Finding]:
    """Of the command lines that run on this machine: two workers with one name."""
    named = Counter(name for command in commands if (name := _worker_name(command)) is not None)
    twice = sorted(name for name, count in named.items() if count > 1)
    if twice:
        detail = f"{listed(twice)}: more than one worker of that name on this machine"
        yield Finding("names", "fail", detail, "end one, or give it a --name of its own")


def _worker_name(command: list[str]) -> str | None:
    words = [Path(word).name for word in command[:2]] + command[2:]
    if "breachwatch" not in words[:2] or "worker" not in words:
        return None
    text = " ".join(words[words.index("worker") + 1 :])
    told = re.search(r"--name[= ](\S+)", text)
    return told.group(1) if told else "worker-1"


def commands_here(settings: Settings) -> Iterator[list[str]]:
    """Command lines of the processes on this pipeline that we may look at."""
    mine = {name: value for name, value in settings.as_variables().items() if name in _SAME_PIPELINE}
    for one in psutil.process_iter(["cmdline"]):
        with suppress(psutil.Error):
            theirs = one.environ()
            if one.info["cmdline"] and mine == {name: theirs[name] for name in _SAME_PIPELINE if name in theirs}:
                yield one.info["cmdline"]


@dataclass(frozen=True)
class Stored:
    """A table of a worker's local store: up to which offset of its changelog it has it."""

    worker: str
    table: str
    partition: int
    applied: int


def stores_here(settings: Settings) -> list[Stored]:
    """What lies in the data directory. Opened for reading alone, also while its worker has it open."""
    found = []
    for path in sorted((settings.data_dir / "workers").glob("*/*/tables/*.db")):
        table, _, number = path.stem.rpartition("-")
        applied = _applied(path)
        if applied is not None:
            found.append(Stored(path.parents[2].name, table, int(number), applied))
    return found


def _applied(path: Path) -> int | None:
    """Of one store; None where it has none yet, or is damaged: a worker makes such a one anew."""
    from faust.stores.rocksdb import Store
    from rocksdict import AccessType, Options, Rdict

    try:
        store = Rdict(str(path), options=Options(raw_mode=True), access_type=AccessType.read_only())
    except Exception:  # rocksdict raises nothing narrower
        return None
    applied = store.get(Store.offset_key)
    store.close()
    return None if applied is None else int(applied)


def stores(found: Iterable[Stored], ends: Mapping[tuple[str, int], int]) -> Iterator[Finding]:
    """`ends`: of a changelog (table, partition) the offset after its last message, asked for after the stores."""
    every = list(found)
    newer = sorted({one.worker for one in every if one.applied >= ends.get((one.table, one.partition), 10**18)})
    if newer:
        detail = f"the local store of {listed(newer)} is newer than its changelog: it is of another cluster or prefix"
        mend = "stop that worker and delete its directory below workers/ in BREACHWATCH_DATA_DIR: it is made anew"
        yield Finding("stores", "fail", detail, f"{mend}; give each pipeline a data directory of its own")
    elif every:
        yield Finding("stores", "ok", f"none of {len(every)} is newer than its changelog")


# -- what can be read --------------------------------------------------------------------------------------


def sources_off(newest: Iterable[bytes], now: datetime) -> Iterator[Finding]:
    """`newest`: the newest value of each source in `source-controls`."""
    controls = [SourceControl.model_validate_json(value) for value in newest]
    long = sorted(one.source for one in controls if one.off and now - one.at > OFF_WARN)
    if long:
        detail = f"switched off for more than a day, what they send is set aside: {listed(long)}"
        mend = "`breachwatch sources on SOURCE --reason TEXT`, then `breachwatch dead-letters replay`"
        yield Finding("sources", "warn", detail, mend)
    else:
        off = sum(one.off for one in controls)
        yield Finding("sources", "ok", f"{off} switched off, none for more than a day")


def sources_heard(cluster: Cluster, topic: str, since_s: float) -> set[str]:
    """Sources in `source-status` (its full name) since then, in seconds since 1970. Raises BreachwatchError."""
    found: set[str] = set()
    with opened(cluster, topic, fetch_wait_ms=100) as (consumer, partitions):
        starts = consumer.offsets_for_times(dict.fromkeys(partitions, int(since_s * 1000)))
        left = {tp for tp in partitions if starts[tp] is not None}
        consumer.assign(left)
        for tp in left:
            consumer.seek(tp, starts[tp].offset)
        ends = consumer.end_offsets(list(left)) if left else {}
        while left := {tp for tp in left if consumer.position(tp) < ends[tp]}:
            for batch in consumer.poll(timeout_ms=500).values():
                found |= {SourceStatus.model_validate_json(one.value).source for one in batch if one.value}
    return found


# -- processes that serve metrics --------------------------------------------------------------------------


@dataclass(frozen=True)
class Served:
    """What a process says of itself."""

    url: str
    fault: str = ""
    """Why it does not answer."""
    role: str = ""
    version: str = ""
    wrong: tuple[str, ...] = ()
    """Its checks of being ready that are not well."""


def ask_process(url: str) -> Served:
    """`url` is where it serves: http://host:port."""
    try:
        wrong = tuple(orjson.loads(_get(f"{url}/readyz"))["wrong"])
        exposed = _get(f"{url}/metrics").decode()
    except (OSError, ValueError, KeyError, TypeError) as error:
        return Served(url, fault=str(getattr(error, "reason", error)) or type(error).__name__)
    samples = [one for family in text_string_to_metric_families(exposed) for one in family.samples]
    build = next((one.labels for one in samples if one.name == "breachwatch_build_info"), {})
    return Served(url, "", build.get("role", ""), build.get("version", ""), wrong)


def _get(url: str) -> bytes:
    """The body, whatever the status: one that is not ready says why."""
    if not url.startswith(("http://", "https://")):
        raise ValueError("it must be http://host:port")
    try:
        with urllib.request.urlopen(url, timeout=_ASK_S) as answer:  # noqa: S310 - http alone, see above
            found: bytes = answer.read()
    except urllib.error.HTTPError as refused:
        found = refused.read()
    return found


def processes(served: Iterable[Served], version: str) -> Iterator[Finding]:
    """Whether each answers, is ready, and is of the version that doctor is."""
    for one in served:
        name = f"{one.role or 'process'} at {one.url}"
        if one.fault:
            mend = "start it with BREACHWATCH_METRICS_PORT set, or correct --metrics-url"
            yield Finding("process", "fail", f"{one.url} does not answer: {one.fault}", mend)
        elif one.wrong:
            mend = "recovery takes seconds to minutes; where it goes on, look at its log: deploy/runbook.md"
            yield Finding("process", "fail", f"{name} is not ready: {listed(one.wrong)}", mend)
        elif one.version != version:
            detail = f"{name} is version {one.version or 'unknown'}, and this is {version}"
            yield Finding("process", "warn", detail, "install the same version everywhere, and restart it")
        else:
            yield Finding("process", "ok", f"{name} is ready, version {version}")


def canary(sources: Container[str]) -> Finding:
    """`sources`: those of which workers have counted events within the last `HEARD_S`."""
    if SOURCE in sources:
        return Finding("canary", "ok", f"workers have had its sightings within {HEARD_S:.0f} s")
    detail = f"no sighting of the canary within {HEARD_S:.0f} s: nobody would say that breaches are not noticed"
    return Finding("canary", "warn", detail, "start `breachwatch lookout`, or look at its log and /readyz")
