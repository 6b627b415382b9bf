"""A process whose time of day can be set by steps: it runs under libfaketime, of Debian's package of that name."""

from datetime import timedelta
from pathlib import Path

LIBRARY = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class SteppedClock:
    """How far a process's time of day is from the machine's. Its monotonic clock stays as it is."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.offset = timedelta(0)
        self.step(timedelta(0))

    def variables(self) -> dict[str, str]:
        """The environment of a process that goes by this clock, which it looks at once a second.

        With libfaketime's "fix" for the monotonic clock on, Java's waits take many times as long as they should.
        """
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "FAKETIME_CACHE_DURATION": "1",
        }

    def step(self, by: timedelta) -> None:
        """The clock makes a step, which is seen within about a second."""
        self.offset += by
        scratch = self._file.with_suffix(".new")
        scratch.write_text(f"{self.offset.total_seconds():+f}\n")
        scratch.replace(self._file)
