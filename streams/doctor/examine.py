"""Every look, ground after ground, each in its time."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TypeVar

from streams.doctor import access, cluster, connection, machine, running, settings, topics, watch
from streams.doctor.finding import Finding
from streams.errors import BreachwatchError
from streams.kafka.admin import cluster_of
from streams.kafka.client import KafkaUnavailableError, connect
from streams.kafka.cluster import Cluster
from streams.kafka.reading import newest_values, read_all
from streams.kafka.topics import full_name, topic_specs
from streams.settings import Settings

T = TypeVar("T")
Grounded = tuple[str, Finding]
"""The ground, and what was found there."""

DEADLINE_S = 15.0
"""Of one look. Once the brokers have let one pass, they are asked nothing more."""
WATCH_S = 5.0
"""Between two looks at what moves: a worker that has messages commits twice a second."""


class NoAnswerError(BreachwatchError):
    """A look took too long."""


def within(deadline_s: float, look: Callable[[], T]) -> T:
    """What `look` returns or raises; raises NoAnswerError when it takes longer.

    It is left behind then, in a thread that ends with the process: neither the look-up of a name nor a request of
    kafka-python to a broker that stands still can be broken off (the request ends after 30 s, and is made again).
    """
    answer: list[T] = []
    fault: list[Exception] = []

    def run() -> None:
        try:
            answer.append(look())
        except Exception as error:  # whatever it is, it is the caller's
            fault.append(error)

    thread = threading.Thread(target=run, name="look", daemon=True)
    thread.start()
    thread.join(deadline_s)
    if fault:
        raise fault[0]
    if not answer:
        raise NoAnswerError(f"no answer within {deadline_s:g} s")
    return answer[0]


def examine(
    environment: Mapping[str, str],
    load: Callable[[], Settings],
    *,
    watch_s: float = WATCH_S,
    role: str | None = None,
    urls: Sequence[str] = (),
) -> Iterator[Grounded]:
    """Everything that can be looked at without writing; what needs a broker only where one answers.

    `load` gives the settings or raises BreachwatchError; `role` is what our user should be (`streams.kafka.access`);
    `urls` are where processes serve their metrics.
    """
    yield from _all("machine", machine.software)
    yield from _in("settings", settings.variables(environment))
    try:
        found = load()
    except BreachwatchError as error:
        yield "settings", Finding("settings", "fail", str(error), "correct or unset the variables named")
        return
    yield from _all("settings", lambda: settings.usable(found))
    yield from _all("machine", lambda: machine.room(found))
    served = [running.ask_process(url.rstrip("/")) for url in urls]
    yield from _in("running", running.processes(served, version("breachwatch")))
    yield from _in("running", running.names_here(running.commands_here(found)))
    try:
        yield from _Brokers(found, cluster_of(found), watch_s, role).look()
    except KafkaUnavailableError as error:
        mend = "`breachwatch kafka start`, or set BREACHWATCH_BOOTSTRAP_SERVERS"
        yield "cluster", Finding("connection", "fail", str(error), mend)
    except BreachwatchError as error:
        yield "cluster", Finding("connection", "fail", str(error), "correct the file that is named, or its rights")


def _in(ground: str, findings: Iterable[Finding]) -> Iterator[Grounded]:
    for finding in findings:
        yield ground, finding


def _all(ground: str, look: Callable[[], Iterable[Finding]]) -> Iterator[Grounded]:
    try:
        yield from _in(ground, within(DEADLINE_S, lambda: list(look())))
    except NoAnswerError as error:
        yield ground, Finding(ground, "fail", f"{error}: a disk or a file system hangs", "look at `dmesg` and mounts")
    except Exception as error:  # whatever it is, what the other looks find is not lost for it
        yield ground, _unread(ground, error)


def _unread(what: str, error: Exception) -> Finding:
    """Its text may hold what was read: the kind of it has to do."""
    shown = f"doctor does not understand what it saw: {type(error).__name__}"
    return Finding(what, "fail", shown, "report this; look at it by hand meanwhile: deploy/runbook.md")


class _Brokers:
    """All that is asked of the brokers, one thing after the other."""

    def __init__(self, settings: Settings, cluster: Cluster, watch_s: float, role: str | None) -> None:
        self._settings, self._cluster, self._watch_s, self._role = settings, cluster, watch_s, role
        self._silent = False
        self._none_there = False

    def look(self) -> Iterator[Grounded]:
        """Raises BreachwatchError where a file of certificates cannot be used."""
        self._cluster.ssl_context()
        began = time.monotonic()
        try:
            advertised = within(DEADLINE_S, self._knock)
        except BreachwatchError as error:
            yield "cluster", connection.diagnosis(self._cluster, self._reach(self._cluster.servers), str(error))
            return
        took_ms = (time.monotonic() - began) * 1000
        unreachable = [one for one in self._reach(advertised.values()) if not one.opened]
        if unreachable:
            yield from _in("cluster", connection.elsewhere(advertised, unreachable))
            return
        found = f"{len(advertised)} brokers at {self._cluster}, answered in {took_ms:.0f} ms"
        yield "cluster", Finding("connection", "ok", found)
        yield from self._try("cluster", "broker", self._brokers)
        yield from self._try("access", "permissions", self._access)
        yield from self._try("topics", "topics", self._topics)
        if self._none_there:
            return
        yield from self._try("running", "workers", self._moving)
        yield from self._try("running", "stores", self._stores)
        yield from self._try("running", "sources", self._sources)
        yield from self._try("running", "canary", self._canary)

    def _knock(self) -> dict[int, str]:
        """Broker -> the address that it advertises, by the one that we were told to ask."""
        with connect(self._cluster) as client:
            # What the client was told as it began: with its next request it goes to one of these addresses itself.
            return {one.node_id: f"{one.host}:{one.port}" for one in client._manager.cluster.brokers()}

    def _reach(self, addresses: Iterable[str]) -> list[connection.Reached]:
        every = list(addresses)
        try:
            return within(DEADLINE_S, lambda: [connection.reach(self._cluster, address) for address in every])
        except NoAnswerError:
            # Each step but the look-up of the name has a timeout of its own.
            return [connection.Reached(address, named=False, opened=False) for address in every]

    def _try(self, ground: str, what: str, look: Callable[[], Iterable[Grounded]]) -> Iterator[Grounded]:
        if self._silent:
            return
        try:
            yield from within(DEADLINE_S + self._watch_s, lambda: list(look()))
        except (NoAnswerError, KafkaUnavailableError) as error:
            self._silent = True
            mend = "look at the brokers' logs: one of them stands still; the rest was not looked at"
            yield ground, Finding(what, "fail", str(error), mend)
        except BreachwatchError as error:
            mend = "run it as a user who may: `breachwatch access roles`, then `breachwatch access grant ROLE USER`"
            yield ground, Finding(what, "warn", f"not looked at: {error}", mend)
        except Exception as error:  # whatever it is, what the other looks find is not lost for it
            yield ground, _unread(what, error)

    def _brokers(self) -> Iterator[Grounded]:
        found = cluster.ask_brokers(self._cluster)
        replication = topic_specs(self._settings)[0].replication
        yield from _in("cluster", cluster.brokers(found, replication, self._settings.session_timeout_s))
        met = [one.address for one in found if one.version is not None]
        yield from _in("cluster", connection.certificates(self._cluster, met, datetime.now(UTC)))

    def _topics(self) -> Iterator[Grounded]:
        with connect(self._cluster) as client:
            asked = topics.ask(client, self._settings)
        self._none_there = not asked.there
        yield from _in("topics", topics.topics(asked, self._settings))

    def _access(self) -> Iterator[Grounded]:
        with connect(self._cluster) as client:
            allowed = access.ask(client, self._settings)
        yield "access", access.permissions(allowed, self._settings, self._cluster.who, self._role)

    def _moving(self) -> Iterator[Grounded]:
        names = [self._settings.topic_prefix + stage.group for stage in running.stages(self._settings)]
        with connect(self._cluster) as client:
            first = watch.look(client, self._settings, names)
            time.sleep(self._watch_s)
            second = watch.look(client, self._settings, names)
        yield "cluster", cluster.clock(watch.clocks(first, second), second.after_s)
        yield from _in("running", running.groups(first, second, self._settings))

    def _stores(self) -> Iterator[Grounded]:
        found = running.stores_here(self._settings)
        if not found:
            return
        with connect(self._cluster) as client:
            ends = watch.changelog_ends(client, self._settings)
        yield from _in("running", running.stores(found, ends))

    def _sources(self) -> Iterator[Grounded]:
        messages = list(read_all(self._cluster, full_name(self._settings, "source-controls"), DEADLINE_S))
        newest, _ = newest_values(messages)
        yield from _in("running", running.sources_off(newest.values(), datetime.now(UTC)))

    def _canary(self) -> Iterator[Grounded]:
        topic = full_name(self._settings, "source-status")
        yield "running", running.canary(running.sources_heard(self._cluster, topic, time.time() - running.HEARD_S))
