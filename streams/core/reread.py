"""Rows as `subject-events` alone makes them: what must be the same as what workers have."""

from collections import Counter
from datetime import datetime

from schemas.internal import SubjectEvent
from streams.core.assess import decide
from streams.core.effects import Effects
from streams.core.policy import Policy
from streams.core.records import Records
from streams.core.rows import dump, load


class Reread:
    """Reads the log once, in the order of offsets, without anything going wrong on the way.

    After an erasure a subject's row begins anew, and so does the count of what was read for it.
    """

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self.rows: dict[str, bytes] = {}
        self.records: dict[str, dict[bytes, bytes]] = {}
        """Subject -> what lies beside its row."""
        self.read: Counter[str] = Counter()
        """Subject -> events read."""

    def feed(self, incoming: SubjectEvent, appended_at: datetime, offset: int) -> Effects:
        """What this event brings about, once all before it are committed."""
        subject = incoming.subject_id
        state = load(self.rows.get(subject), subject)
        records = Records(subject, self.records.setdefault(subject, {}), set(state.hours))
        effects = decide(state, records, incoming, self._policy, appended_at, offset, offset)
        if effects.gone:
            self.rows.pop(subject, None)
            self.records.pop(subject, None)
            self.read[subject] = 0
            return effects
        self.rows[subject] = dump(state)
        self.read[subject] += 1
        return effects
