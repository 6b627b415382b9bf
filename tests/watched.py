"""What `deploy/` has people watch: the rules, the dashboards' queries, and what each of them asks for.

A query on a series or a label that does not exist gives nothing, and is never an error: an alert on it would be
silent for ever. So expressions are parsed, and each name and label is looked up.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml
from prometheus_client.metrics import MetricWrapperBase

from streams import metrics

DEPLOY = Path(__file__).parents[1] / "deploy"
PROMETHEUS, ALERTMANAGER = DEPLOY / "prometheus", DEPLOY / "alertmanager"
JOBS = {job["job_name"] for job in yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())["scrape_configs"]}
OURS = JOBS - {"prometheus", "alertmanager"}
"""The jobs that are breachwatch processes."""

OF_A_TARGET = {"job", "instance"}
"""Labels that Prometheus gives to whatever it scrapes."""
OF_OTHERS: dict[str, set[str]] = {
    "up": set(),
    "scrape_samples_scraped": set(),
    "prometheus_notifications_alertmanagers_discovered": set(),
    "prometheus_notifications_errors_total": {"alertmanager"},
    "prometheus_notifications_dropped_total": set(),
    "prometheus_rule_evaluation_failures_total": {"rule_group"},
    "prometheus_rule_group_iterations_missed_total": {"rule_group"},
    "prometheus_config_last_reload_successful": set(),
    "alertmanager_config_last_reload_successful": set(),
    "alertmanager_notifications_failed_total": {"integration"},
}
"""Series of Prometheus and Alertmanager that we use, and their labels; the real ones are asked in test_watching."""


@dataclass(frozen=True)
class Rule:
    """One rule; `name` is the alert's, or the series' that it records."""

    name: str
    is_alert: bool
    expr: str
    file: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Query:
    """One query of a panel."""

    dashboard: str
    panel: str
    expr: str
    legend: str

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}: {self.expr}"


def rules() -> list[Rule]:
    return [
        Rule(
            rule.get("alert") or rule["record"],
            "alert" in rule,
            rule["expr"],
            file.stem,
            rule.get("labels", {}),
            rule.get("annotations", {}),
        )
        for file in sorted((PROMETHEUS / "rules").glob("*.yml"))
        for group in yaml.safe_load(file.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts() -> list[Rule]:
    return [rule for rule in rules() if rule.is_alert]


def dashboards() -> dict[str, dict[str, Any]]:
    """By file name, without its ending."""
    return {
        file.stem: json.loads(file.read_text()) for file in sorted((DEPLOY / "grafana/dashboards").glob("*.json"))
    }


def queries() -> list[Query]:
    return [
        Query(name, panel["title"], target["expr"], target.get("legendFormat", ""))
        for name, dashboard in dashboards().items()
        for panel in dashboard["panels"]
        for target in panel["targets"]
    ]


# -- what series there are ---------------------------------------------------------------------------------


def our_series() -> dict[str, set[str]]:
    """Series of `streams.metrics` -> its labels."""
    found: dict[str, set[str]] = {}
    for metric in vars(metrics).values():
        if isinstance(metric, MetricWrapperBase):
            found |= _series(metric)
    return found


def _series(metric: MetricWrapperBase) -> dict[str, set[str]]:
    name, labels = metric._name, set(metric._labelnames)
    match metric._type:
        case "counter":
            return {f"{name}_total": labels}
        case "histogram":
            return {f"{name}_bucket": labels | {"le"}, f"{name}_count": labels, f"{name}_sum": labels}
        case "info":
            return {f"{name}_info": labels | {"version", "python", "role"}}
        case _:
            return {name: labels}


@cache
def known_series() -> dict[str, set[str]]:
    """Every series that a query may ask for, recorded ones too -> its labels."""
    known = {name: labels | OF_A_TARGET for name, labels in (our_series() | OF_OTHERS).items()}
    for rule in rules():
        if not rule.is_alert:
            recorded = labels_of(promql.parse(rule.expr), known) | set(rule.labels)
            known[rule.name] = recorded | known.get(rule.name, set())
    known["ALERTS"] = {"alertname", "alertstate", "severity", "team"}.union(*known.values())
    return known


# -- what a query asks for ---------------------------------------------------------------------------------


def selectors(expr: Any) -> Iterator[Any]:
    """Each selector of a parsed expression: its `name`, and in `matchers.matchers` what its labels must be."""
    if isinstance(expr, promql.VectorSelector):
        yield expr
    for child in _children(expr):
        yield from selectors(child)


def names(expr: str) -> set[str]:
    """The series that an expression asks for."""
    return {selector.name for selector in selectors(promql.parse(expr))}


def _children(expr: Any) -> list[Any]:
    if isinstance(expr, promql.Call):
        return list(expr.args)
    parts = (getattr(expr, name, None) for name in ("lhs", "rhs", "expr", "vector_selector"))
    return [part for part in parts if part is not None and not isinstance(part, str)]


def labels_of(expr: Any, known: Mapping[str, set[str]]) -> set[str]:
    """The labels that the answer of a parsed expression may have.

    Raises LookupError for a series that is not known, and for a label that what it is asked of does not have.
    """
    match expr:
        case promql.VectorSelector():
            if expr.name not in known:
                raise LookupError(f"no series {expr.name}")
            _must_have({matcher.name for matcher in expr.matchers.matchers}, known[expr.name], expr)
            return known[expr.name]
        case promql.AggregateExpr():
            inner = labels_of(expr.expr, known)
            if expr.modifier is None:
                return set()
            named = set(expr.modifier.labels)
            _must_have(named, inner, expr)
            return named if expr.modifier.type == promql.AggModifierType.By else inner - named
        case promql.Call():
            found = set().union(*(labels_of(arg, known) for arg in expr.args))
            match expr.func.name:
                case "absent":
                    return _stated(expr.args[0])
                case "histogram_quantile":
                    _must_have({"le"}, found, expr)
                    return found - {"le"}
            return found
        case promql.BinaryExpr():
            left, right = labels_of(expr.lhs, known), labels_of(expr.rhs, known)
            if expr.modifier is not None and expr.modifier.matching is not None:
                named = set(expr.modifier.matching.labels)
                _must_have(named, left, expr)
                _must_have(named, right, expr)
            return left | right if str(expr.op) == "or" else left or right
        case _:
            return set().union(*(labels_of(child, known) for child in _children(expr)))


def _stated(expr: Any) -> set[str]:
    """What absent() knows of what is not there: what its selector says with `=`."""
    if not isinstance(expr, promql.VectorSelector):
        return set()
    return {matcher.name for matcher in expr.matchers.matchers if matcher.op == promql.MatchOp.Equal}


def _must_have(wanted: set[str], there: set[str], expr: Any) -> None:
    if missing := wanted - there:
        raise LookupError(f"no label {', '.join(sorted(missing))} in {expr.prettify().strip()}")
