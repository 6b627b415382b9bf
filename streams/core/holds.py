"""Legal holds: while there is one, nothing of the subject is erased.

A hold is a part of the subject's row, and comes by the same log as an erasure: whichever of the two stands first in
the log wins, for every reader of it. It holds back `breachwatch erase` and nothing else: topics that keep their
messages for so many days let them go all the same.
"""

from schemas.erasure import Hold, LiftHold, PlaceHold
from streams.core.draft import Draft
from streams.core.state import MAX_HOLDS, SubjectState, is_left_over


def described(state: SubjectState) -> list[str]:
    """Each hold in words: who placed it, when and why."""
    return [
        f"legal hold {reference}: placed by {hold.by} on {hold.at:%Y-%m-%d %H:%M}Z: {hold.reason}"
        for reference, hold in state.holds.items()
    ]


def place(draft: Draft, event: PlaceHold) -> None:
    """A reference that is there already keeps who placed it first, and why."""
    state, data, holds = draft.state, event.data, draft.state.holds
    if is_left_over(state):
        draft.audit("hold_refused", "nothing is known here of a subject of this id")
    elif data.reference in holds:
        draft.audit("hold_placed", f"hold {data.reference} was there already")
    elif len(holds) >= MAX_HOLDS:
        draft.audit("hold_refused", f"the subject has {len(holds)} holds already; one more would hold no better")
    else:
        holds[data.reference] = Hold(by=data.by, reason=data.reason, at=draft.now)
        draft.audit("hold_placed", f"hold {data.reference} by {data.by}: {data.reason}")


def lift(draft: Draft, event: LiftHold) -> None:
    data, holds = event.data, draft.state.holds
    if data.reference not in holds:
        known = ", ".join(holds) or "none"
        draft.audit("hold_refused", f"the subject has no hold of this reference; there is: {known}")
        return
    del holds[data.reference]
    draft.audit("hold_lifted", f"hold {data.reference} by {data.by}: {data.reason}")
