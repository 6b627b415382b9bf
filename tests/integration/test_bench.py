"""The bench measures what it says, on a broker of its own. How fast anything is depends on the machine."""

import json
from pathlib import Path

import pytest
from harness import Run, runner

from streams.bench.ground import Spread
from streams.bench.latency import Percentiles
from streams.bench.run import compared
from streams.settings import Settings


@pytest.fixture
def breachwatch(monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]) -> Run:
    return runner(Settings(), monkeypatch, capsysbinary)


def test_one_run_measures_every_part_beside_its_floor(tmp_path: Path, breachwatch: Run) -> None:
    history = tmp_path / "runs.jsonl"
    code, out, err = breachwatch("bench", "--quick", "--repeats", "1", "--json", "--history", str(history))
    assert code == 0, err
    run = json.loads(out)
    assert run["gate_ratio"] == pytest.approx(run["gate"]["per_s"][0] / run["gate"]["floor_per_s"][0])
    assert run["assess_ratio"] == pytest.approx(run["assess"]["per_s"][0] / run["assess"]["floor_per_s"][0])
    assert run["assess"]["sends_per_event"] >= 2, "a row and a record of each fix"
    assert set(run["latency_ms"]) == {"0", "200"}
    for found in (*run["latency_ms"].values(), *run["latency_floor_ms"].values()):
        assert 0 < found["p50"] <= found["p95"] <= found["p99"]
    assert sum(run["latency_stages_ms"]["200"].values()) > run["latency_floor_ms"]["200"]["p50"] / 2
    assert "reads a second and core" in err
    assert json.loads(history.read_text()) == run


def test_a_part_that_is_not_one_is_named(breachwatch: Run) -> None:
    code, _, err = breachwatch("bench", "--only", "gates")
    assert code == 1
    assert "--only gates: the parts are gate, assess, latency, overload, growth" in err


def test_a_run_is_compared_with_the_one_before() -> None:
    now, before = {"gate_ratio": 0.71}, {"gate_ratio": 0.655, "assess_ratio": 0.4, "at": "2026-11-26T12:00:00"}
    assert list(compared(now, before)) == ["gate_ratio: 0.71, before 0.66 (2026-11-26T12:00)"]


def test_a_spread_shows_its_middle_and_its_ends() -> None:
    assert str(Spread.of([0.5, 0.9, 0.6])) == "0.60 (0.50 to 0.90)"
    assert str(Spread.of([71_959, 84_271])) == "78,115 (71,959 to 84,271)"


def test_percentiles_are_milliseconds() -> None:
    found = Percentiles.of([number / 1000 for number in range(1, 101)])
    assert str(found) == "p50 50.5, p95 95.1, p99 99.0 ms"
