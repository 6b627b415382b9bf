"""A process of ours, as a machine would run it."""

import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from streams.settings import Settings

BREACHWATCH = str(Path(sys.executable).with_name("breachwatch"))


class Process:
    """One `breachwatch` process, or another program with its settings; its log is in a file."""

    def __init__(
        self,
        settings: Settings,
        log: Path,
        *command: str,
        program: tuple[str, ...] = (BREACHWATCH,),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.command, self.log, self._program = command, log, program
        self._environment = settings.child_environment() | dict(environment or {})
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        with self.log.open("ab") as log:
            self._popen = subprocess.Popen(
                [*self._program, *self.command],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self

    @property
    def exit_code(self) -> int | None:
        """None while it runs, and before it was started."""
        return None if self._popen is None else self._popen.poll()

    @property
    def running(self) -> bool:
        return self._popen is not None and self.exit_code is None

    def signal(self, number: int) -> None:
        """Nothing happens to one that does not run."""
        if self.running:
            assert self._popen is not None
            self._popen.send_signal(number)

    def end(self) -> None:
        """SIGKILL, whatever state it is in; returns when it is gone."""
        if self.running:
            assert self._popen is not None
            self._popen.kill()
            self._popen.wait()

    def limit_files(self, size: int | None) -> None:
        """Let it write no file beyond so many bytes, as on a disk that is full; None: any."""
        if self.running:
            assert self._popen is not None
            soft = resource.RLIM_INFINITY if size is None else size
            resource.prlimit(self._popen.pid, resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


def can_limit_files() -> bool:
    """Linux alone changes a limit of a process that runs."""
    return hasattr(resource, "prlimit")


class Kept(Process):
    """A process that is kept running while it is wanted."""

    wanted = False
    leaving_since: float | None = None
    again_at = 0.0

    def start(self) -> Self:
        self.wanted, self.leaving_since = True, None
        return super().start()

    def leave(self) -> None:
        """SIGTERM: it must end by itself."""
        self.wanted, self.leaving_since = False, time.monotonic()
        self.signal(signal.SIGTERM)
