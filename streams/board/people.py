"""Who is at the board, by their token, and what they may see and do. Pure.

Claims of a token: `sub` (who), `role` (one of ROLES), `forces` (a list of the forces whose tasks they see, as orders
name them; `["*"]` for all), besides `exp`, `aud` and `iss`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from schemas.tasks import ArrestTask, HistoryEntry
from streams.core.cross_checks import IN_CUSTODY
from streams.core.tasks import SYSTEM
from streams.core.transitions import NOTES, TRANSITIONS
from streams.tokens import RefusedError

Role = Literal["viewer", "controller", "supervisor", "duty_inspector"]
ROLES: tuple[Role, ...] = get_args(Role)
Exercises = Literal["none", "with", "only"]
"""Whether somebody wants to see exercises: they are a world of their own, and never mixed in unasked."""
CLAIMS = ("sub", "role", "forces")
_EVERY_FORCE = "*"
_MOST_FORCES = 100


@dataclass(frozen=True)
class Person:
    """Somebody with a valid token."""

    name: str
    role: Role
    forces: frozenset[str] | None
    """Whose tasks they see; None: everybody's."""
    expires_at: float
    """When their token ends, seconds since 1970."""

    @property
    def may_act(self) -> bool:
        """May they move tasks? Which of them, and where to, is for the core to say (`streams.core.transitions`)."""
        return self.role != "viewer"

    @property
    def sees_protected(self) -> bool:
        """Zones, terms in the order's words, and how protected people are reached: for whoever sends cars."""
        return self.role != "viewer"

    def sees(self, forces: Collection[str], *, protected: bool = False) -> bool:
        """Something that is of these forces; of none: it is nobody's, so that everybody must see it.

        `protected`: it is for those alone who see what concerns protected people.
        """
        if protected and not self.sees_protected:
            return False
        return self.forces is None or not forces or not self.forces.isdisjoint(forces)


def person(claims: Mapping[str, Any]) -> Person:
    """Whoever a token's claims state; raises RefusedError."""
    name, role, forces = (claims[claim] for claim in CLAIMS)
    if not isinstance(name, str) or not 0 < len(name) <= 120:
        raise RefusedError("the token's sub must be a text of at most 120 characters")
    if role not in ROLES:
        raise RefusedError(f"the token's role must be one of {', '.join(ROLES)}")
    if not isinstance(forces, list) or not all(isinstance(force, str) and force for force in forces):
        raise RefusedError("the token's forces must be a list of texts")
    if not 0 < len(forces) <= _MOST_FORCES:
        raise RefusedError(f"the token must name 1 to {_MOST_FORCES} forces")
    return Person(name, role, None if _EVERY_FORCE in forces else frozenset(forces), float(claims["exp"]))


def of_world(exercise: bool, wanted: Exercises) -> bool:
    """Is something of the world, real or exercise, that is asked for?"""
    return wanted == "with" or exercise == (wanted == "only")


_OURS = {SYSTEM, "custody"}
"""Who makes entries of a task's history in words of this project alone."""
_KINDS = (
    {action.replace("_", " ") for action in (*TRANSITIONS, *NOTES)} | IN_CUSTODY | {"the protected person's wishes"}
)
"""What an entry may say first of all, that somebody else made; words of people may follow."""


def for_viewers(task: ArrestTask) -> ArrestTask:
    """The task without what only those need who send cars: whom a breach concerns, and words that people typed.

    A note may hold an address, and so may wishes that came with a report. Of what others made, its kind is left.
    """
    breaches = [breach.model_copy(update={"protects": []}) for breach in task.breaches]
    history = [_without_words(entry) for entry in task.history]
    return task.model_copy(update={"breaches": breaches, "history": history})


def _without_words(entry: HistoryEntry) -> HistoryEntry:
    if entry.by in _OURS:
        return entry
    kind = entry.what.split(":", 1)[0]
    return entry.model_copy(update={"what": kind if kind in _KINDS else "a note"})
