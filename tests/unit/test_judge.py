"""Judging evidence: error circles, jumps, the strength of each source, and which terms a report fits."""

from typing import Any

import pytest
from builders import (
    NOW,
    POLICY,
    Subject,
    after,
    away,
    circle,
    face,
    fix,
    no_contact,
    order,
    policy_with,
    read,
    report,
    seen,
    zone,
)

from schemas.base import Event, Position
from streams.core import judge
from streams.core.judge import is_jump, is_too_far, plausible
from streams.core.records import Observation
from streams.core.state import Fix

KM = 1000


def at(seconds: float, east_m: float, accuracy_m: float = 10) -> Fix:
    return Fix(at=after(seconds), id=f"f{seconds}", position=Position(**away(east_m)), accuracy_m=accuracy_m)


def certainties(*events: Event, **policy: Any) -> list[str]:
    subject = Subject(order(), policy=policy_with(**policy) if policy else POLICY)
    subject.feed(*events)
    return [str(fact.certainty) for fact in subject.breaches]


@pytest.mark.parametrize(
    ("event", "certainty"),
    [
        (fix(NOW), "confirmed"),
        (seen(NOW), "confirmed"),
        (face(NOW, adjudication="confirmed"), "confirmed"),
        (read(NOW), "vehicle"),
        (report(NOW), "reported"),
    ],
    ids=lambda value: getattr(value, "type", None),
)
def test_each_source_has_its_own_strength(event: Event, certainty: str) -> None:
    assert certainties(event) == [certainty]


def test_an_unstated_accuracy_is_the_policys_for_that_source() -> None:
    near_edge = away(180)  # 20 m within
    assert certainties(fix(NOW, near_edge, accuracy_m=None)) == ["confirmed"]  # 15 m by policy
    assert certainties(read(NOW, near_edge)) == []  # 30 m by policy
    assert certainties(fix(NOW, near_edge, accuracy_m=None), accuracy={"tag_m": 25}) == []
    assert certainties(read(NOW, near_edge), accuracy={"camera_m": 5}) == ["vehicle"]


def test_a_fix_that_states_its_accuracy_is_taken_at_its_word() -> None:
    assert certainties(fix(NOW, away(145), accuracy_m=150)) == []
    assert certainties(*(fix(after(n), away(145), accuracy_m=150) for n in range(3))) == ["possible"]


@pytest.mark.parametrize(
    ("seconds", "metres", "jump"),
    [
        (60, 70 * 60, False),
        (60, 71 * 60 + 20, True),
        (1, 80, False),  # both error circles are given the benefit
        (1, 95, True),
        (0, 60, False),
        (0, 20, False),
        (0, 500, True),
        (600, 100 * KM, True),
        (601, 100 * KM, False),  # after a silence nothing is known of the journey
    ],
)
def test_a_jump_is_what_nobody_can_have_travelled(seconds: int, metres: float, jump: bool) -> None:
    assert is_jump(at(0, 0), at(seconds, metres), POLICY) is jump
    assert is_jump(at(seconds, metres), at(0, 0), POLICY) is jump


def test_clocks_of_different_sources_may_differ() -> None:
    slack = POLICY.evidence.clock_slack_s
    assert not is_too_far(at(0, 0), at(1, slack * POLICY.evidence.max_speed_mps), POLICY)
    assert is_too_far(at(0, 0), at(1, slack * POLICY.evidence.max_speed_mps + 100), POLICY)


def observations(*metres: float, track: str = "tag:t") -> list[Observation]:
    return [
        Observation(
            id=f"f{number}",
            type="tag_fix",
            at=after(number * 30),
            track=track,
            position=Position(**away(east), accuracy_m=10),
            topic="sightings",
            partition=0,
            offset=number,
            sha256="0" * 64,
            applied_at=number,
        )
        for number, east in enumerate(metres)
    ]


@pytest.mark.parametrize(
    ("metres", "kept"),
    [
        ((0, 100, 200), "012"),
        ((0, 90 * KM, 100), "02"),  # refuted by the next
        ((0, 90 * KM, 90 * KM), "012"),  # confirmed by the next
        ((0, 90 * KM), "0"),  # waits
        ((0, 90 * KM, -90 * KM, 0), "03"),
        ((0, 90 * KM, -90 * KM, -90 * KM), "023"),
        ((90 * KM, 0, 0), "012"),  # nothing contradicts the first one until it is contradicted twice
    ],
)
def test_a_jump_waits_for_the_next_fix(metres: tuple[float, ...], kept: str) -> None:
    assert "".join(o.id[1:] for o in plausible(observations(*metres), POLICY)) == kept


def test_jumps_of_plates_and_officers_are_not_filtered() -> None:
    for track in ("plate:BD15DLO", "officer", "face"):
        assert len(list(plausible(observations(0, 90 * KM, 0, track=track), POLICY))) == 3


def test_a_jump_into_a_zone_is_no_breach_until_the_next_fix_confirms_it() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0), away(0, 90 * KM)), fix(after(30)))
    assert subject.breaches == []
    assert subject.kinds() == ["implausible_jump"]
    subject.feed(fix(after(60)))
    assert subject.breach.began_at == after(30)


def test_a_jump_into_a_zone_that_the_next_fix_refutes_is_none() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0), away(0, 90 * KM)), fix(after(30)), fix(after(60), away(0, 90 * KM)))
    assert subject.breaches == []


def terms_of(nature: str, *terms: dict[str, Any], **more: Any) -> list[str | None]:
    subject = Subject(order(terms=terms))
    subject.feed(report(NOW, nature, **more))
    return [fact.term_id for fact in subject.breaches]


