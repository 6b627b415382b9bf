"""A row that an older version wrote is read, a newer one is refused, and no field changes without a version."""

import hashlib
from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.core import rows
from streams.core.rows import NewerRowError, dump, load
from streams.core.state import SubjectState

ROW = Path(__file__).with_name("row_version_1.json")
"""As the first release wrote it: an order, a visit and a report, a task that somebody took note of."""
FIELDS = {1: "b44efb6daff6", 2: "6693ba810eb4", 3: "1e48398aefc1", 4: "4ed55139385f"}
"""Version -> a hash of the fields of its rows."""


class Next(SubjectState):
    """A row of a version to come: a field is new, another has another name."""

    remark: str = ""
    stories: list[str] = []


def to_next(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"remark": "from before", "stories": row.get("told", [])}


@pytest.fixture
def next_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "VERSION", rows.VERSION + 1)
    monkeypatch.setattr(rows, "SubjectState", Next)
    monkeypatch.setitem(rows.UPGRADES, rows.VERSION - 1, to_next)


def test_rows_that_version_1_wrote_are_read_as_they_were() -> None:
    state = load(ROW.read_bytes(), "S1")
    assert [order.order_id for order in state.orders.values()] == ["O1"]
    assert len(state.breaches) == 2
    assert [task.state for task in state.tasks] == ["acknowledged"]
    assert orjson.loads(dump(state)) == orjson.loads(ROW.read_bytes()) | {"version": rows.VERSION}


def test_no_field_of_a_row_changes_without_a_version() -> None:
    """If this fails: raise rows.VERSION, add a step to rows.UPGRADES, and the new hash to FIELDS."""
    schema = orjson.dumps(SubjectState.model_json_schema(), option=orjson.OPT_SORT_KEYS)
    assert FIELDS[rows.VERSION] == hashlib.sha256(schema).hexdigest()[:12]


@pytest.mark.usefixtures("next_version")
def test_an_older_row_goes_up_step_by_step_and_is_written_as_the_new_version() -> None:
    state = load(ROW.read_bytes(), "S1")
    assert isinstance(state, Next)
    assert state.remark == "from before"
    assert state.stories == state.told
    again = orjson.loads(dump(state))
    assert again["version"] == rows.VERSION
    assert load(dump(state), "S1") == state


def test_a_newer_row_is_refused_with_what_to_do(next_version: None, monkeypatch: pytest.MonkeyPatch) -> None:
    newer = dump(load(ROW.read_bytes(), "S1"))
    monkeypatch.undo()
    with pytest.raises(NewerRowError, match=r"a row of version 5, and this worker reads up to 4: .* start that"):
        load(newer, "S1")


def test_where_there_is_no_row_a_new_one_begins() -> None:
    assert load(None, "S1") == SubjectState(subject_id="S1")
    assert load(None, "exercise/S1").exercise
