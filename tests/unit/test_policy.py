"""The policy file: the shipped one is sound, and a bad one is refused in words that say where and what."""

from pathlib import Path

import pytest
from builders import POLICY

from schemas.orders import Marker
from schemas.tasks import Certainty
from streams.core import policy
from streams.core.policy import load_policy
from streams.errors import BreachwatchError

SHIPPED = Path(policy.__file__).with_name("policy.toml").read_text("utf-8")


def refused(path: Path, text: str | bytes) -> str:
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text, "utf-8")
    with pytest.raises(BreachwatchError) as caught:
        load_policy(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def changed(old: str, new: str) -> str:
    assert SHIPPED.count(old) == 1, old
    return SHIPPED.replace(old, new)


def test_the_shipped_policy_names_all_that_scores() -> None:
    assert set(POLICY.scores.certainty) == {str(certainty) for certainty in Certainty}
    assert set(POLICY.scores.risk) == {"standard", "medium", "high", "unknown"}
    assert set(POLICY.scores.marker) == {str(marker) for marker in Marker}
    assert POLICY.scores.risk["unknown"] >= POLICY.scores.risk["high"]
    assert {"exclusion_zone", "no_contact", "distance", "unspecified", "notify"} <= set(POLICY.scores.term)


def test_a_copy_of_it_loads(tmp_path: Path) -> None:
    path = tmp_path / "force.toml"
    path.write_text(changed('version = "default-1"', 'version = "wyp-7"'), "utf-8")
    assert load_policy(path).version == "wyp-7"
    assert load_policy(path).visits == POLICY.visits


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "visits: Field required"),
        ("= 1", "not TOML"),
        (b"\xff\xfe", "not TOML"),
        (changed("enter_fixes = 1\n", "enter_fixes = 0\n"), "visits.enter_fixes"),
        (changed("enter_fixes = 1\n", ""), "visits.enter_fixes: Field required"),
        (changed("leave_fixes = 3\n", "leave_fixes = 3\nleave_fixs = 2\n"), "visits.leave_fixs"),
        (changed("gap_s = 600\n", "gap_s = -1\n"), "visits.gap_s"),
        (changed("gap_s = 600\n", 'gap_s = "ten minutes"\n'), "visits.gap_s"),
        (changed("gap_s = 600\n", "gap_s = nan\n"), "visits.gap_s"),
        (changed("horizon_s = 604800\n", "horizon_s = inf\n"), "limits.horizon_s"),
        (changed("exclusion_zone = 45\n", "exclusion_zone = 1000\n"), "scores.term.exclusion_zone"),
        (changed("unspecified = 30\n", ""), "unspecified"),
        (changed("possible = 0\n", ""), "possible"),
        (changed("unknown = 25\n", ""), "unknown"),
        (changed("unknown = 25\n", "unknown = 5\n"), "unknown"),
        (changed("at_least = 90\n", "at_least = 50\n"), "highest at_least down"),
        (changed("at_least = 90\n", "at_least = 60\n"), "none twice"),
        (changed('name = "immediate"', 'name = "priority"'), "the same name"),
        (changed('name = "immediate"', 'name = "Grade 1!"'), "name"),
        (changed('version = "default-1"', 'version = ""'), "version"),
        (SHIPPED[: SHIPPED.index("[[grades]]")], "grades: Field required"),
    ],
    ids=range(21),
)
def test_a_bad_policy_is_refused_in_words(tmp_path: Path, text: str | bytes, says: str) -> None:
    assert says in refused(tmp_path / "policy.toml", text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(BreachwatchError, match="cannot be read"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(BreachwatchError, match="cannot be read"):
        load_policy(tmp_path)


@pytest.mark.parametrize(
    ("score", "grade"), [(90, "immediate"), (89, "priority"), (60, "priority"), (59, "prompt"), (-50, "prompt")]
)
def test_the_grade_of_a_score(score: int, grade: str) -> None:
    assert POLICY.grade_for(score).name == grade
