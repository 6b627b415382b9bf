"""The brokers themselves: their versions, settings, disks and clocks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from kafka.admin import ConfigResource

from streams.doctor.finding import Finding, State, listed
from streams.errors import BreachwatchError
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster
from streams.kafka.topics import MAX_REQUEST_BYTES

TESTED_BROKER = (4, 0)
# What Kafka itself keeps of a group that is away; ours would begin again at the beginning after it.
MIN_OFFSETS_RETENTION_MINUTES = 7 * 24 * 60
DISK_WARN, DISK_FAIL = 0.1, 0.03
_STEP_S = 3.0
_BROKER_ADVICE = "in the brokers' server.properties, and restart them one by one"


@dataclass(frozen=True)
class Disk:
    """Where a broker keeps its log."""

    path: str
    total_bytes: int
    """-1: the broker does not tell."""
    usable_bytes: int
    offline: bool = False


@dataclass(frozen=True)
class Broker:
    """One broker as the cluster describes it."""

    number: int
    address: str
    """As it advertises it, which may be another than the one that was set."""
    version: tuple[int, ...] | None
    """Inferred from the requests that it answers: it may be a newer one. None: it cannot be reached there."""
    config: Mapping[str, str]
    """Effective values; empty where we may not see them."""
    fenced: bool = False
    """Known, and not in service."""
    disks: tuple[Disk, ...] = ()
    """None where we may not see them."""


def ask_brokers(cluster: Cluster) -> list[Broker]:
    """Every broker, asked at the address that it advertises. Raises BreachwatchError when none answers."""
    with connect(cluster) as client:
        described = client.describe_cluster()["brokers"]
        live = [str(one["broker_id"]) for one in described if not one.get("is_fenced")]
        keys = sorted({rule.key for rule in _RULES} | _SESSION_KEYS)
        asked = [ConfigResource("broker", number, keys) for number in live]
        configs = client.describe_configs(asked, config_filter="all").get("broker", {})
        # An empty dictionary: of no topic. None would be of every topic in the cluster.
        disks = {one["broker"]: one["log_dirs"] for one in client.describe_log_dirs({})}
    return [
        Broker(
            one["broker_id"],
            address := f"{one['host']}:{one['port']}",
            None if one.get("is_fenced") else _version(cluster.at(address), one["broker_id"]),
            {key: entry["value"] for key, entry in configs.get(str(one["broker_id"]), {}).items()},
            bool(one.get("is_fenced")),
            tuple(
                Disk(disk["log_dir"], disk["total_bytes"], disk["usable_bytes"], bool(disk["error_code"]))
                for disk in disks.get(one["broker_id"], ())
            ),
        )
        for one in described
    ]


def _version(cluster: Cluster, number: int) -> tuple[int, ...] | None:
    with suppress(BreachwatchError), connect(cluster, _STEP_S) as client:
        return tuple(client.get_broker_version_data(number).broker_version)
    return None


def brokers(found: Sequence[Broker], replication: int, session_timeout_s: float) -> Iterator[Finding]:
    """Judge how they can be reached, their versions, and what would lose or repeat events."""
    yield from map(_broker, found)
    live = [one for one in found if not one.fenced]
    if len({one.version for one in live if one.version is not None}) > 1:
        yield Finding(
            "broker", "warn", "not all answer as the same version of Kafka", "finish the upgrade that was begun"
        )
    if len(live) < replication:
        yield Finding(
            "broker",
            "fail",
            f"{len(live)} brokers are in service, and each topic is to have {replication} copies",
            "start the others, or set BREACHWATCH_REPLICATION to what there is before the topics are made",
        )
    yield from _disks(live)
    shown = [one for one in live if one.config]
    wrong = [*_by_rule(shown), *_session(shown, session_timeout_s)]
    yield from wrong
    if len(shown) < len(live):
        yield Finding(
            "broker settings",
            "warn",
            f"we may not see how {listed(one.number for one in live if not one.config)} is set",
            "have whoever administers the cluster grant a role that checks, see `breachwatch access show worker`",
        )
    elif not wrong:
        yield Finding("broker settings", "ok", "nothing in them loses, repeats or refuses events")


def _broker(one: Broker) -> Finding:
    name = f"{one.number} at {one.address}"
    if one.fenced:
        return Finding("broker", "warn", f"{name} is not in service", "start it, or look at its log")
    if one.version is None:
        return Finding(
            "broker",
            "fail",
            f"{name} does not answer",
            "look at its log, and whether its certificate is for the name that it advertises",
        )
    shown = ".".join(map(str, one.version))
    if one.version < TESTED_BROKER:
        tested = ".".join(map(str, TESTED_BROKER))
        return Finding("broker", "warn", f"{name} answers as Kafka {shown}", f"upgrade: tested from {tested} on")
    return Finding("broker", "ok", f"{name} answers as Kafka {shown} or newer")


def _disks(found: Sequence[Broker]) -> Iterator[Finding]:
    every = [(f"{disk.path} of broker {one.number}", disk) for one in found for disk in one.disks]
    room = "give it more, or let topics keep less: deploy/sizing.md; a broker whose disk is full ends"
    for name, disk in every:
        if disk.offline:
            yield Finding("broker disks", "fail", f"{name} is offline", "look at that broker's log and its disk")
        elif 0 <= disk.usable_bytes < disk.total_bytes * DISK_WARN:
            state: State = "fail" if disk.usable_bytes < disk.total_bytes * DISK_FAIL else "warn"
            left = f"{disk.usable_bytes / disk.total_bytes:.0%} of {name} is left"
            yield Finding("broker disks", state, left, room)
    if every and all(not disk.offline and disk.usable_bytes >= disk.total_bytes * DISK_WARN for _, disk in every):
        yield Finding("broker disks", "ok", f"each of {len(every)} has more than {DISK_WARN:.0%} left")


class _Rule(NamedTuple):
    """A setting of the brokers that must not be like this."""

    key: str
    state: State
    wrong: Callable[[str], bool]
    needed: str
    why: str


_RULES = (
    _Rule(
        "auto.create.topics.enable",
        "fail",
        lambda value: value == "true",
        "false",
        "a topic that is made unasked has the wrong number of partitions for ever",
    ),
    _Rule(
        "unclean.leader.election.enable",
        "fail",
        lambda value: value == "true",
        "false",
        "a copy that missed events can become the leader, and events that were acknowledged are gone",
    ),
    _Rule(
        "log.cleaner.enable",
        "fail",
        lambda value: value == "false",
        "true",
        "compacted topics grow for ever, and what was deleted stays",
    ),
    _Rule(
        "log.retention.bytes",
        "fail",
        lambda value: int(value) >= 0,
        "-1",
        "events are deleted by size, before their days are over, read or not",
    ),
    _Rule(
        "offsets.retention.minutes",
        "warn",
        lambda value: int(value) < MIN_OFFSETS_RETENTION_MINUTES,
        f"{MIN_OFFSETS_RETENTION_MINUTES} at least",
        "after an outage that is longer every topic is read from its beginning",
    ),
    _Rule(
        "socket.request.max.bytes",
        "fail",
        lambda value: int(value) < MAX_REQUEST_BYTES,
        f"{MAX_REQUEST_BYTES} at least",
        "the largest messages, and dead letters of them, are refused",
    ),
)
_SESSION_MIN, _SESSION_MAX = "group.min.session.timeout.ms", "group.max.session.timeout.ms"
_SESSION_KEYS = {_SESSION_MIN, _SESSION_MAX}


def _by_rule(found: Sequence[Broker]) -> Iterator[Finding]:
    for rule in _RULES:
        values = {one.number: one.config[rule.key] for one in found if rule.key in one.config}
        wrong = {number: value for number, value in values.items() if rule.wrong(value)}
        if wrong:
            shown = f"{rule.key} is {next(iter(wrong.values()))} on broker {listed(wrong)}: {rule.why}"
            yield Finding("broker settings", rule.state, shown, f"set {rule.key}={rule.needed} {_BROKER_ADVICE}")


def _session(found: Sequence[Broker], session_timeout_s: float) -> Iterator[Finding]:
    """A broker refuses members whose session timeout is outside of its bounds."""
    least = max((int(one.config.get(_SESSION_MIN, 0)) for one in found), default=0) / 1000
    most = min((int(one.config[_SESSION_MAX]) for one in found if _SESSION_MAX in one.config), default=10**9) / 1000
    if not least <= session_timeout_s <= most:
        yield Finding(
            "broker settings",
            "fail",
            f"BREACHWATCH_SESSION_TIMEOUT_S is {session_timeout_s:g}, and the brokers take {least:g} to {most:g}: no "
            "worker or gate can join its group",
            f"set it within these bounds, or {_SESSION_MIN} and {_SESSION_MAX} {_BROKER_ADVICE}",
        )


# -- clocks ------------------------------------------------------------------------------------------------

MAX_CLOCK_S = 2.0


@dataclass(frozen=True)
class Stamps:
    """What a broker has stamped (LogAppendTime), by which its clock is known; in seconds since 1970."""

    newest_s: float
    """The newest that it has stamped, whenever that was."""
    within: tuple[float, float, float] | None = None
    """Not before, the stamp, not after: a record that it appended while we looked."""

    def ahead_s(self, now_s: float) -> float | None:
        """How far its clock is ahead of ours at least, negative where it is behind; 0: it agrees; None: not known."""
        if self.within is not None:
            before, stamp, after = self.within
            return stamp - after if stamp > after else min(0.0, stamp - before)
        return self.newest_s - now_s if self.newest_s > now_s else None


def clock(found: Mapping[int, Stamps], now_s: float) -> Finding:
    """Compare our clock with each broker's.

    A stamp later than now shows a clock that is ahead of ours, at any time; one that is behind shows only where a
    record was appended while we looked.
    """
    known = {number: ahead for number, stamps in found.items() if (ahead := stamps.ahead_s(now_s)) is not None}
    off = {number: ahead for number, ahead in known.items() if abs(ahead) > MAX_CLOCK_S}
    if not off:
        told = f"agrees with broker {listed(sorted(known))} to {MAX_CLOCK_S:g} s" if known else "nothing was written"
        quiet = f"; of {listed(sorted(found.keys() - known.keys()))} it is known only that it is not ahead"
        none = "no record to compare with yet" if not found else told
        return Finding("clock", "ok", none + (quiet if found.keys() - known.keys() else ""))
    worst = max(off.values(), key=abs)
    way = f"{abs(worst):.1f} s {'ahead of' if worst > 0 else 'behind'}"
    if len(off) == len(known) > 1 or len(found) == 1:
        back = f"{abs(worst):.1f} s {'behind' if worst > 0 else 'ahead of'}"
        return Finding("clock", "fail", f"this machine is at least {back} the brokers", "run NTP on both")
    names = listed(sorted(off))
    return Finding(
        "clock", "fail", f"broker {names} is at least {way} this machine; others agree with it", f"run NTP on {names}"
    )
