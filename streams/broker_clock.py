"""What the broker's clock says, without asking it: the monotonic clock of this process and an offset.

Everything is judged by the time at which the broker appended it. The wall clock of a worker may be wrong, and
both can be set at any moment; the monotonic clock cannot. Each acknowledged send tells where the broker's clock
stood between the sending and the acknowledgement, and each message that is read, where it has been since.
"""

import math
import time
from collections.abc import Callable

# Less than this is what an acknowledgement takes on a busy machine, not a step of a clock.
STEP_S = 0.5


class BrokerClock:
    """An estimate of the broker's clock; the wall clock's word until more is known."""

    def __init__(
        self, wall: Callable[[], float] = time.time, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.monotonic = monotonic
        self._offset = wall() - monotonic()

    def now(self) -> float:
        """Seconds since 1970, as the broker would say."""
        return self.monotonic() + self._offset

    def heard(self, appended: float, sent: float = -math.inf) -> bool:
        """Take in a message or an acknowledgement; True where the estimate was off by STEP_S or more.

        `appended` is the broker's time of the message, seconds since 1970. `sent` is the monotonic time of
        sending, for an acknowledgement that has come this moment.
        """
        before = self._offset
        at_least, at_most = appended - self.monotonic(), appended - sent
        self._offset = min(max(self._offset, at_least), at_most)
        return abs(self._offset - before) >= STEP_S
