"""The dashboards: what Grafana needs of each panel, and that its queries ask for what exists."""

import re

import promql_parser as promql
import pytest
import watched
from watched import Query

DASHBOARDS = watched.dashboards()
PANELS = [(name, panel) for name, dashboard in DASHBOARDS.items() for panel in dashboard["panels"]]


def test_there_is_one_for_each_who_watches() -> None:
    assert set(DASHBOARDS) == {"control-room", "pipeline", "upstream"}
    assert [dashboard["uid"] for dashboard in DASHBOARDS.values()] == [f"breachwatch-{name}" for name in DASHBOARDS]
    assert len({dashboard["title"] for dashboard in DASHBOARDS.values()}) == len(DASHBOARDS)


def test_titles_of_panels_are_unique() -> None:
    titles = [panel["title"] for _, panel in PANELS]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize(("name", "panel"), PANELS, ids=[f"{name}: {panel['title']}" for name, panel in PANELS])
def test_a_panel_says_what_it_shows(name: str, panel: dict[str, object]) -> None:
    assert panel["description"]
    assert panel["datasource"] == {"type": "prometheus", "uid": "${datasource}"}
    assert panel["fieldConfig"]["defaults"]["unit"]
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    [chosen] = DASHBOARDS[name]["templating"]["list"]
    assert (chosen["name"], chosen["type"], chosen["query"]) == ("datasource", "datasource", "prometheus")


@pytest.mark.parametrize("name", DASHBOARDS)
def test_panels_do_not_lie_on_each_other(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARDS[name]["panels"]:
        at = panel["gridPos"]
        fields = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not taken & fields, panel["title"]
        taken |= fields


@pytest.mark.parametrize("query", watched.queries(), ids=str)
def test_a_query_asks_for_series_and_labels_that_exist(query: Query) -> None:
    has = watched.labels_of(promql.parse(query.expr), watched.known_series())
    assert set(re.findall(r"{{(\w+)}}", query.legend)) <= has
