"""The stage of the demonstration: Kafka, topics, gate and worker as real processes, ended by their own ids."""

import os
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from streams.errors import BreachwatchError
from streams.kafka import admin, local
from streams.kafka.client import connect
from streams.kafka.topics import topic_specs
from streams.settings import Settings

READY_TIMEOUT_S = 90.0
STOP_TIMEOUT_S = 20.0
# What each process says once it can take events.
_READY = {"worker": ("alarms_loaded", "identifier_index_ready"), "gate": ("gate_partitions",)}


class StageError(BreachwatchError):
    """A process of the demonstration did not start, or ended on its own."""


@contextmanager
def stage(settings: Settings, policy_file: Path, say: Callable[[str], None]) -> Iterator[Settings]:
    """A pipeline of its own for the length of the block, under a topic prefix that nothing else uses.

    An existing cluster is used where BREACHWATCH_BOOTSTRAP_SERVERS names one, and left without our topics.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="breachwatch-demo-")))
        servers = settings.bootstrap_servers
        if servers is None:
            say("starting a real Apache Kafka on this machine ...")
            servers = stack.enter_context(local.running(folder / "kafka", java=settings.java)).bootstrap_servers
        own = settings.model_copy(
            update={
                "bootstrap_servers": servers,
                "topic_prefix": f"demo{uuid.uuid4().hex[:8]}-",
                "data_dir": folder,
                "policy_file": policy_file,
            }
        )
        say("creating the topics ...")
        admin.apply(admin.plan(own))
        if settings.bootstrap_servers is not None:
            stack.callback(_delete_topics, own)
        say("starting gate and worker ...")
        processes = [stack.enter_context(_process(own, role, folder)) for role in _READY]
        _wait_until_ready(processes)
        yield own


def _delete_topics(settings: Settings) -> None:
    assert settings.bootstrap_servers is not None
    with connect(settings.bootstrap_servers) as client:
        client.delete_topics([spec.name for spec in topic_specs(settings)], raise_errors=False)


class _Running:
    def __init__(self, role: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.role, self.process, self.log = role, process, log

    def ready(self) -> bool:
        text = self.log.read_text("utf-8", "replace")
        if self.process.poll() is not None:
            raise StageError(f"the {self.role} ended with code {self.process.returncode}:\n{text[-1500:]}")
        return all(sign in text for sign in _READY[self.role])


@contextmanager
def _process(settings: Settings, role: str, folder: Path) -> Iterator[_Running]:
    """`breachwatch <role>` as a child; stopped by SIGTERM, and by SIGKILL if that takes too long."""
    log = folder / f"{role}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", "from streams.cli import main; main()", role],
            env=os.environ | environment(settings),
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


def environment(settings: Settings) -> dict[str, str]:
    """The settings as environment variables, for a child or for a person to copy."""
    stated = {
        "BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "TOPIC_PREFIX": settings.topic_prefix,
        "DATA_DIR": str(settings.data_dir),
        "POLICY_FILE": str(settings.policy_file) if settings.policy_file else None,
    }
    return {f"BREACHWATCH_{name}": value for name, value in stated.items() if value is not None}


def _wait_until_ready(processes: list[_Running]) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    waiting = list(processes)
    while waiting:
        waiting = [running for running in waiting if not running.ready()]
        if waiting and time.monotonic() > deadline:
            names = " and ".join(running.role for running in waiting)
            raise StageError(f"the {names} did not get ready within {READY_TIMEOUT_S:g} s")
        time.sleep(0.05)  # between two looks at the condition
