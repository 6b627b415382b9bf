"""Priority: points with the rule that gave each; the grade by the policy's floors."""

from typing import Any

import pytest
from builders import NOW, POLICY, Subject, after, fix, no_contact, order, policy_with, read, report, zone

from schemas.tasks import Priority


def priority(subject: Subject) -> Priority:
    return subject.task.priority


def rules(subject: Subject) -> dict[str, int]:
    return {point.rule: point.points for point in priority(subject).contributions}


def test_each_contribution_says_its_rule_and_why() -> None:
    subject = Subject(order(risk="high", markers=["weapons"]))
    subject.feed(fix(NOW))
    scores = POLICY.scores
    assert rules(subject) == {
        "term.exclusion_zone": scores.term["exclusion_zone"],
        "certainty.confirmed": scores.certainty["confirmed"],
        "risk.high": scores.risk["high"],
        "marker.weapons": scores.marker["weapons"],
        "fresh": scores.fresh,
    }
    assert priority(subject).score == sum(rules(subject).values())
    assert subject.task.grade == POLICY.grade_for(priority(subject).score).name


@pytest.mark.parametrize(
    ("risk", "rule"),
    [("high", "risk.high"), ("medium", "risk.medium"), ("standard", None), (None, "risk.unknown")],
)
def test_unknown_risk_counts_as_high(risk: str | None, rule: str | None) -> None:
    subject = Subject(order(risk=risk))
    subject.feed(fix(NOW))
    given = [name for name in rules(subject) if name.startswith("risk")]
    assert given == ([rule] if rule else [])
    assert POLICY.scores.risk["unknown"] == POLICY.scores.risk["high"]


def test_the_highest_risk_of_several_orders_counts_and_an_unknown_one_too() -> None:
    def of(*risks: str | None) -> list[str]:
        subject = Subject(*(order(f"O{n}", risk=risk) for n, risk in enumerate(risks)))
        subject.feed(fix(NOW))
        return [name for name in rules(subject) if name.startswith("risk")]

    assert of("standard", "high") == ["risk.high"]
    assert of("standard", None) == ["risk.unknown"]
    assert of("high", None) == ["risk.high"]
    assert of("standard", "medium") == ["risk.medium"]


def test_the_worst_term_and_the_surest_breach_count_once() -> None:
    subject = Subject(order())
    subject.feed(report(after(0)), read(after(10)))
    assert rules(subject)["term.exclusion_zone"] == POLICY.scores.term["exclusion_zone"]
    assert "term.no_contact" not in rules(subject)
    assert [name for name in rules(subject) if name.startswith("certainty")] == ["certainty.reported"]


def test_repetition_counts_across_orders() -> None:
    subject = Subject(order(terms=[no_contact()]))
    subject.feed(report(after(0)))
    assert "repeat" not in rules(subject)
    subject.feed(report(after(60)))
    assert rules(subject)["repeat"] == POLICY.scores.repeat


def test_an_old_breach_is_stale_and_a_new_one_fresh() -> None:
    subject = Subject(order())
    subject.feed(report(after(0)), now=after(POLICY.limits.stale_after_s + 60))
    assert rules(subject)["stale"] == POLICY.scores.stale
    fresh = after(POLICY.limits.stale_after_s + 70)
    subject.feed(report(fresh))
    assert "stale" not in rules(subject)
    assert rules(subject)["fresh"] == POLICY.scores.fresh


def test_the_same_facts_give_the_same_score_at_any_time() -> None:
    """It does not decay: a task is not less urgent because nobody acted on it."""
    subject = Subject(order())
    subject.feed(report(NOW))
    before = priority(subject)
    subject.feed(order("O9", terms=[no_contact("x", protects=["P2"])], made_at=after(10)), now=after(5 * 86400))
    task = subject.live
    assert task is not None
    assert task.grade == subject.task.grade
    assert priority(subject) == before


@pytest.mark.parametrize(
    ("orders", "grade"),
    [({"risk": "standard", "terms": [no_contact()]}, "priority"), ({"risk": "high"}, "immediate")],
)
def test_grades_by_floor(orders: dict[str, Any], grade: str) -> None:
    subject = Subject(order(**orders))
    subject.feed(report(NOW) if "terms" in orders else fix(NOW))
    assert subject.task.grade == grade
    within = next(g.respond_within_s for g in POLICY.grades if g.name == grade)
    assert (subject.task.deadline - subject.task.opened_at).total_seconds() == within


def test_grade_and_deadline_only_tighten() -> None:
    subject = Subject(order(risk="standard"))
    subject.feed(report(NOW))
    first = subject.task
    subject.feed(fix(after(60)))
    raised = subject.task
    assert (first.grade, raised.grade) == ("priority", "immediate")
    assert raised.deadline <= first.deadline
    assert subject.alerts[-1].text.startswith("task upgraded")
    subject.feed(report(after(120)))
    assert subject.task.deadline == raised.deadline


def test_lacking_a_power_changes_no_points() -> None:
    def points(served: bool) -> dict[str, int]:
        subject = Subject(order(served=served))
        subject.feed(fix(NOW))
        return rules(subject)

    assert points(True) == points(False)


def test_a_force_may_set_other_points() -> None:
    scores = POLICY.scores.model_dump()
    subject = Subject(
        order(terms=[zone()]), policy=policy_with(scores={"term": scores["term"] | {"exclusion_zone": 99}})
    )
    subject.feed(fix(NOW))
    assert rules(subject)["term.exclusion_zone"] == 99