SURVEILLANCE = {"term_id": "t-watch", "kind": "no_surveillance", "protects": ["P1"]}
SOCIAL = {"term_id": "t-social", "kind": "no_social_media", "protects": ["P1"]}
DISTANCE = {"term_id": "t-distance", "kind": "distance", "metres": 100, "protects": ["P1"]}
RESIDENCE = {"term_id": "t-home", "kind": "residence"}
ALL_TERMS = (zone(), no_contact(), SURVEILLANCE, SOCIAL, DISTANCE, RESIDENCE)


@pytest.mark.parametrize(
    ("nature", "fitting"),
    [
        ("contact", ["t-contact"]),
        ("approach", ["t-contact", "t-distance"]),
        ("entered_zone", ["t-zone"]),
        ("social_media", ["t-social"]),
        ("surveillance", ["t-watch"]),
        ("not_at_residence", ["t-home"]),
        ("other", [None]),  # the order is named, a person decides on the term
    ],
)
def test_which_terms_a_report_fits(nature: str, fitting: list[str | None]) -> None:
    assert sorted(terms_of(nature, *ALL_TERMS), key=str) == sorted(fitting, key=str)


def test_a_report_that_fits_no_term_plainly_is_for_a_person() -> None:
    subject = Subject(order(terms=[zone()]))
    subject.feed(report(NOW, "contact", protected_person_id="P1"))
    assert (subject.breach.term_id, subject.breach.term_kind) == (None, "unspecified")
    assert subject.breach.protects == ["P1"]
    assert "a person must decide" in subject.breach.flags[0]


@pytest.mark.parametrize(("person", "fits"), [("P1", True), ("P2", False), (None, True)])
def test_whom_a_term_protects_counts(person: str | None, fits: bool) -> None:
    assert terms_of("contact", no_contact(protects=["P1"]), protected_person_id=person) == [
        "t-contact" if fits else None
    ]


def test_a_term_that_names_nobody_protects_everybody() -> None:
    assert terms_of("contact", no_contact(protects=[]), protected_person_id="P2") == ["t-contact"]


def test_a_report_names_each_order_it_breaches_unless_it_names_one() -> None:
    subject = Subject(order("O1"), order("O2"))
    subject.feed(report(after(0)))
    assert [fact.order_id for fact in subject.breaches] == ["O1", "O2"]
    subject = Subject(order("O1"), order("O2"))
    subject.feed(report(after(0), order_id="O2"))
    assert [fact.order_id for fact in subject.breaches] == ["O2"]


@pytest.mark.parametrize(
    ("carve_outs", "excuse", "says"),
    [
        ([{"kind": "solicitor"}], "solicitor", "which the order allows"),
        ([{"kind": "court"}], "solicitor", "which the order does not mention"),
        ([], "work", "which the order does not mention"),
        ([{"kind": "child_contact"}], None, "the term has an exception (child_contact)"),
    ],
)
def test_an_excuse_flags_and_never_drops(carve_outs: list[dict[str, str]], excuse: str | None, says: str) -> None:
    subject = Subject(order(terms=[no_contact(carve_outs=carve_outs)]))
    subject.feed(report(NOW, excuse=excuse))
    assert any(says in flag for flag in subject.breach.flags)


def test_a_crossing_between_two_fixes_is_possible() -> None:
    subject = Subject(order())
    subject.feed(fix(after(0), away(-400)), fix(after(60), away(400)))
    fact = subject.breach
    assert (fact.certainty, fact.began_at, fact.ended_at) == ("possible", after(0), after(60))
    assert any("straight line between two fixes" in flag for flag in fact.flags)


@pytest.mark.parametrize(
    "reads", [[fix(after(0), away(-400)), fix(after(700), away(400))], [read(after(0), away(-400))]]
)
def test_no_crossing_over_a_silence_or_by_reads(reads: list[Event]) -> None:
    subject = Subject(order())
    subject.feed(*reads, read(after(60), away(400)))
    assert subject.breaches == []


def test_a_crossing_shown_by_a_term_that_took_effect_between_the_fixes() -> None:
    subject = Subject(order(terms=[no_contact()]), order(version=2, effective_from=after(30)))
    subject.feed(fix(after(0), away(-400)), fix(after(60), away(400)))
    assert (subject.breach.order_version, subject.breach.certainty) == (2, "possible")


def test_a_buffer_warns_and_is_no_breach() -> None:
    subject = Subject(order(terms=[{"term_id": "t-buffer", "kind": "buffer", "area": circle(500)}]))
    subject.feed(fix(after(0)), fix(after(60)))
    assert subject.breaches == []
    assert subject.kinds() == ["buffer_entered"]


def test_a_fix_is_compared_with_the_zones_near_its_way_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order with 880 zones, the most that is known of one, costs a fix no more than one with a zone."""
    terms = [zone(f"t-{n}", circle(200, east_m=n * 1000)) for n in range(880)]
    subject = Subject(order(terms=terms))
    placed, tried = judge.place, list[str]()

    def counting(state: Any, records: Any, lineage: Any, *more: Any) -> Any:
        tried.append(lineage.term_id)
        return placed(state, records, lineage, *more)

    monkeypatch.setattr("streams.core.sightings.place", counting)
    subject.feed(fix(after(0), away(300_450)), fix(after(60), away(300_550)), fix(after(120), away(301_000)))
    assert tried == ["t-301"]
    for minute in range(3, 8):
        subject.feed(fix(after(60 * minute), away(301_000, 600 * (minute - 2))))
    assert set(tried) == {"t-301"}, "until it is known to be over, however far away that is seen"
    assert [(fact.term_id, fact.ended_at) for fact in subject.breaches] == [("t-301", after(120))]
