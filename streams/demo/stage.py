"""The stage of the demonstration: Kafka, topics, gate, worker and board as real processes, ended by their own ids."""

import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
from kafka.admin import MemberToRemove

from streams.errors import BreachwatchError
from streams.kafka import admin, local
from streams.kafka.client import connect
from streams.kafka.topics import topic_specs
from streams.settings import Settings

READY_TIMEOUT_S = 90.0
# The worker commits and leaves its group, which takes a second; a broker that is gone takes its whole timeout.
STOP_TIMEOUT_S = 15.0
# What each process says once it can take events.
_READY = {
    "worker": ("alarms_loaded", "identifier_index_ready"),
    "gate": ("gate_partitions",),
    "board": ("board_caught_up", "#token="),
}
_LOG_LINES = 8


class StageError(BreachwatchError):
    """A process of the demonstration did not start, or ended on its own."""


@dataclass(frozen=True)
class Stage:
    """A pipeline that runs: `settings` to reach it, `check` to be told when a process of it has ended; `board` is the
    address of its page, with a token of its own, or None where none was asked for."""

    settings: Settings
    processes: "list[_Running]"
    board: str | None

    def check(self) -> None:
        """Raises StageError, with the end of its log, for a process that is not there any more."""
        for running in self.processes:
            running.check()


@contextmanager
def stage(settings: Settings, policy_file: Path, say: Callable[[str], None], *, with_board: bool) -> Iterator[Stage]:
    """A pipeline of its own for the length of the block, under a topic prefix that nothing else uses.

    An existing cluster is used where BREACHWATCH_BOOTSTRAP_SERVERS names one, and left without our topics and
    groups. Ctrl-C, SIGTERM and SIGHUP end the block; what it started is ended whatever happens in it.
    """
    with ExitStack() as stack:
        stack.callback(_end_children, _children())
        stack.enter_context(_interruptible(say))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="breachwatch-demo-")))
        own = settings.model_copy(
            update={
                "topic_prefix": f"demo{uuid.uuid4().hex[:8]}-",
                "data_dir": folder,
                "policy_file": policy_file,
                # One port cannot serve the metrics of all processes.
                "metrics_port": 0,
                # Whatever a deployment has: its token is for this machine alone.
                "board_host": "127.0.0.1",
                "board_port": local.free_ports(1)[0],
            }
        )
        if settings.bootstrap_servers is None:
            say("starting a real Apache Kafka on this machine ...")
            kafka = stack.enter_context(local.running(folder / "kafka", java=settings.java))
            one_node = {
                "bootstrap_servers": kafka.bootstrap_servers,
                "environment": "development",
                "replication": None,
            }
            own = own.model_copy(update=one_node)
        else:
            stack.callback(_clear_cluster, own)
        say("creating the topics ...")
        admin.apply(admin.plan(own))
        say("starting gate and worker ...")
        commands = [["worker"], ["gate"]] + ([["board", "--demo-token"]] if with_board else [])
        processes = [stack.enter_context(_process(own, command, folder)) for command in commands]
        _wait_until_ready(processes)
        yield Stage(own, processes, processes[-1].address() if with_board else None)


@contextmanager
def _interruptible(say: Callable[[str], None]) -> Iterator[None]:
    """SIGTERM and SIGHUP interrupt the block as Ctrl-C does. After the first, all are ignored for the rest of the
    process's life, so that an impatient second one leaves nothing behind."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def interrupt(*_: Any) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        # The terminal that a hang-up closed cannot be written to.
        with suppress(OSError):
            say("\nstopping what was started ...")
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def _children() -> list[psutil.Process]:
    found: list[psutil.Process] = psutil.Process().children(recursive=True)
    return found


def _end_children(before: list[psutil.Process]) -> None:
    """The net below everything else: an interrupt between a start and its registration leaves a child behind."""
    for process in _children():
        if process not in before:
            with suppress(psutil.NoSuchProcess):
                process.kill()
                process.wait(STOP_TIMEOUT_S)


def _clear_cluster(settings: Settings) -> None:
    """Delete our topics, and the groups that start with our prefix; called when nothing reads any more."""
    with connect(admin.cluster_of(settings)) as client:
        client.delete_topics([spec.name for spec in topic_specs(settings)], raise_errors=False)
        names = [group["group_id"] for group in client.list_groups()]
        ours = [name for name in names if name.startswith(settings.topic_prefix)]
        for name, group in client.describe_groups(ours).items() if ours else ():
            # A static member, which the worker is, stays one after it has stopped, and holds the group.
            members = [MemberToRemove(member["member_id"]) for member in group["members"]]
            if members:
                client.remove_group_members(name, members)
            client.delete_groups([name])


class _Running:
    def __init__(self, role: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.role, self.process, self.log = role, process, log

    def check(self) -> None:
        if self.process.poll() is not None:
            raise StageError(f"the {self.role} ended with code {self.process.returncode}:\n{self._tail()}")

    def ready(self) -> bool:
        self.check()
        text = self.log.read_text("utf-8", "replace")
        return all(sign in text for sign in _READY[self.role])

    def address(self) -> str:
        """The board's, as it has printed it."""
        return next(word for word in self.log.read_text("utf-8").split() if "#token=" in word)

    def _tail(self) -> str:
        """The last lines of its log, without the frames of a traceback, which hide the cause."""
        lines = [line[:500] for line in self.log.read_text("utf-8", "replace").splitlines()]
        return "\n".join([line for line in lines if not line.startswith((" ", "Traceback"))][-_LOG_LINES:])


@contextmanager
def _process(settings: Settings, command: list[str], folder: Path) -> Iterator[_Running]:
    """`breachwatch <command>` as a child; stopped by SIGTERM, and by SIGKILL if that takes too long."""
    role = command[0]
    log = folder / f"{role}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", "from streams.cli import main; main()", *command],
            env=settings.child_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # A Ctrl-C at the terminal is for the demonstration, which ends its children in order.
            start_new_session=True,
        )
    try:
        yield _Running(role, process, log)
    finally:
        process.terminate()
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(processes: list[_Running]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    waiting = list(processes)
    while waiting := [running for running in waiting if not running.ready()]:
        if time.monotonic() > deadline:
            names = " and ".join(running.role for running in waiting)
            raise StageError(f"the {names} did not get ready within {READY_TIMEOUT_S:g} s")
        time.sleep(0.05)  # between two looks at the condition
