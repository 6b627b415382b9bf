"""Snapshots of any orders: made from what is known they agree, and whatever is taken out or changed is found."""

from datetime import datetime, timedelta
from typing import Any

import orjson
from builders import MADE, NOW, Subject, after, circle, no_contact, order, zone
from histories import LATER
from histories import orders as histories
from hypothesis import given
from hypothesis import strategies as st

from schemas.base import Event
from schemas.orders import Order
from streams.core.force import in_force
from streams.core.reconcile import FIELDS, Known, Reconciled, Stated, What, known_orders, reconcile, stated_by_event

# Field -> values that orders may have there, each different from the others.
VALUES: dict[str, list[Any]] = {
    "kind": ["spo_full", "restraining", "dapo"],
    "court": ["Leeds Magistrates", "York Magistrates"],
    "applicant": [None, "Chief Constable"],
    "effective_from": [MADE, after(-60)],
    "expires_at": [None, after(86_400), after(90_000)],
    "present_in_court": [False, True],
    "without_notice": [False, True],
    "power_of_arrest_attached": [False, True],
    "notifies_elsewhere": [False, True],
    "protected_persons": [[{"person_id": "P1"}], [{"person_id": "P1"}, {"person_id": "P2"}]],
    "terms": [[zone()], [no_contact()], [zone(), no_contact()], [zone(area=circle(900))]],
    "identifiers": [[], [{"kind": "plate", "value": "BD15 DLO"}], [{"kind": "tag", "value": "tag-1"}]],
    "owning_force": ["West Yorkshire Police", "Norfolk Constabulary"],
    "risk": [None, "standard", "medium", "high"],
    "markers": [[], ["weapons"], ["weapons", "dogs"]],
    "certified_copy": [None, "box 7"],
}


@st.composite
def contents(draw: st.DrawFn) -> dict[str, Any]:
    """Every field of one order, said or left out."""
    return {name: draw(st.sampled_from(values)) for name, values in VALUES.items()}


def changed(event: Order, **content: Any) -> Order:
    """With these fields in place of its own: null and an empty list are words too, and stay stated."""
    body = event.model_dump(mode="json", exclude_unset=True)
    return Order.model_validate_json(orjson.dumps(body | {"data": body["data"] | content}))


def made(order_id: str, content: dict[str, Any], version: int = 1) -> Order:
    """Each on a subject of its own."""
    return changed(
        order(order_id, version, respondent={"subject_id": f"S-{order_id}", "name": "Robin Example"}), **content
    )


@st.composite
def several(draw: st.DrawFn) -> list[Order]:
    """One to five orders in force, in one or two versions."""
    found = []
    for number in range(draw(st.integers(1, 5))):
        versions = draw(st.lists(contents(), min_size=1, max_size=2))
        found += [made(f"O{number}", content, version) for version, content in enumerate(versions, 1)]
    return found


def rows(orders: list[Order]) -> list[Known]:
    subjects: dict[str, Subject] = {}
    for each in orders:
        name = each.data.respondent.subject_id
        subjects.setdefault(name, Subject(subject_id=name)).feed(each)
    return [found for each in subjects.values() for found in known_orders(each.state, each.records, NOW)]


def compared(snapshot: list[Order], known: list[Order]) -> Reconciled:
    return reconcile([stated_by_event(each) for each in snapshot], rows(known), NOW)


def without(orders: list[Order], order_id: str) -> list[Order]:
    return [each for each in orders if each.data.order_id != order_id]


def found_of(reconciled: Reconciled) -> list[tuple[str, What]]:
    return [(each.order_id, each.what) for each in reconciled.differences]


@given(histories(), st.sampled_from([NOW, after(700), after(1300), LATER]))
def test_a_snapshot_of_what_is_in_force_reconciles(events: list[Event], at: datetime) -> None:
    subject = Subject(*events, now=LATER)
    snapshot = [
        stated_by_event(order(held.data.order_id).model_copy(update={"data": held.data}))
        for held in in_force(subject.state, subject.records, at)
    ]
    found = reconcile(snapshot, known_orders(subject.state, subject.records, at), at)
    assert found.differences == []
    assert found.in_force_here == found.compared == len(snapshot)


@given(several(), st.data())
def test_whatever_is_taken_out_is_found_on_its_side(orders: list[Order], data: st.DataObject) -> None:
    assert compared(orders, orders).differences == []
    gone = data.draw(st.sampled_from(orders)).data.order_id
    assert found_of(compared(without(orders, gone), orders)) == [(gone, What.EXTRA)]
    assert found_of(compared(orders, without(orders, gone))) == [(gone, What.MISSING)]


@given(several(), st.data())
def test_a_version_that_is_not_known_is_missing_and_one_that_is_not_stated_differs(
    orders: list[Order], data: st.DataObject
) -> None:
    last = data.draw(st.sampled_from(orders))
    varied = made(last.data.order_id, data.draw(contents()), 3)
    assert found_of(compared([*orders, varied], orders)) == [(last.data.order_id, What.MISSING)]
    (found,) = compared(orders, [*orders, varied]).differences
    assert (found.order_id, found.what, found.details) == (last.data.order_id, What.DIFFERS, ("version",))


@given(contents(), st.sampled_from(sorted(VALUES)), st.data())
def test_whatever_field_changes_is_named_and_no_other(
    content: dict[str, Any], name: str, data: st.DataObject
) -> None:
    other = data.draw(st.sampled_from([value for value in VALUES[name] if value != content[name]]))
    (found,) = compared([made("O1", content | {name: other})], [made("O1", content)]).differences
    assert (found.what, found.details) == (What.DIFFERS, (name,))


CHANGES: list[dict[str, Any]] = [
    {},
    {"risk": "high"},
    {"expires_at": after(-60)},
    {"expires_at": after(7200)},
    {"made_at": MADE - timedelta(days=9)},
    {"replaces": "O0"},
]


@given(several(), several(), st.data())
def test_the_order_of_lines_does_not_matter(known: list[Order], more: list[Order], data: st.DataObject) -> None:
    """Also where several lines say different things of one version, and some of them not all."""
    lines = [changed(each, **data.draw(st.sampled_from(CHANGES))) for each in [*known, *more]]
    stated = [
        Stated(each, data.draw(st.sampled_from([frozenset({"subject", "risk"}), stated_by_event(each).fields])))
        for each in lines
    ]
    here = rows(known)
    expected = reconcile(stated, here, NOW)
    assert reconcile(data.draw(st.permutations(stated)), here, NOW) == expected


def test_every_field_of_an_order_is_among_those_that_change() -> None:
    coarse = {"protected_ids", "zones", "no_contact", "other_terms", "plates", "tags", "phones"}
    of_references = {"subject", "name", "date_of_birth", "made_at", "replaces", "effective_on_end_of"}
    assert VALUES.keys() | coarse | of_references == FIELDS.keys()
