"""What topics and local stores still hold of somebody, where, and until when: every message is looked at.

It is found by names: an id, or what they are named by. A name is found as a word of its own, in key, value and
headers alike, so a text that mentions it counts; what only means the same (a plate that a camera misread) does not.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rocksdict import AccessType, Options, Rdict

from streams.errors import BreachwatchError
from streams.kafka.admin import cluster_of, existing
from streams.kafka.client import connect
from streams.kafka.reading import read_all
from streams.kafka.topics import DAY_MS, TOPICS, full_name, topic_specs
from streams.settings import Settings

Say = Callable[[str], None]
_SAID_EVERY = 250_000


class Names:
    """Words to be looked for in bytes; at least one."""

    def __init__(self, names: Iterable[str]) -> None:
        spelt = {spelling.encode() for name in names for spelling in _spellings(name)}
        assert spelt, "somebody has a name"
        self._spelt = sorted(spelt)
        # Between two characters of an id there is no edge: SUBJ-1 is not in SUBJ-12 nor in SUBJ-1-B. Exercise traffic
        # is a world of its own.
        edges = b"|".join(re.escape(name) for name in self._spelt)
        self._words = re.compile(rb"(?<![A-Za-z0-9_-])(?<!exercise/)(?:" + edges + rb")(?![A-Za-z0-9_-])")

    def are_in(self, data: bytes | None) -> bool:
        # A search for plain bytes is some ten times as fast as the expression.
        return data is not None and any(name in data for name in self._spelt) and bool(self._words.search(data))

    def are_on(self, message: Any) -> bool:
        """On a Kafka message."""
        parts = (message.key, message.value, *(value for _, value in message.headers or ()))
        return any(self.are_in(part) for part in parts)


def _spellings(name: str) -> set[str]:
    """As it may stand in JSON: some write characters beyond ASCII as escapes, some the slash too."""
    return {name, json.dumps(name)[1:-1], name.replace("/", "\\/")}


@dataclass
class Remaining:
    """Messages of one partition that hold a name."""

    topic: str
    """Without prefix."""
    partition: int
    first: int
    """Offsets of the first and the last."""
    last: int
    count: int = 0
    stays: int = 0
    """How many of them are the newest of their key in a compacted topic: they go when they are deleted."""
    until: datetime | None = None
    """When the broker has deleted the others, at the latest, as long as something is written to the partition."""


@dataclass(frozen=True)
class Keeping:
    """How a topic keeps messages, as the cluster has it set; None: for ever."""

    compacts: bool
    retention: timedelta | None
    lag: timedelta
    """How long a message that is superseded may still be there."""
    tombstones: timedelta
    """How long a null value is there after that."""


_LONGEST_MS = 36_500 * DAY_MS
"""Kafka's "never" is 2^63 - 1, which is more than a time can hold."""


def keeping(config: Mapping[str, str]) -> Keeping:
    """What the configuration of a topic comes to.

    A message goes with its segment, which is closed when it is `segment.ms` old; a null value has to be met by one
    compaction and is taken by another, `delete.retention.ms` later (KIP-354, KIP-534).
    """

    def span(key: str) -> timedelta:
        return timedelta(milliseconds=min(int(config.get(key) or 0), _LONGEST_MS))

    policies = config["cleanup.policy"].split(",")
    deletes = "delete" in policies and int(config["retention.ms"]) >= 0
    return Keeping(
        compacts="compact" in policies,
        retention=span("retention.ms") + span("segment.ms") if deletes else None,
        lag=span("max.compaction.lag.ms"),
        tombstones=span("delete.retention.ms"),
    )


@dataclass
class _Newest:
    """The newest message of a key that holds a name."""

    at: datetime
    is_null: bool


def remaining(topic: str, messages: Iterable[Any], names: Names, how: Keeping) -> list[Remaining]:
    """What of these messages, in the order of each partition, holds a name; memory grows with what is found alone."""
    found: dict[int, Remaining] = {}
    newest: dict[tuple[int, bytes], _Newest] = {}

    def goes(partition: int, at: datetime, by_compaction: datetime | None) -> None:
        by_age = None if how.retention is None else at + how.retention
        ends = [end for end in (by_age, by_compaction) if end is not None]
        one = found[partition]
        if not ends:
            one.stays += 1
        else:
            one.until = max(one.until or min(ends), min(ends))

    for message in messages:
        at = datetime.fromtimestamp(message.timestamp / 1000, tz=UTC)
        key = (message.partition, message.key)
        if how.compacts and (before := newest.pop(key, None)) is not None:
            goes(message.partition, before.at, at + how.lag)
        if not names.are_on(message):
            continue
        one = found.setdefault(message.partition, Remaining(topic, message.partition, message.offset, message.offset))
        one.count, one.last = one.count + 1, message.offset
        if how.compacts:
            newest[key] = _Newest(at, message.value is None)
        else:
            goes(message.partition, at, None)
    for (partition, _), last in newest.items():
        goes(partition, last.at, last.at + how.lag + how.tombstones if last.is_null else None)
    return [found[partition] for partition in sorted(found)]


def scan(settings: Settings, names: Names, without: Iterable[str], say: Say) -> list[Remaining]:
    """What each topic of ours holds, but those `without`.

    Reads everything. Raises BreachwatchError when a topic is missing or cannot be read.
    """
    cluster = cluster_of(settings)
    with connect(cluster) as admin:
        states = existing(admin, topic_specs(settings))
    found: list[Remaining] = []
    for topic in TOPICS:
        full = full_name(settings, topic.name)
        if topic.name in without:
            continue
        if full not in states:
            raise BreachwatchError(f"{full} is not in the cluster: see `breachwatch topics plan`")
        messages = _told(read_all(cluster, full), topic.name, say)
        found += remaining(topic.name, messages, names, keeping(states[full].config))
    return found


def _told(messages: Iterable[Any], topic: str, say: Say) -> Iterator[Any]:
    for number, message in enumerate(messages, 1):
        yield message
        if number % _SAID_EVERY == 0:
            say(f"{topic}: {number:,} messages read")


@dataclass(frozen=True)
class Stored:
    """What one partition of a worker's local table holds."""

    path: Path
    rows: int
    """That a worker would read."""
    files: int
    """Whose bytes have the name, in a row that was deleted too; compressed ones may hide it."""


def stores(workers: Path, names: Names) -> list[Stored]:
    """The local tables below a directory such as `BREACHWATCH_DATA_DIR/workers`, also those of workers that run, or
    that nobody starts any more."""
    found = []
    for path in sorted(workers.rglob("*.db")):
        if not (path / "CURRENT").exists():
            continue
        table = Rdict(str(path), Options(raw_mode=True), access_type=AccessType.read_only())
        rows = sum(names.are_in(key) or names.are_in(value) for key, value in table.items())
        table.close()
        # A file that a running worker has just compacted away holds nothing any more.
        files = sum(file.is_file() and names.are_in(_read(file)) for file in path.iterdir())
        if rows or files:
            found.append(Stored(path, rows, files))
    return found


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return None
