"""The canary's rows: subjects of nobody, whose sightings come for ever and must leave nothing behind.

They go the whole way of real ones (resolved, judged, a task sent); `streams.lookout.canary` watches for the task.
What is otherwise here is what would make them grow, or reach people:

- A task lives ten minutes. Then all that the row has but its order goes, and the task leaves its topic.
- Each probe begins a visit of its own. To a zone of one device the next sighting would be the same visit, which is no
  news, until it has left, which takes as many sightings outside as the policy says.
- No alerts: 17,000 a day would come to whoever reads `alerts`. No ladder, no deadline, nobody to be told.
- No audit: an entry of 1 KB for each probe is 6 GB in a year, kept for 400 days, about decisions that concern nobody.
  A chain without entries has no gap.
"""

from datetime import datetime, timedelta

from schemas.base import EXERCISE
from streams.core.draft import Draft
from streams.core.records import Observation
from streams.core.state import SubjectState

SOURCE = "canary"
"""The source of its events."""
SUBJECTS = "canary-"
"""What the ids of its subjects begin with, as their orders state them."""
KEPT = timedelta(minutes=10)
# Sightings of one probe come within milliseconds, probes of one subject a second apart at the least.
_ONE_PROBE = timedelta(seconds=0.5)


def is_canary(subject_id: str) -> bool:
    """Is this row, or task's subject, one of the canary's?"""
    return subject_id.startswith(EXERCISE + SUBJECTS)


def begin(draft: Draft, observation: Observation | None) -> None:
    """Before the event is judged: forget what is old, and the visit of the probe before."""
    state = draft.state
    if (until := due(state)) is not None and until <= draft.now:
        draft.effects.tombstones += [("arrest-tasks", task.task_id) for task in state.tasks]
        state.tasks, state.breaches, state.dropped, state.last_seen = [], [], [], None
        state.devices, state.tracks = {}, {}
        # All hours: what an event claims is at most minutes ahead of the log's time.
        draft.records.expire(draft.now + timedelta(hours=2))
    if observation is None:
        return
    device = state.devices.get(observation.track)
    newest = None if device is None else device.newest
    if newest is not None and abs(observation.at - newest[0]) > _ONE_PROBE:
        del state.devices[observation.track]
        state.tracks = {k: track for k, track in state.tracks.items() if not k.endswith(f"|{observation.track}")}


def end(draft: Draft) -> None:
    """After it: nothing of it is told to people, or kept to be told."""
    state, effects = draft.state, draft.effects
    effects.alerts, effects.audits, effects.suppressed = [], [], []
    state.safeguarding, state.told, state.quiet, state.held_back, state.chain = [], [], {}, {}, None


def due(state: SubjectState) -> datetime | None:
    """When its row has to be woken: when its task is old; None where it has none."""
    return min((task.opened_at + KEPT for task in state.tasks), default=None)
