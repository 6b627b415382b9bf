"""Whose vehicles the index holds: of orders about places, and of subjects who are looked for."""

from datetime import timedelta

import pytest
from builders import NOW, after, custody, no_contact, order, policy_with, report, update, zone
from world import World

from schemas.orders import NEVER, IdentifierKind, IdentifierRecord, Role
from streams.core.index import IdentifierIndex
from streams.core.plates import skeleton

PLATE = {"kind": "plate", "value": "BD15 DLO"}
TAG = {"kind": "tag", "value": "tag-1"}


def known(world: World, vrm: str = "BD15DLO") -> bool:
    return skeleton(vrm) in world.pipeline.index.looks_known


def record(subject_id: str = "S1", value: str = "BD15DLO", **more: object) -> IdentifierRecord:
    fields = {"kind": IdentifierKind.PLATE, "value": value, "subject_id": subject_id, "role": Role.SUBJECT}
    return IdentifierRecord.model_validate(fields | {"order_id": "O1"} | more)


# -- which orders ----------------------------------------------------------------------------------------------


def test_a_vehicle_of_an_order_about_places_is_looked_for() -> None:
    assert known(World(order(terms=[zone()], identifiers=[PLATE])))


@pytest.mark.parametrize("more", [{}, {"locality": zone()["area"]}])
def test_a_vehicle_of_an_order_about_no_place_is_not(more: dict[str, object]) -> None:
    world = World(order(terms=[no_contact(**more)], identifiers=[PLATE, TAG]))
    assert known(world) == bool(more)
    assert world.pipeline.index.find(IdentifierKind.TAG, "tag-1", NOW, False), "a tag is worn under an order"


def test_while_a_task_is_open_every_vehicle_is_looked_for() -> None:
    world = World(order(terms=[no_contact()], identifiers=[PLATE])).give(report(after(0)))
    assert known(world)
    world.give(update(world.task.task_id, "arrested", after(60)), custody("detained", after(90)))
    assert not known(world)
    world.give(report(after(600)))
    assert known(world), "and again when it is open again"


def test_a_vehicle_of_two_orders_stays_for_the_one_about_places() -> None:
    world = World(
        order("O1", terms=[no_contact()], identifiers=[PLATE]), order("O2", terms=[zone()], identifiers=[PLATE])
    ).give(report(after(0)))
    world.give(update(world.task.task_id, "arrested", after(60)))
    assert known(world)


def test_an_order_that_is_varied_to_be_about_places_brings_its_vehicle() -> None:
    world = World(order(terms=[no_contact()], identifiers=[PLATE]))
    world.give(order(version=2, terms=[no_contact(), zone()], identifiers=[PLATE], made_at=after(0)), now=after(10))
    assert known(world)


# -- forgetting ------------------------------------------------------------------------------------------------


def test_what_names_nobody_any_more_is_forgotten() -> None:
    index = IdentifierIndex()
    index.add(record())
    index.add(record(valid_to=NEVER))
    assert len(index) == 0
    assert skeleton("BD15DLO") not in index.looks_known
    index.add(record(valid_to=NEVER))
    assert len(index) == 0


def test_what_looks_alike_or_is_anothers_too_is_kept() -> None:
    index = IdentifierIndex()
    for one in (record(), record("S2"), record("S3", value="8D15DLO")):
        index.add(one)
    index.add(record(valid_to=NEVER))
    assert [found.subject_id for found in index.find(IdentifierKind.PLATE, "BD15DLO", NOW, False)] == ["S2"]
    index.add(record("S2", valid_to=NEVER))
    assert not index.find(IdentifierKind.PLATE, "BD15DLO", NOW, False)
    assert [found.subject_id for found in index.look_alikes("BD15DLO", NOW, False)] == ["S3"]
    index.add(record("S3", value="8D15DLO", valid_to=NEVER))
    assert not list(index)
    assert skeleton("BD15DLO") not in index.looks_known


# -- orders that are known late --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("late_s", "proposed"), [(60, False), (121, True), (3600, True), (7 * 86400, True), (7 * 86400 + 1, False)]
)
def test_a_search_is_proposed_for_an_order_that_became_known_late(late_s: int, proposed: bool) -> None:
    world = World().give(
        order(terms=[zone()], identifiers=[PLATE], made_at=after(0), expires_at=None),
        now=after(late_s),
    )
    assert [alert.order_id for alert in world.alerts("retro_search_proposed")] == ["O1"] * proposed


def test_a_search_begins_when_the_order_took_effect() -> None:
    made, effect = after(0), after(3600)
    late = order(terms=[zone()], identifiers=[PLATE], made_at=made, effective_from=effect)
    alert = World().give(late, now=after(7200)).alert("retro_search_proposed")
    assert alert.since == effect
    assert "--from 2" in alert.text


@pytest.mark.parametrize(
    "nothing_to_search",
    [{"terms": [no_contact()], "identifiers": [PLATE]}, {"terms": [zone()], "identifiers": [TAG]}],
)
def test_no_search_is_proposed_where_no_camera_can_have_seen_anything(nothing_to_search: dict[str, object]) -> None:
    world = World().give(order(made_at=after(0), **nothing_to_search), now=after(3600))
    assert not world.alerts("retro_search_proposed")


def test_a_policy_may_propose_earlier() -> None:
    policy = policy_with(retro_search={"propose_after_s": 10.0})
    world = World(policy=policy).give(
        order(terms=[zone()], identifiers=[PLATE], made_at=NOW), now=NOW + timedelta(seconds=20)
    )
    assert world.alerts("retro_search_proposed")
