"""`breachwatch policy`: a bad policy is refused in words, and another's decisions are shown."""

import json
from pathlib import Path

import pytest
from builders import NOW, fix, order

from schemas.base import Event
from streams.cli import main
from streams.core import policy as policy_module

DEFAULT = Path(policy_module.__file__).with_name("policy.toml")


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["policy", *words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


def test_the_default_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", str(DEFAULT))
    assert (code, "sound; grades: immediate from 90" in out) == (0, True)


@pytest.mark.parametrize(
    ("was", "becomes", "named"),
    [
        ("gap_s = 600", "gap_s = -1", "visits.gap_s"),
        ("gap_s = 600", "", "visits.gap_s"),
        ("gap_s = 600", "gap_s = 600\nsurprise = 1", "visits.surprise"),
        ("at_least = 60", "at_least = 95", "grades must be listed"),
        ("[visits]", "[visits", "not TOML"),
    ],
)
def test_a_bad_policy_is_refused_and_the_fault_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, was: str, becomes: str, named: str
) -> None:
    file = tmp_path / "bad.toml"
    file.write_text(DEFAULT.read_text("utf-8").replace(was, becomes, 1), "utf-8")
    code, _, err = run(capsys, "check", str(file))
    assert code == 1
    assert named in err
    assert "Traceback" not in err


def test_diff_shows_what_another_policy_would_have_decided(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    milder = tmp_path / "milder.toml"
    milder.write_text(DEFAULT.read_text("utf-8").replace("exclusion_zone = 45", "exclusion_zone = 5", 1), "utf-8")
    events: list[tuple[str, Event]] = [
        ("orders", order(identifiers=[{"kind": "tag", "value": "tag-1"}])),
        ("sightings", fix(NOW)),
    ]
    file = tmp_path / "events.jsonl"
    file.write_text(
        "\n".join(json.dumps({"topic": topic, "value": event.model_dump(mode="json")}) for topic, event in events)
    )
    code, out, _ = run(capsys, "diff", str(DEFAULT), str(DEFAULT), "--events", str(file))
    assert (code, out.strip()) == (0, "0 of 1 tasks differ")
    code, out, _ = run(capsys, "diff", str(DEFAULT), str(milder), "--events", str(file))
    assert code == 0
    assert "1 of 1 tasks differ" in out
    assert "points" in out
