"""The dashboards of the rendered chart: every query has data on a real Prometheus that scrapes the real app."""

from __future__ import annotations

import json
import math
import random
import re
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import httpx
import pytest
from fastapi.testclient import TestClient

from serve.engine.protocol import ScriptedEngine
from serve.routing.pair import Pair
from serve.routing.router import Router
from taxonomy.bundled import BUNDLED_TAXONOMY
from tests.conftest import Live
from tests.helm import watched
from tests.helm.conftest import CHART, Render, of_kind, profile
from tests.support import requirements
from tests.support.apps import app_on

VARIABLES = {"$namespace": "prod", "$replica": ".*", "$checkpoint": ".*", "$__rate_interval": "5s"}
TRAFFIC_S = 12
LARGEST_MAP = 2**20
COMMENT = "I bought it in May. The picture is blurry. It came late."


def committed() -> dict[str, dict[str, Any]]:
    return {file.stem: json.loads(file.read_text()) for file in sorted((CHART / "dashboards").glob("*.json"))}


def panels(dashboard: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in dashboard["panels"] if panel["type"] != "row"]


QUERIES = [
    pytest.param(target["expr"], id=f"{name}: {panel['title']}: {target['legendFormat']}")
    for name, dashboard in committed().items()
    for panel in panels(dashboard)
    for target in panel["targets"]
] + [
    pytest.param(annotation["expr"], id=f"{name}: {annotation['name']}")
    for name, dashboard in committed().items()
    for annotation in dashboard["annotations"]["list"]
]


@pytest.mark.parametrize("name", committed())
def test_the_chart_holds_what_the_code_writes(name: str) -> None:
    requirements.module("grafana_foundation_sdk", "grafana-foundation-sdk")
    from helm.dashboards.build import DASHBOARDS, written  # noqa: PLC0415 (it needs that package)

    assert set(committed()) == set(DASHBOARDS)
    assert (CHART / "dashboards" / f"{name}.json").read_text() == written(name), "python -m helm.dashboards writes it"


@pytest.mark.parametrize("name", committed())
def test_every_panel_says_what_it_shows_in_which_unit(name: str) -> None:
    dashboard = committed()[name]
    assert dashboard["uid"] == f"route-feedback-{name}"
    assert {v["name"] for v in dashboard["templating"]["list"]} == {"source", "namespace", "checkpoint", "replica"}
    assert dashboard["links"][0]["tags"] == dashboard["tags"]
    for panel in panels(dashboard):
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        ids = [target["refId"] for target in panel["targets"]]
        assert ids
        assert len(set(ids)) == len(ids)


def test_the_rendered_chart_has_each_dashboard_whole(render: Render) -> None:
    manifests = render({"monitoring": {"dashboards": True}})
    maps = [m for m in manifests if m["metadata"]["labels"].get("grafana_dashboard") == "1"]
    data = {name: json.loads(text) for m in maps for name, text in m["data"].items()}
    assert data == {f"demo-route-feedback-{name}.json": dashboard for name, dashboard in committed().items()}


def test_no_config_map_is_larger_than_kubernetes_takes(render: Render) -> None:
    manifests = render({"monitoring": {"dashboards": True}, "taxonomy": BUNDLED_TAXONOMY.read_text()})
    maps = [manifest for manifest in manifests if manifest["kind"] == "ConfigMap"]
    assert len(maps) == len(committed()) + 1
    for each in maps:
        assert sum(len(name.encode()) + len(text.encode()) for name, text in each["data"].items()) < LARGEST_MAP, each


def test_every_metric_of_a_query_is_exposed_or_recorded(render: Render, scripted_router: Router) -> None:
    exposed = TestClient(app_on(scripted_router)).get("/metrics").text
    groups = of_kind(render(profile("gpu")), "PrometheusRule")["spec"]["groups"]
    recorded = {rule.get("record") for group in groups for rule in group["rules"]}
    queries = " ".join(str(query.values[0]) for query in QUERIES)
    for name in set(re.findall(r"\broute_feedback[_:][\w:]+", queries)):
        assert name in recorded or re.search(rf"^{name}[{{ ]", exposed, re.MULTILINE), name


class Scraped(NamedTuple):
    """A real Prometheus's address, and until when the app that it scrapes had traffic (seconds since 1970)."""

    prometheus: str
    until: float


@pytest.mark.parametrize("expr", QUERIES)
def test_every_query_has_data_and_no_nan(scraped: Scraped, expr: str) -> None:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    asked: dict[str, str | float] = {"query": expr, "time": scraped.until}
    answer = httpx.get(f"{scraped.prometheus}/api/v1/query", params=asked, timeout=60).json()
    assert answer["status"] == "success", answer
    values = [float(sample["value"][1]) for sample in answer["data"]["result"]]
    assert values, f"no data: {expr}"
    assert all(map(math.isfinite, values)), f"{values}: {expr}"


@pytest.fixture(scope="module")
def scraped(render: Render, pair: Pair, live: Live, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraped]:
    """Two pods, of which one has a real engine, under the chart's own rules."""
    requirements.program("prometheus", "prometheus")
    folder, rng = tmp_path_factory.mktemp("prometheus"), random.Random(1)
    groups = of_kind(render(profile("gpu")), "PrometheusRule")["spec"]["groups"]
    watched.write_past(folder, {leaf.path[0]: 10 for leaf in pair.taxonomy.leaves})
    engine = ScriptedEngine(pair.automaton, lambda allowed: (rng.choice(allowed), -rng.random() / 4))
    real = live.url.removeprefix("http://")
    with watched.app(pair, engine) as app, watched.prometheus(folder, groups, [app, real]) as address:
        until = time.monotonic() + TRAFFIC_S
        with httpx.Client(timeout=60) as client:
            while time.monotonic() < until:
                for url in (f"http://{app}", live.url):
                    assert client.post(f"{url}/v1/route", json={"comment": COMMENT}).status_code == 200
                client.post(f"http://{app}/v1/route", json={"comment": ""})
                time.sleep(0.05)
        yield Scraped(address, time.time())
