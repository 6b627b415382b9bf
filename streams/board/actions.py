"""What somebody may do with a task as it is: the core's own table of moves, asked beforehand. Pure."""

from typing import NamedTuple

from schemas.tasks import TaskState
from streams.core.transitions import NOTES, TRANSITIONS


class Possible(NamedTuple):
    """An action, and the fields that an update by it needs."""

    action: str
    needs: tuple[str, ...]


def possible(state: TaskState, role: str) -> list[Possible]:
    """The moves from this state that the role may make, then the notes, which anybody who acts may make in any."""
    moves = [
        Possible(action, move.needs)
        for action, move in TRANSITIONS.items()
        if state in move.starts and role in move.roles
    ]
    return [*moves, *(Possible(action, (field,)) for action, field in NOTES.items())]
