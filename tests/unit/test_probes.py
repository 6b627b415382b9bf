"""What the canary sends is what our own topics take, and names its own subject alone."""

import pytest
from builders import NOW

from schemas.inbound import decode
from schemas.orders import IdentifierKind, IdentifierRecord, Role
from streams.core.index import IdentifierIndex
from streams.core.plates import canonical
from streams.core.resolve import resolve
from streams.lookout.probes import Way, order, sightings, subjects


@pytest.mark.parametrize("way", ["sightings", "anpr"])
def test_a_probe_finds_its_own_subject_and_no_other(way: Way) -> None:
    index, found = IdentifierIndex(), subjects(48)
    for probed in found:
        body = decode("orders", order(probed)).data
        for named in body.identifiers:
            index.add(
                IdentifierRecord(
                    kind=IdentifierKind(named.kind),
                    value=named.value,
                    subject_id=f"exercise/{probed.name}",
                    role=Role.SUBJECT,
                    order_id=body.order_id,
                )
            )
    for probed in found:
        [(event_id, value)] = sightings(probed, way, "n", NOW, 1)
        event = decode("sightings" if way == "sightings" else "anpr-reads", value)
        assert event.exercise
        assert (event.event_id, event.time) == (event_id, NOW)
        assert [target.subject_id for target in resolve(event, index)] == [f"exercise/{probed.name}"]


def test_a_plate_is_like_no_real_one() -> None:
    """Real ones have seven characters at most; a camera may lose one."""
    for probed in subjects(48):
        assert len(canonical(probed.plate)) == 12


def test_the_last_sighting_of_several_is_the_one_that_is_waited_for() -> None:
    events = [decode("sightings", value) for _, value in sightings(subjects(1)[0], "sightings", "n", NOW, 3)]
    assert [event.time for event in events] == sorted({event.time for event in events})
    assert events[-1].time == NOW
