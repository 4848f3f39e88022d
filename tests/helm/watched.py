"""The app over a real socket, and a real Prometheus that scrapes it under the chart's rules."""

from __future__ import annotations

import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import uvicorn
import yaml
from prometheus_client import CollectorRegistry, ProcessCollector

from serve.engine.protocol import Engine
from serve.http.app import create_app
from serve.routing.active import Active
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import limits_of, metrics_on
from serve.telemetry.metrics import Metrics
from tests.support import requirements

JOB: Final = "demo-route-feedback"
DAY_S: Final = 24 * 3600


@contextmanager
def app(pair: Pair, engine: Engine) -> Iterator[str]:
    """Its host and port."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    metrics = metrics_on(registry).answers
    router = Router(pair, engine, limits_of(load_settings({})), 32_768, metrics)
    with serving(Active(router, metrics), metrics) as address:
        yield address


@contextmanager
def serving(active: Active, metrics: Metrics) -> Iterator[str]:
    """Host and port of the app over it."""
    server = uvicorn.Server(uvicorn.Config(create_app(active, metrics), port=free_port(), log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"127.0.0.1:{server.config.port}"
    finally:
        server.should_exit = True
        thread.join(30)


@contextmanager
def prometheus(
    folder: Path, groups: Sequence[dict[str, Any]], targets: Sequence[str], alertmanager: str | None = None
) -> Iterator[str]:
    """Scrapes and evaluates every second; each target is a pod. `folder` may hold a past."""
    static = [
        {"targets": [target], "labels": {"namespace": "prod", "pod": f"demo-{number}"}}
        for number, target in enumerate(targets)
    ]
    config: dict[str, Any] = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": JOB, "static_configs": static}],
    }
    if alertmanager:
        config["alerting"] = {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    (folder / "rules.yaml").write_text(yaml.safe_dump({"groups": [group | {"interval": "1s"} for group in groups]}))
    listen = f"127.0.0.1:{free_port()}"
    command = [requirements.program("prometheus", "prometheus"), "--config.file=prometheus.yaml"]
    command += ["--storage.tsdb.path=data", "--storage.tsdb.retention.time=30d", f"--web.listen-address={listen}"]
    with running(command, folder):
        yield f"http://{listen}"


@contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[None]:
    """A program that is ended at the end; what it says stands in the folder."""
    with (folder / "log").open("a") as log, subprocess.Popen(command, cwd=folder, stderr=log, stdout=log) as process:
        try:
            yield
        finally:
            process.terminate()


def write_past(folder: Path, segments: Mapping[str, float]) -> None:
    """Eight days of what the rules record every five minutes, by L1, as blocks: drift compares with them."""
    now = int(time.time())
    lines = ["# TYPE route_feedback:l1_segments:increase5m gauge"]
    lines += [
        f'route_feedback:l1_segments:increase5m{{namespace="prod",job="{JOB}",l1="{l1}"}} {count} {at}'
        for l1, count in segments.items()
        for at in range(now - 8 * DAY_S, now - 3 * 3600, 3600)
    ]
    (folder / "past").write_text("\n".join([*lines, "# EOF\n"]))
    promtool = requirements.program("promtool", "prometheus")
    command = [promtool, "tsdb", "create-blocks-from", "openmetrics", "past", "data"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
