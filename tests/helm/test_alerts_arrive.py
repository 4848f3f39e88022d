"""Each alert, from a fault in the real app through a real Prometheus and Alertmanager to a webhook."""

from __future__ import annotations

import asyncio
import http.server
import json
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from serve.activation.activation import ActivationRequest
from serve.engine.protocol import Decoded, ScriptedEngine, Task
from serve.registry.registry import Registry
from serve.registry.store import Directory
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings
from taxonomy.errors import EngineFailed
from taxonomy.labels import CheckpointId
from tests.helm import watched
from tests.helm.conftest import Render, of_kind, profile
from tests.support import requirements
from tests.support.two_checkpoints import TwoCheckpoints, two_checkpoints

ONCE = "Delivery - Shipping and Logistics"
GONE = {"RouteFeedbackTargetDown", "RouteFeedbackTargetMissing"}
SLOW_S = 0.3
pytestmark = pytest.mark.timeout(120)


class Faulty(ScriptedEngine):
    """Unsure and slow; ends its answer to a long comment early, which is a violation."""

    async def decode(self, task: Task) -> Decoded:
        await asyncio.sleep(SLOW_S)
        return Decoded((), ()) if len(task.chunks) > 1 else await super().decode(task)


def test_every_alert_arrives_with_its_runbook(render: Render, pair: Pair, settings: Settings, tmp_path: Path) -> None:
    groups = _groups(render)
    alerts = {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}
    # Once all wrote about one thing; now the engine chooses at random.
    watched.write_past(tmp_path, {leaf.path[0]: 0.001 for leaf in pair.taxonomy.leaves} | {ONCE: 10})
    rng = random.Random(1)
    engine = Faulty(pair.automaton, lambda allowed: (rng.choice(allowed), -2.0))
    other = replace(pair, model=replace(pair.model, checkpoint=CheckpointId("ck_other")))
    with _alertmanager(tmp_path) as (address, arrived), ExitStack() as apps:
        first = apps.enter_context(watched.app(pair, engine))
        second = apps.enter_context(watched.app(other, engine))
        two = two_of(tmp_path, settings)
        third = apps.enter_context(watched.serving(two.active, two.metrics.answers))
        with watched.prometheus(tmp_path, groups, [first, second, third], address):
            with httpx.Client(base_url=f"http://{first}") as client:
                while _missing(alerts - GONE, arrived):
                    client.post("/v1/route", json={"comment": "late"})
                    fail_an_activation(two)
                    client.post("/v1/route", json={"comment": "It came late. The picture is blurry."})
            apps.close()  # from now on nothing can be scraped
            while _missing(alerts, arrived):
                time.sleep(0.2)
    for name, alert in arrived.items():
        assert alert["annotations"]["runbook_url"] == f"https://runbooks.example/{name}.md"
        assert "{{" not in alert["annotations"]["summary"]


def two_of(folder: Path, settings: Settings) -> TwoCheckpoints:
    """A registry with two checkpoints, and what activates them."""
    names = two_checkpoints(folder, settings)
    return TwoCheckpoints(Registry(Directory(folder / "registry")), settings, *names)


def fail_an_activation(two: TwoCheckpoints) -> None:
    """The engine on the other checkpoint does not start."""

    async def load(_: Pair) -> Router:
        raise EngineFailed("no memory for a second engine")

    with pytest.raises(EngineFailed):
        asyncio.run(two.activator_on(load).activate(ActivationRequest(two.second, "test")))


def _groups(render: Render) -> list[dict[str, Any]]:
    """The chart's rules, but none of them waits."""
    values = profile("gpu") | {"slo": {"latencySeconds": "0.25"}}
    values["monitoring"] |= {"driftSegments": 0, "runbooks": "https://runbooks.example"}
    groups = of_kind(render(values), "PrometheusRule")["spec"]["groups"]
    return [
        group | {"rules": [{name: v for name, v in rule.items() if name != "for"} for rule in group["rules"]]}
        for group in groups
    ]


def _missing(alerts: set[str], arrived: Mapping[str, Any]) -> set[str]:
    return alerts - arrived.keys()


@contextmanager
def _alertmanager(folder: Path) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """The address of a real Alertmanager, and what arrives at its webhook, by alert."""
    program = requirements.program("prometheus-alertmanager", "prometheus-alertmanager")
    arrived: dict[str, dict[str, Any]] = {}

    class Hook(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            arrived.update({a["labels"]["alertname"]: a for a in body["alerts"] if a["status"] == "firing"})
            self.send_response(200)
            self.end_headers()

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook) as hook:
        threading.Thread(target=hook.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{hook.server_port}"
        config = {
            "route": {"receiver": "hook", "group_by": ["alertname"], "group_wait": "0s", "group_interval": "1s"},
            "receivers": [{"name": "hook", "webhook_configs": [{"url": url}]}],
        }
        (folder / "alertmanager.yaml").write_text(yaml.safe_dump(config))
        address = f"127.0.0.1:{watched.free_port()}"
        command = [program, "--config.file=alertmanager.yaml", "--storage.path=silences"]
        command += [f"--web.listen-address={address}", "--cluster.listen-address="]
        with watched.running(command, folder):
            yield address, arrived
        hook.shutdown()
