"""An alert as CAP 1.2: what must be there is there, in its order."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest

from schemas.tasks import Alert
from streams.adapters.cap import NAMESPACE, as_cap

AT = datetime(2026, 11, 25, 8, 30, 1, 500, tzinfo=UTC)


def cap(**more: Any) -> ElementTree.Element:
    alert = Alert(alert_id="a-1", kind="breach", severity="critical", at=AT, text="new task: <zone> & more", **more)
    return ElementTree.fromstring(as_cap(alert, "breachwatch@norfolk.example"))


def value(root: ElementTree.Element, path: str) -> str | None:
    return root.findtext("/".join(f"{{{NAMESPACE}}}{step}" for step in path.split("/")))


def names(element: ElementTree.Element) -> list[str]:
    return [child.tag.removeprefix(f"{{{NAMESPACE}}}") for child in element]


def test_what_cap_asks_for_is_there_in_its_order() -> None:
    root = cap(forces=["Norfolk Constabulary", "BTP"], task_id="t-1", subject_id="S1", to="controller")
    assert names(root) == ["identifier", "sender", "sent", "status", "msgType", "scope", "addresses", "info"]
    info = root[-1]
    before = ["language", "category", "event", "urgency", "severity", "certainty", "headline", "description"]
    assert names(info) == [*before, *["parameter"] * 3]
    assert value(root, "sent") == "2026-11-25T08:30:01-00:00"
    assert value(root, "addresses") == '"Norfolk Constabulary" BTP'
    assert (value(root, "info/urgency"), value(root, "info/severity")) == ("Immediate", "Extreme")
    assert value(root, "info/description") == "new task: <zone> & more"


@pytest.mark.parametrize(("exercise", "status"), [(True, "Exercise"), (False, "Actual")])
def test_an_exercise_says_so(exercise: bool, status: str) -> None:
    assert value(cap(exercise=exercise), "status") == status


def test_what_names_no_force_is_restricted() -> None:
    root = cap()
    assert value(root, "scope") == "Restricted"
    assert value(root, "restriction") == "control rooms"
    assert value(root, "addresses") is None
