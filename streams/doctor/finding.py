"""What a look found."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warn", "fail"]
_SHOWN = 6


@dataclass(frozen=True)
class Finding:
    """One thing looked at, with no secret and no personal data in it; `mend` says in a line what to do about it."""

    what: str
    state: State
    detail: str
    mend: str = ""


def listed(names: Iterable[object]) -> str:
    """The first of them by name, and how many more: 28 topics are no line that anybody reads."""
    every = list(map(str, names))
    more = f" and {len(every) - _SHOWN} more" if len(every) > _SHOWN else ""
    return ", ".join(every[:_SHOWN]) + more
