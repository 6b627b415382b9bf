"""The alert rules: each can fire, says what it must, is shown firing and not firing, and the runbook knows it."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from itertools import pairwise

import promql_parser as promql
import pytest
import watched
import yaml
from watched import ALERTMANAGER, DEPLOY, PROMETHEUS, Rule

from streams.core.policy import load_policy
from streams.kafka.topics import BY_NAME

ALERTS = watched.alerts()
RUNBOOK = (DEPLOY / "runbook.md").read_text("utf-8")
FIELDS = ["Means", "Look", "Do", "Owner"]

each_alert = pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert.name))


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"Debian's package with {program} is not there")


def run(*words: object) -> None:
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# -- what a rule is ----------------------------------------------------------------------------------------


def test_names_of_alerts_are_unique() -> None:
    assert len({alert.name for alert in ALERTS}) == len(ALERTS) >= 40


@each_alert
def test_it_says_what_it_must(alert: Rule) -> None:
    assert set(alert.labels) == {"severity", "team"}
    assert alert.labels["severity"] in ({"heartbeat"} if alert.name == "Watchdog" else {"page", "ticket"})
    assert alert.labels["team"] in {"platform", "control-room"}
    assert set(alert.annotations) == {"summary", "description", "runbook_url"}
    assert alert.annotations["runbook_url"] == f"deploy/runbook.md#{alert.name.lower()}"


@pytest.mark.parametrize("rule", watched.rules(), ids=lambda rule: str(rule.name))
def test_it_asks_for_series_and_labels_that_exist(rule: Rule) -> None:
    watched.labels_of(promql.parse(rule.expr), watched.known_series())


@each_alert
def test_its_texts_name_labels_that_it_has(alert: Rule) -> None:
    named = set(re.findall(r"\$labels\.(\w+)", " ".join(alert.annotations.values())))
    assert named <= watched.labels_of(promql.parse(alert.expr), watched.known_series())


def test_a_series_that_does_not_exist_is_found() -> None:
    known = watched.known_series()
    for expr in ("breachwatch_no_such_thing", 'up{device="1"}', "sum by (plate) (up)", "up and on (plate) up"):
        with pytest.raises(LookupError):
            watched.labels_of(promql.parse(expr), known)


def _values() -> Iterator[tuple[str, str, str]]:
    """Which value of which label is asked for, by the expression."""
    for expr in [rule.expr for rule in watched.rules()] + [query.expr for query in watched.queries()]:
        for selector in watched.selectors(promql.parse(expr)):
            for matcher in selector.matchers.matchers:
                for value in matcher.value.split("|"):
                    yield matcher.name, value, expr


def test_values_of_labels_that_are_asked_for_exist() -> None:
    policy = load_policy()
    buckets = {"5.0", "48000.0"}
    exist = {
        "job": watched.JOBS,
        "topic": set(BY_NAME),
        "grade": {grade.name for grade in policy.grades},
        "to": {to for grade in policy.grades for to in grade.escalate_after_s},
        "le": buckets,
        "group": {"breachwatch", "breachwatch-gate"},
        "severity": {"page", "ticket", "heartbeat"},
    }
    asked = list(_values())
    assert {name for name, *_ in asked} >= set(exist)
    for name, value, expr in asked:
        assert value in exist.get(name, {value}), f"no {name} is {value}: {expr}"


@pytest.mark.parametrize(("series", "bound"), [("EVENT_TO_TASK", 5.0), ("ROW_BYTES", 48_000.0)])
def test_buckets_that_are_asked_for_exist(series: str, bound: float) -> None:
    assert bound in getattr(watched.metrics, series)._upper_bounds


@pytest.mark.parametrize(
    "alert", [alert for alert in ALERTS if alert.name.startswith("Canary")], ids=lambda a: a.name
)
def test_a_silence_of_a_process_cannot_match_the_canary(alert: Rule) -> None:
    has = watched.labels_of(promql.parse(alert.expr), watched.known_series())
    assert not has & watched.OF_A_TARGET


# -- promtool ----------------------------------------------------------------------------------------------


@needs("promtool")
def test_prometheus_accepts_configuration_and_rules() -> None:
    run("promtool", "check", "config", PROMETHEUS / "prometheus.yml")


@needs("promtool")
@pytest.mark.parametrize("file", sorted((PROMETHEUS / "tests").glob("*.yml")), ids=lambda file: file.stem)
def test_alerts_fire_as_stated(file: object) -> None:
    run("promtool", "test", "rules", file)


@each_alert
def test_it_is_shown_firing_and_not_firing(alert: Rule) -> None:
    shown = [
        bool(expected["exp_samples"])
        for case in yaml.safe_load((PROMETHEUS / f"tests/{alert.file}.yml").read_text())["tests"]
        for expected in case["promql_expr_test"]
        if re.search(rf'ALERTS{{alertname="{alert.name}",alertstate="firing"}}', expected["expr"])
    ]
    assert set(shown) == ({True} if alert.name == "Watchdog" else {True, False})


# -- the runbook -------------------------------------------------------------------------------------------


def _section(name: str) -> str:
    found = re.search(rf"^### {name}\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert found, f"deploy/runbook.md has no section {name}"
    return found[1]


@each_alert
def test_the_runbook_says_what_it_means_and_what_to_do(alert: Rule) -> None:
    text = _section(alert.name)
    places = [text.find(f"**{name}**") for name in FIELDS]
    assert all(a < b for a, b in pairwise([-1, *places])), f"{alert.name}: {FIELDS}, in this order"
    for name in FIELDS:
        said = re.search(rf"\*\*{name}\*\*(.*?)(?=\n- \*\*|\Z)", text, re.DOTALL)
        assert said is not None
        assert len(said[1].split()) >= 2, f"{alert.name} says nothing under {name}"
    team = alert.labels["team"].replace("-", " ").capitalize()
    assert re.search(rf"\*\*Owner\*\* {team}, (at once|today|within|by the)", text), "who owns it, and by when"


def test_the_runbook_has_no_alert_that_is_none() -> None:
    _, _, part = RUNBOOK.partition("## Alerts\n")
    assert set(re.findall(r"^### (\w+)$", part, re.MULTILINE)) == {alert.name for alert in ALERTS}


# -- Alertmanager ------------------------------------------------------------------------------------------

ALERTMANAGER_FILE = ALERTMANAGER / "alertmanager.yml"
ROUTED = yaml.safe_load(ALERTMANAGER_FILE.read_text())
RECEIVERS = {
    ("heartbeat", "platform"): "dead-mans-switch",
    ("page", "platform"): "page-platform",
    ("page", "control-room"): "page-control-room",
    ("ticket", "platform"): "tickets",
    ("ticket", "control-room"): "tickets",
    ("of a kind that nobody knows", "platform"): "page-platform",
}


@needs("amtool")
def test_alertmanager_accepts_its_configuration() -> None:
    run("amtool", "check-config", ALERTMANAGER_FILE)


@needs("amtool")
@pytest.mark.parametrize(("severity", "team"), RECEIVERS)
def test_an_alert_goes_to_whom_it_is_for(severity: str, team: str) -> None:
    routes = ["amtool", "config", "routes", "test", "--config.file", ALERTMANAGER_FILE]
    run(*routes, f"--verify.receivers={RECEIVERS[severity, team]}", f"severity={severity}", f"team={team}")


def test_what_is_inhibited_by_what_exists() -> None:
    names = {alert.name for alert in ALERTS}
    for rule in ROUTED["inhibit_rules"]:
        for matcher in rule["source_matchers"] + rule["target_matchers"]:
            label, value = re.fullmatch(r'(\w+) =~? "?([^"]+)"?', matcher).groups()
            assert set(value.split("|")) <= {"alertname": names, "job": watched.OURS}[label], matcher


def test_nothing_holds_back_the_canary_or_the_dead_mans_switch() -> None:
    """Nor any page for the time of day."""
    targets = " ".join(matcher for rule in ROUTED["inhibit_rules"] for matcher in rule["target_matchers"])
    assert not re.search("Canary|Watchdog", targets)
    muted = [route for route in [ROUTED["route"], *ROUTED["route"]["routes"]] if "mute_time_intervals" in route]
    assert [route["receiver"] for route in muted] == ["tickets"]
    assert "active_time_intervals" not in ALERTMANAGER_FILE.read_text()


def test_secrets_are_files() -> None:
    for receiver in ROUTED["receivers"]:
        for hook in receiver["webhook_configs"]:
            assert hook["http_config"]["authorization"]["credentials_file"].startswith("secrets/")
    assert not re.search(r"credentials:|password:", ALERTMANAGER_FILE.read_text())
