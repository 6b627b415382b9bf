"""A snapshot of orders beside what is known: what is missing, extra or different, and what is no difference."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from builders import MADE, NOW, SUBJECT, Subject, after, circle, no_contact, order, order_ended, order_stayed, zone

from schemas.orders import IdentityCorrected, Order
from streams.core.reconcile import (
    COMPARED,
    FIELDS,
    Known,
    Reconciled,
    Stated,
    What,
    known_orders,
    reconcile,
    stated_by_event,
    stated_by_row,
)

OTHER = "S2"
DAY = 86_400


def on(subject: str, order_id: str, version: int = 1, **more: Any) -> Order:
    return order(order_id, version, **{"respondent": {"subject_id": subject, "name": "Robin Example"}, **more})


def by(source: str, event: Order) -> Order:
    return event.model_copy(update={"source": source})


def known(*subjects: Subject) -> list[Known]:
    return [each for subject in subjects for each in known_orders(subject.state, subject.records, NOW)]


def compared(snapshot: Iterable[Order | Stated], *subjects: Subject, **more: Any) -> Reconciled:
    lines = [stated_by_event(each) if isinstance(each, Order) else each for each in snapshot]
    return reconcile(lines, known(*subjects), NOW, **more)


def told(found: Reconciled) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(each.order_id, each.what.name, each.details) for each in found.differences]


# -- the same ------------------------------------------------------------------------------------------------------


def test_what_is_known_and_stated_alike_is_no_difference() -> None:
    orders = [order("O1"), order("O2", expires_at=after(DAY))]
    found = compared(orders, Subject(*orders))
    assert told(found) == []
    assert (found.stated, found.in_force_by_it, found.in_force_here, found.judged, found.compared) == (2,) * 5


def test_an_order_that_is_in_force_nowhere_is_no_difference() -> None:
    past, to_come = order("O1", expires_at=after(-DAY)), order("O2", effective_from=after(DAY))
    assert told(compared([past, to_come], Subject())) == [], "expired, or not begun, by the snapshot"
    assert told(compared([], Subject(past, order("O3"), order_ended("O3", after(-60))))) == []


def test_an_interim_order_whose_full_order_is_in_the_snapshot_is_not_expected() -> None:
    interim, full = order("O1", kind="spo_interim"), order("O2", made_at=after(-DAY), replaces="O1")
    assert told(compared([interim, full], Subject(full))) == []
    assert told(compared([interim], Subject(full))) == [
        ("O1", "MISSING", ("not known here",)),
        ("O2", "EXTRA", ()),
    ], "alone it still would be"


# -- missing -------------------------------------------------------------------------------------------------------


def test_an_order_that_is_not_known_is_missing_with_whose_it_is() -> None:
    found = compared([order("O1")], Subject())
    assert told(found) == [("O1", "MISSING", ("not known here",))]
    assert found.differences[0].force == "West Yorkshire Police"


@pytest.mark.parametrize(
    ("events", "why"),
    [
        ([order(), order_ended(at=after(-60))], "known here, where it was ended by the court"),
        ([order(), order_stayed(at=after(-60))], "known here, where it is stayed by the court"),
        ([order(expires_at=after(-60))], "known here, where it has expired"),
        ([order(effective_from=after(60))], "known here, where it has not taken effect"),
        (
            [order("O2"), order(effective_on_end_of="O2")],
            "known here, where it waits for an earlier order to end",
        ),
        (
            [order(kind="spo_interim"), order("O2", made_at=after(-DAY), replaces="O1")],
            "known here, where it ended when the main application was determined",
        ),
    ],
)
def test_an_order_that_is_known_and_not_in_force_is_missing_with_why(events: list[Any], why: str) -> None:
    found = compared([order()], Subject(*events))
    assert [(d.details, d.subject_id) for d in found.of(What.MISSING)] == [((why,), SUBJECT)]


def test_an_end_that_has_not_come_yet_is_none() -> None:
    assert told(compared([order()], Subject(order(), order_ended(at=after(60))))) == []


def test_a_newer_version_than_is_known_is_missing() -> None:
    varied = order(version=2, made_at=after(-DAY), terms=[zone(area=circle(900))])
    found = compared([order(), varied], Subject(order()))
    assert told(found) == [("O1", "MISSING", ("known here only as version 1",))]


def test_an_order_whose_words_are_lost_is_missing() -> None:
    subject = Subject(order())
    subject.table.clear()
    found = compared([order()], subject)
    assert told(found) == [("O1", "MISSING", ("known here, but what it says is lost: see `breachwatch verify`",))]


# -- extra ---------------------------------------------------------------------------------------------------------


def test_an_order_that_the_snapshot_does_not_have_is_extra() -> None:
    found = compared([order("O1")], Subject(order("O1"), order("O2")))
    assert told(found) == [("O2", "EXTRA", ())]
    assert (found.differences[0].subject_id, found.differences[0].force) == (SUBJECT, "West Yorkshire Police")


def test_what_stands_on_a_line_that_cannot_be_read_is_not_extra() -> None:
    assert told(compared([], Subject(order("O1"), order("O2")), unread=frozenset({"O1"}))) == [("O2", "EXTRA", ())]


@pytest.mark.parametrize(
    ("source", "extra"),
    [
        (None, ["O1", "O2", "O3"]),
        ("courts", ["O1", "O2"]),
        ("courts/leeds", ["O1", "O2"]),
        ("courts/leeds/2", ["O2"]),
        ("courts/le", []),
    ],
)
def test_of_one_source_only_its_own_orders_are_expected(source: str | None, extra: list[str]) -> None:
    events = [
        by("courts/leeds", order("O1")),
        by("courts/leeds/2", order("O2")),
        by("records/norfolk", order("O3")),
    ]
    found = compared([], Subject(*events), source=source)
    assert [each.order_id for each in found.of(What.EXTRA)] == extra
    assert (found.judged, found.in_force_here, found.of_unknown_source) == (len(extra), 3, 0)


def test_an_order_of_which_the_source_stated_a_version_is_its_own() -> None:
    events = [by("courts/leeds", order()), by("breachwatch/by-hand", order(version=2))]
    assert told(compared([], Subject(*events), source="courts")) == [("O1", "EXTRA", ())]


def test_an_order_of_no_known_source_is_counted_and_not_expected() -> None:
    subject = Subject(order())
    (ref,) = subject.state.orders.values()
    unmarked = subject.state
    unmarked.orders["O1"].versions = [each.model_copy(update={"source": None}) for each in ref.versions]
    rows = list(known_orders(unmarked, subject.records, NOW))
    found = reconcile([], rows, NOW, source="courts")
    assert (found.differences, found.of_unknown_source, found.judged) == ([], 1, 0)
    assert told(reconcile([], rows, NOW)) == [("O1", "EXTRA", ())]


# -- different -----------------------------------------------------------------------------------------------------

CHANGES: dict[str, dict[str, Any]] = {
    "subject": {"respondent": {"subject_id": OTHER, "name": "Robin Example"}},
    "name": {"respondent": {"subject_id": SUBJECT, "name": "Robyn Example"}},
    "date_of_birth": {"respondent": {"subject_id": SUBJECT, "name": "Robin Example", "date_of_birth": "1980-01-02"}},
    "kind": {"kind": "restraining"},
    "court": {"court": "York Magistrates"},
    "applicant": {"applicant": "Chief Constable"},
    "effective_from": {"effective_from": MADE + timedelta(hours=1)},
    "expires_at": {"expires_at": after(DAY)},
    "present_in_court": {"present_in_court": True},
    "without_notice": {"without_notice": True},
    "power_of_arrest_attached": {"power_of_arrest_attached": True},
    "notifies_elsewhere": {"notifies_elsewhere": True},
    "effective_on_end_of": {"effective_on_end_of": "O9"},
    "replaces": {"replaces": "O9"},
    "protected_persons": {"protected_persons": [{"person_id": "P1"}, {"person_id": "P2"}]},
    "terms": {"terms": [zone(area=circle(201)), no_contact()]},
    "identifiers": {"identifiers": [{"kind": "plate", "value": "AB12 CDE"}]},
    "owning_force": {"owning_force": "Norfolk Constabulary"},
    "risk": {"risk": "high"},
    "markers": {"markers": ["weapons"]},
    "certified_copy": {"certified_copy": "box 7"},
    "service": {"service": {"served_at": MADE - timedelta(hours=1), "method": "personal"}},
}
COARSE = {"protected_ids", "zones", "no_contact", "other_terms", "plates", "tags", "phones"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_field_that_is_stated_otherwise_is_named(name: str) -> None:
    assert told(compared([order(**CHANGES[name])], Subject(order()))) == [("O1", "DIFFERS", (name,))]


def test_every_field_is_tried() -> None:
    assert CHANGES.keys() | COARSE | {"made_at", "version"} == COMPARED
    assert FIELDS.keys() > COARSE


def test_when_it_was_made_is_compared() -> None:
    changed = order(made_at=MADE - timedelta(days=1), served=False)
    assert told(compared([changed], Subject(order()))) == [("O1", "DIFFERS", ("made_at",))]


def test_an_end_that_only_one_of_them_has_is_a_difference() -> None:
    until = order(expires_at=after(DAY))
    assert told(compared([order()], Subject(until))) == [("O1", "DIFFERS", ("expires_at",))], "until further order"
    gone = order(expires_at=after(-60))
    assert told(compared([gone], Subject(order()))) == [("O1", "DIFFERS", ("expires_at",))], "in force here alone"


def test_a_version_that_is_older_than_what_is_known_differs_in_that_alone() -> None:
    varied = order(version=2, made_at=after(-DAY), terms=[zone(area=circle(900))])
    assert told(compared([order()], Subject(order(), varied))) == [("O1", "DIFFERS", ("version",))]


def test_a_version_to_come_is_as_right_as_the_one_in_force() -> None:
    to_come = order(version=2, effective_from=after(DAY), risk="high")
    subject = Subject(order(), to_come)
    for snapshot in ([order()], [to_come], [order(), to_come]):
        assert told(compared(snapshot, subject)) == []
    other = order(version=2, effective_from=after(DAY), risk="standard")
    assert told(compared([order(), other], subject)) == [("O1", "DIFFERS", ("risk",))]
    assert told(compared([order(court="York"), to_come], subject)) == [("O1", "DIFFERS", ("court",))]


def test_a_version_to_come_that_is_not_known_differs() -> None:
    to_come = order(version=2, effective_from=after(DAY))
    assert told(compared([to_come], Subject(order()))) == [("O1", "DIFFERS", ("version",))]


def test_service_differs_where_an_earlier_proof_is_stated_than_is_known() -> None:
    assert told(compared([order()], Subject(order(served=False)))) == [("O1", "DIFFERS", ("service",))]
    again = {"served_at": after(-DAY), "method": "personal"}
    assert told(compared([order(service=again)], Subject(order()))) == [], "served twice; the first counts"
    assert told(compared([order(served=False)], Subject(order()))) == [], "it does not say"


def test_how_it_is_written_is_no_difference() -> None:
    people = [{"person_id": "P1"}, {"person_id": "P2", "relation": "child"}]
    plates = [{"kind": "plate", "value": value} for value in ("BD15 DLO", "AB12CDE")]
    known_as = order(identifiers=plates, markers=["weapons", "dogs"])
    otherwise = order(
        identifiers=[{"kind": "plate", "value": value} for value in ("AB12 CDE", "bd15dlo")],
        markers=["dogs", "weapons"],
        protected_persons=people[::-1],
        terms=[no_contact(), zone()],
        court="LEEDS  magistrates",
    )
    assert told(compared([otherwise], Subject(known_as))) == []


def test_fields_that_are_ignored_are_not_compared() -> None:
    changed = order(court="York", risk="high")
    assert told(compared([changed], Subject(order()), ignored=frozenset({"court"}))) == [("O1", "DIFFERS", ("risk",))]
    varied = order(version=2)
    assert told(compared([order()], Subject(order(), varied), ignored=frozenset({"version"}))) == []


def test_an_order_that_two_subjects_have_is_compared_with_both() -> None:
    first, second = Subject(on(SUBJECT, "O1")), Subject(on(OTHER, "O1", 2), subject_id=OTHER)
    found = compared([on(OTHER, "O1", 2)], first, second)
    assert [(d.subject_id, d.what, d.details) for d in found.differences] == [(SUBJECT, What.DIFFERS, ("version",))]


def test_a_subject_who_is_another_has_no_orders_of_their_own() -> None:
    data = {"how": "merged", "subject_id": SUBJECT, "other_subject_id": OTHER, "reason": "one person"}
    merged = IdentityCorrected.model_validate(
        {"id": "m1", "source": "t", "type": "identity_corrected", "time": NOW, "recordedtime": NOW, "data": data}
    )
    assert known(Subject(order(), merged)) == []


# -- as much as a row of an export states ---------------------------------------------------------------------------


def row(event: Order, *columns: str) -> Stated:
    return stated_by_row(event, ["subject", "order_id", *columns])


def test_only_what_a_row_states_is_compared() -> None:
    changed = order(
        version=7, risk="high", court="York", terms=[zone(area=circle(900))], protected_persons=[{"person_id": "P1"}]
    )
    assert told(compared([row(changed)], Subject(order()))) == []
    assert told(compared([row(changed, "risk")], Subject(order()))) == [("O1", "DIFFERS", ("risk",))]


ROWS: dict[str, tuple[str, dict[str, Any]]] = {
    "protects": ("protected_ids", {"protected_persons": [{"person_id": "P1"}]}),
    "zone": ("zones", {"terms": [zone(area=circle(900)), no_contact()]}),
    "no_contact": ("no_contact", {"terms": [zone()]}),
    "term": ("other_terms", {"terms": [zone(), no_contact(), {"term_id": "o", "kind": "other", "text": "No dogs"}]}),
    "plate": ("plates", {"identifiers": [{"kind": "plate", "value": "AB12 CDE"}]}),
    "tag": ("tags", {"identifiers": [{"kind": "tag", "value": "t1"}]}),
    "phone": ("phones", {"identifiers": [{"kind": "phone", "value": "07700900123"}]}),
    "until_further_order": ("expires_at", {"expires_at": after(DAY)}),
}


@pytest.mark.parametrize("column", ROWS)
def test_a_column_is_compared_with_what_it_is_of(column: str) -> None:
    name, change = ROWS[column]
    changed = order(**change)
    assert told(compared([row(changed, column)], Subject(order()))) == [("O1", "DIFFERS", (name,))]
    assert told(compared([row(changed, column)], Subject(changed))) == []
    others = [each for each in ROWS if each != column]
    assert told(compared([row(changed, *others)], Subject(order()))) == []


def test_whom_each_term_protects_and_its_name_are_not_what_a_row_states() -> None:
    with_names = order(terms=[zone("T1", protects=["P1"]), no_contact("T2", protects=["P1", "P2"])])
    imported = order(terms=[zone("zone-1", protects=["P1", "P2"]), no_contact("no-contact", protects=["P1", "P2"])])
    assert told(compared([row(imported, "zone", "no_contact", "protects")], Subject(with_names))) == []


def test_the_newest_version_that_is_in_force_is_compared_where_none_is_stated() -> None:
    to_come = order(version=2, effective_from=after(DAY), risk="high")
    assert told(compared([row(order(), "risk")], Subject(order(), to_come))) == []
    assert told(compared([row(to_come, "risk")], Subject(order(), to_come))) == [("O1", "DIFFERS", ("risk",))]


def test_several_rows_on_one_order_are_each_compared() -> None:
    rows = [row(order(), "risk"), row(order(risk="high"), "risk"), row(order(court="York"), "court")]
    expected = [("O1", "DIFFERS", ("court", "risk"))]
    assert told(compared(rows, Subject(order()))) == told(compared(rows[::-1], Subject(order()))) == expected


def test_of_several_rows_the_one_by_which_it_is_in_force_counts() -> None:
    rows = [row(order(expires_at=after(-60)), "expires"), row(order(), "until_further_order")]
    for each in (rows, rows[::-1]):
        assert told(compared(each, Subject())) == [("O1", "MISSING", ("not known here",))]


# -- doubtful snapshots --------------------------------------------------------------------------------------------


def many(count: int, start: int = 0) -> list[Order]:
    return [on(f"S{number}", f"O{number}") for number in range(start, start + count)]


def rows_of(orders: list[Order]) -> list[Subject]:
    return [Subject(each, subject_id=each.data.respondent.subject_id) for each in orders]


def test_few_differences_are_never_doubtful() -> None:
    found = compared(many(20), Subject())
    assert (len(found.of(What.MISSING)), found.doubtful()) == (20, [])


def test_more_than_a_fifth_is_doubtful() -> None:
    orders = many(110)
    whole = rows_of(orders)
    assert compared(orders, *whole[:88]).doubtful() == [], "22 of 110"
    assert compared(orders, *whole[:87]).doubtful() == [What.MISSING]
    assert compared(orders[:88], *whole).doubtful() == []
    found = compared([*orders[:87], on("S999", "O999")], *whole)
    assert found.doubtful() == [What.EXTRA], "the one that is missing is not"
    assert len(found.of(What.MISSING)) == 1


def test_hundreds_are_doubtful_whatever_they_are_a_share_of() -> None:
    found = Reconciled(stated=5000, in_force_by_it=5000)
    found.differences = compared(many(101), Subject()).differences
    assert found.doubtful() == [What.MISSING]
    found.differences.pop()
    assert found.doubtful() == []


def test_an_empty_snapshot_is_doubtful_whatever_is_known() -> None:
    assert compared([], Subject(order())).doubtful() == [What.EXTRA]
    assert compared([], Subject()).doubtful() == [], "as empty as what is known"
