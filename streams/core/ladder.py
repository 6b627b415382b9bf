"""How a task waits for a person: the steps of a ladder, one after the other, each taken once."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from streams.core.policy import Ladder, Step
from streams.core.state import Waiting


def next_step(waiting: Waiting, ladder: Ladder) -> tuple[datetime, Step]:
    """When the next step is taken, and to whom it goes; after the last step that one again and again."""
    steps = ladder.steps
    beyond = waiting.told - len(steps)
    step, after_s = steps[min(waiting.told, len(steps) - 1)]
    if beyond >= 0:
        after_s += ladder.repeat_every_s * (beyond + 1)
    return waiting.since + timedelta(seconds=after_s), step


def told(waiting: Waiting, ladder: Ladder) -> Step | None:
    """The highest that has been told in this round of waiting."""
    steps = ladder.steps
    return None if waiting.told == 0 else steps[min(waiting.told, len(steps)) - 1][0]


def due_steps(waiting: Waiting, ladder: Ladder, now: datetime) -> Iterator[tuple[datetime, Step]]:
    """Take every step that is due by `now`. Repeats that were missed while nobody was awake are told as one."""
    while (due := next_step(waiting, ladder))[0] <= now:
        if waiting.told >= len(ladder.steps):
            late_s = (now - due[0]).total_seconds()
            waiting.told += int(late_s // ladder.repeat_every_s)
        waiting.told += 1
        yield due


def wait(waiting: Waiting, now: datetime) -> None:
    """It waits for a person again: a new round."""
    waiting.since, waiting.told, waiting.lapses_at = now, 0, None
    waiting.round += 1


def begin(waiting: Waiting, state: str, ladder: Ladder, now: datetime) -> None:
    """Somebody has acted: the steps stop, and what was begun lapses if nothing follows."""
    after_s = ladder.lapse_after_s[state]  # type: ignore[index]
    waiting.told, waiting.lapses_at = 0, now + timedelta(seconds=after_s)
