"""The priority of a task: points, each with the rule that gave it. Same facts, same score: it does not decay."""

from collections.abc import Iterable

from schemas.orders import OrderData
from schemas.tasks import Certainty, Contribution, Priority
from streams.core.policy import RISKS, Policy
from streams.core.state import BreachFact

_BY_STRENGTH = list(Certainty)


def prioritise(breaches: Iterable[BreachFact], orders: Iterable[OrderData], count: int, policy: Policy) -> Priority:
    """The priority of a task with these breaches under these orders; `count` includes breaches left out."""
    facts = list(breaches)
    orders = list(orders)
    scores = policy.scores
    points: list[Contribution] = []

    def give(rule: str, value: int, reason: str) -> None:
        if value:
            points.append(Contribution(rule=rule, points=value, reason=reason))

    if facts:
        worst = max({fact.term_kind for fact in facts}, key=lambda kind: (scores.term.get(kind, 0), kind))
        give(
            f"term.{worst}",
            scores.term.get(worst, scores.term["unspecified"]),
            f"the gravest breach is of {worst.replace('_', ' ')}",
        )
        sure = min((fact.certainty for fact in facts), key=_BY_STRENGTH.index)
        give(f"certainty.{sure}", scores.certainty[sure], f"the strongest breach is {sure}")
    stated = [order.risk for order in orders]
    known: list[str] = [risk for risk in stated if risk is not None]
    risk = max(known, key=RISKS.index) if len(known) == len(stated) and known else None
    if risk is None and "high" not in known:
        give("risk.unknown", scores.risk["unknown"], "the risk is not assessed, so it counts as high")
    else:
        level = risk or "high"
        give(f"risk.{level}", scores.risk[level], f"the risk is assessed as {level}")
    for marker in sorted({marker for order in orders for marker in order.markers}):
        give(f"marker.{marker}", scores.marker.get(marker, 0), f"warning marker: {marker.replace('_', ' ')}")
    if any(fact.term_kind == "distance" and fact.ended_at is None for fact in facts):
        give("near_protected", scores.near_protected, "the subject is near the protected person now")
    if count > 1:
        give("repeat", scores.repeat, f"{count} breaches stand against this subject")
    if any(not fact.stale for fact in facts):
        give("fresh", scores.fresh, "a breach reached us while a car could be sent on it")
    elif facts:
        give("stale", scores.stale, "every breach reached us too late to send a car to its place")
    return Priority(score=sum(point.points for point in points), contributions=points)
