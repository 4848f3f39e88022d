"""The dashboards of the rendered chart: every query has data on a real Prometheus that scrapes the real app."""

from __future__ import annotations

import json
import math
import random
import re
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
import yaml
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry, ProcessCollector

from serve.app import create_app
from serve.engine import ScriptedEngine
from serve.metrics import Metrics
from serve.pair import Pair
from serve.router import Router
from serve.settings import load_settings
from tests import needed
from tests.helm.conftest import CHART, Render, of_kind, profile

LABELS = {"namespace": "prod", "job": "demo-route-feedback", "pod": "demo-0"}
VARIABLES = {"$namespace": "prod", "$replica": ".*", "$checkpoint": ".*", "$__rate_interval": "5s"}
TRAFFIC_S = 12
DAY_S = 24 * 3600
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
]


@pytest.mark.parametrize("name", committed())
def test_the_chart_holds_what_the_code_writes(name: str) -> None:
    needed.module("grafana_foundation_sdk", "grafana-foundation-sdk")
    from helm.dashboards import DASHBOARDS, written  # noqa: PLC0415 (it needs that package)

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


def test_every_metric_of_a_query_is_exposed_or_recorded(render: Render, scripted_router: Router) -> None:
    exposed = TestClient(create_app(scripted_router)).get("/metrics").text
    groups = of_kind(render(profile("gpu")), "PrometheusRule")["spec"]["groups"]
    recorded = {rule.get("record") for group in groups for rule in group["rules"]}
    queries = " ".join(str(query.values[0]) for query in QUERIES)
    for name in set(re.findall(r"\broute_feedback[_:][\w:]+", queries)):
        assert name in recorded or re.search(rf"^{name}[{{ ]", exposed, re.MULTILINE), name


@pytest.mark.parametrize("expr", QUERIES)
def test_every_query_has_data_and_no_nan(prometheus: str, expr: str) -> None:
    for name, value in VARIABLES.items():
        expr = expr.replace(name, value)
    answer = httpx.get(f"{prometheus}/api/v1/query", params={"query": expr}).json()
    assert answer["status"] == "success", answer
    values = [float(sample["value"][1]) for sample in answer["data"]["result"]]
    assert values, f"no data: {expr}"
    assert all(map(math.isfinite, values)), f"{values}: {expr}"


@pytest.fixture(scope="module")
def prometheus(render: Render, pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a real Prometheus that has scraped the app under traffic, with the chart's own rules."""
    program, folder = needed.program("prometheus", "prometheus"), tmp_path_factory.mktemp("prometheus")
    groups = of_kind(render(profile("gpu")), "PrometheusRule")["spec"]["groups"]
    _with_a_past(folder, sorted({leaf.path[0] for leaf in pair.taxonomy.leaves}))
    with _app(pair) as app:
        (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [g | {"interval": "1s"} for g in groups]}))
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(_config(app)))
        port = _free_port()
        command = [program, "--config.file=prometheus.yaml", "--storage.tsdb.path=data"]
        command += [f"--web.listen-address=127.0.0.1:{port}", "--storage.tsdb.retention.time=30d"]
        with (folder / "log").open("w") as log, subprocess.Popen(command, cwd=folder, stderr=log) as process:
            try:
                _traffic(app)
                yield f"http://127.0.0.1:{port}"
            finally:
                process.terminate()


def _config(app: str) -> dict[str, Any]:
    target = {"targets": [app.removeprefix("http://")], "labels": {k: LABELS[k] for k in ("namespace", "pod")}}
    return {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": LABELS["job"], "static_configs": [target]}],
    }


def _with_a_past(folder: Path, l1: Sequence[str]) -> None:
    """Eight days of what the rules record every five minutes, as blocks: drift compares with them."""
    now = int(time.time())
    lines = ["# TYPE route_feedback:l1_segments:increase5m gauge"]
    lines += [
        f'route_feedback:l1_segments:increase5m{{namespace="prod",job="{LABELS["job"]}",l1="{name}"}} {10 + number} {at}'
        for number, name in enumerate(l1)
        for at in range(now - 8 * DAY_S, now - 3 * 3600, 3600)
    ]
    (folder / "past").write_text("\n".join([*lines, "# EOF\n"]))
    promtool = needed.program("promtool", "prometheus")
    subprocess.run(
        [promtool, "tsdb", "create-blocks-from", "openmetrics", "past", "data"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip


@contextmanager
def _app(pair: Pair) -> Iterator[str]:
    """The app on an engine that chooses at random, over a real socket."""
    registry, rng = CollectorRegistry(), random.Random(1)
    ProcessCollector(registry=registry)
    engine = ScriptedEngine(pair.automaton, lambda allowed: (rng.choice(allowed), -rng.random() / 4))
    router = Router(pair, engine, load_settings({}), 32_768, Metrics(registry))
    server = uvicorn.Server(uvicorn.Config(create_app(router), port=_free_port(), log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.config.port}"
    server.should_exit = True
    thread.join(30)


def _traffic(app: str) -> None:
    until = time.monotonic() + TRAFFIC_S
    with httpx.Client(base_url=app) as client:
        while time.monotonic() < until:
            answer = client.post("/v1/route", json={"comment": COMMENT})
            assert answer.status_code == 200
            client.post("/v1/route", json={"comment": ""})
            time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
