"""What late evidence can change: the stretch of one device's observations around it that is judged again."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from streams.core.judge import Lineage, fix_of, is_jump, is_zone_evidence, place, plausible
from streams.core.policy import Policy
from streams.core.records import Observation, Records
from streams.core.state import Device, SubjectState
from streams.core.visits import Visit, is_silence
from streams.core.zones import Placement


@dataclass(frozen=True)
class Stretch:
    """Consecutive observations of one device, and which of the visits that they show are theirs to tell.

    At each end there may be fixes that only give the automaton its footing: whether the first of them counts,
    and where a crossing to or from them began, lies outside.
    """

    observations: list[Observation]
    begins: datetime
    """Visits that began before are not this stretch's."""
    ends: datetime | None
    """Nor are those that began then or later; None: all that began since are."""
    reaches_end: bool = True
    """It runs to the device's newest observation, so the automaton's track after it is the present one."""
    open_start: bool = False
    """What came before is no longer kept: a visit may have begun there."""

    def tells(self, began: datetime) -> bool:
        """Did what began then begin within this stretch?"""
        return self.begins <= began and (self.ends is None or began < self.ends)

    def owns(self, visit: Visit) -> bool:
        """Is the visit this stretch's to tell?"""
        goes_on = visit.ended is None or visit.ended >= self.begins
        return self.tells(visit.began) or (self.open_start and goes_on)


class _Side:
    """Reading from a moment in one direction, to where the automaton is plainly outside whatever was before.

    That is at a silence, or after one more than `leave_fixes` fixes wholly outside in a row, none of them a jump
    from the one nearer: all of them but perhaps the farthest then count, so any visit is over.
    """

    def __init__(self, start: Observation, policy: Policy) -> None:
        self.observations: list[Observation] = []
        self.outside: Observation | None = None
        """The nearest of the row of fixes outside that ended it, if that is what ended it."""
        self.silent = False
        self._start, self._policy = start, policy

    def read(self, run: Iterable[Observation], state: SubjectState, records: Records, lineage: Lineage) -> "_Side":
        policy, last = self._policy, self._start
        outs: list[Observation] = []
        for observation in run:
            if is_silence(min(last.at, observation.at), max(last.at, observation.at), policy.visits):
                self.silent = True
                return self
            self.observations.append(observation)
            placement = place(state, records, lineage, observation, policy)
            if placement is not Placement.OUT or is_jump(fix_of(last, policy), fix_of(observation, policy), policy):
                outs = []
            else:
                outs.append(observation)
            if len(outs) > policy.visits.leave_fixes:
                self.outside = outs[0]
                return self
            last = observation
        return self


def _of_device(run: Iterable[Observation], track: str) -> Iterator[Observation]:
    return (o for o in run if o.track == track and is_zone_evidence(o))


def _around(
    state: SubjectState, records: Records, late: Observation
) -> tuple[Iterator[Observation], Iterator[Observation]]:
    """The device's observations before the late one, newest first, and those after it."""
    moment, newest = (late.at, late.id), state.devices[late.track].newest
    assert newest is not None
    earlier = (o for o in _of_device(records.before(late.at), late.track) if (o.at, o.id) < moment)
    later = (o for o in _of_device(records.after(late.at, newest[0]), late.track) if (o.at, o.id) > moment)
    return earlier, later


def stretch_around(
    state: SubjectState, records: Records, lineage: Lineage, late: Observation, policy: Policy
) -> Stretch:
    """What a late observation can change."""
    earlier, later = _around(state, records, late)
    back = _Side(late, policy).read(earlier, state, records, lineage)
    ahead = _Side(late, policy).read(later, state, records, lineage)
    observations = [*reversed(back.observations), late, *ahead.observations]
    ends = None
    if ahead.outside is not None:
        ends = observations[-1].at
    elif ahead.silent:
        ends = observations[-1].at + timedelta.resolution
    last, newest = observations[-1], state.devices[late.track].newest
    assert newest is not None
    return Stretch(
        observations,
        begins=back.outside.at if back.outside else observations[0].at,
        ends=ends,
        reaches_end=(last.at, last.id) >= newest,
        open_start=back.outside is None and not back.silent,
    )


def settle(state: SubjectState, records: Records, late: Observation, policy: Policy) -> None:
    """Which of the device's fixes is the newest accepted one, and which waits, now that a late one is known."""
    earlier, later = _around(state, records, late)
    ahead, settled = _until_settled(late, later, policy)
    if settled:
        return
    back, _ = _until_settled(late, earlier, policy)
    state.devices[late.track] = _settled([*reversed(back), late, *ahead], policy, state.devices[late.track])


def settle_all(state: SubjectState, records: Records, track: str, policy: Policy) -> None:
    """As `settle`, after any of the device's observations were taken back."""
    run = list(_of_device(records.all(), track))
    if run:
        state.devices[track] = _settled(run, policy, state.devices.get(track, Device()))
    else:
        state.devices.pop(track, None)


def _settled(run: list[Observation], policy: Policy, device: Device) -> Device:
    """The device after this run: the last fix that counts, and the run's last where that is a jump that waits."""
    *_, counted = plausible(run, policy)
    pending = None if counted is run[-1] else fix_of(run[-1], policy)
    return device.model_copy(update={"accepted": fix_of(counted, policy), "pending": pending})


def _until_settled(late: Observation, run: Iterable[Observation], policy: Policy) -> tuple[list[Observation], bool]:
    """Those that decide which fixes count, reading away from the late one; and whether it ends there.

    After two steps in a row of which neither is a jump, and after a silence, nothing before matters.
    """
    found: list[Observation] = []
    last, steady = late, 0
    for observation in run:
        if is_silence(min(last.at, observation.at), max(last.at, observation.at), policy.visits):
            return found, True
        found.append(observation)
        steady = 0 if is_jump(fix_of(last, policy), fix_of(observation, policy), policy) else steady + 1
        if steady > 1:
            return found, True
        last = observation
    return found, False
