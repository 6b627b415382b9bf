"""A record that the row has applied already, read again because the process ended before the commit.

Nothing is decided a second time: by now the row holds what came after, so another decision would be made than the
one whose effects may be out already. Row and records reach their changelogs apart, though, so what the event did
to the records is done again where it was lost on the way.
"""

from datetime import datetime

from schemas.internal import MovedEvidence
from schemas.orders import Order
from schemas.reports import Retraction
from schemas.sightings import Adjudication
from streams.core.draft import Draft
from streams.core.identity import identifiers, mark
from streams.core.moved import observations
from streams.core.on_evidence import adjudicated
from streams.core.records import Observation
from streams.core.state import SubjectState


def is_replay(state: SubjectState, appended_at: datetime, offset: int) -> bool:
    """Of one subject's records, all on one partition, the row has applied those up to `applied`.

    The time tells a replay from a topic that was made anew, whose offsets begin again.
    """
    return offset <= state.applied and state.now is not None and appended_at <= state.now


def restore(draft: Draft, observation: Observation | None) -> None:
    """Make the records what the event made them, without judging; later replays follow in their order."""
    event, records = draft.event, draft.records
    if isinstance(event, Order):
        records.rewrite_order(event.data.order_id, event.data.version)
        mark(records, identifiers(draft.state, records))
    elif isinstance(event, MovedEvidence):
        for moved in observations(draft, event):
            records.add(moved)
    elif isinstance(event, Retraction):
        for retracted in event.data.retracts:
            kept = records.find(f"{event.source}#{retracted}")
            if kept is not None and kept.applied_at < draft.offset:
                records.remove(kept)
    elif isinstance(event, Adjudication):
        adjudicated(draft, event)
    elif observation is not None and not records.keeps(observation):
        records.add(observation)
    else:
        records.rewrite(event.time)
