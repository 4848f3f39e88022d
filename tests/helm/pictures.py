"""The dashboards drawn from a real run: `python -m tests.helm.pictures` writes docs/operations/pictures/.

The service runs as users run it, a Prometheus scrapes it under the chart's rules, comments of the bundled corpus are
posted, first few at once and then more than it takes; each panel's queries are asked of that Prometheus and plotted.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import httpx
from matplotlib.figure import Figure

from serve.settings import load_settings
from serve.start import load_pair
from tests.helm import watched
from tests.helm.conftest import CHART, of_kind, profile, rendered
from train.corpus.generator import Corpus, load_phrasebook

OUT: Final = Path("docs/operations/pictures")
VARIABLES: Final = {"$namespace": "prod", "$replica": ".*", "$checkpoint": ".*", "$__rate_interval": "20s"}
LOADS: Final = (2, 8, 48)
"""Comments at once, each for a third of the time."""
AT_ONCE: Final = 16
"""Comments that the service's engine takes, so that the others are seen to wait."""
WRONG: Final = 25
"""Every so many-th request is one that is refused."""
STEP_S: Final = 2
COLUMNS: Final = 3
MOST_LINES: Final = 8
SHOWN: Final = ("service", "engine", "quality", "slo")
"""No checkpoint is activated meanwhile, so that dashboard would show nothing."""


class Line(NamedTuple):
    """One series: times in seconds since the beginning."""

    legend: str
    times: Sequence[float]
    values: Sequence[float]


class Period(NamedTuple):
    """From when to when, in seconds since 1970."""

    start: float
    end: float


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.helm.pictures")
    parser.add_argument("--seconds", type=float, default=120, help="of traffic")
    given = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as name, _service() as address:
        folder = Path(name)
        watched.write_past(folder, {leaf.path[0]: 10 for leaf in load_pair(load_settings({})).taxonomy.leaves})
        rules = of_kind(rendered(profile("gpu")), "PrometheusRule")["spec"]["groups"]
        with watched.prometheus(folder, rules, [address]) as prometheus:
            started = time.time()
            asyncio.run(_traffic(f"http://{address}", given.seconds))
            _draw_all(prometheus, Period(started, time.time()))


def _draw_all(prometheus: str, period: Period) -> None:
    for name in SHOWN:
        dashboard = json.loads((CHART / "dashboards" / f"{name}.json").read_text())
        panels = [panel for panel in dashboard["panels"] if panel["type"] != "row"]
        _draw(
            dashboard["title"],
            [(panel, _series(prometheus, panel, period)) for panel in panels],
            OUT / f"{name}.png",
        )
        print(OUT / f"{name}.png", flush=True)


@contextmanager
def _service() -> Iterator[str]:
    """Host and port of a service that runs as users run it."""
    command = [sys.executable, "-m", "route_feedback", "serve", "--port", "0"]
    environment = os.environ | {"ROUTE_FEEDBACK_MAX_NUM_SEQS": str(AT_ONCE)}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as service:
        assert service.stderr
        said = ""
        while not (ready := re.search(r"ready at http://(\S+)", said)):
            if not (line := service.stderr.readline()):
                raise SystemExit(f"the service did not start:\n{said}")
            said += line
        threading.Thread(target=service.stderr.read, daemon=True).start()
        try:
            yield ready[1]
        finally:
            service.terminate()


async def _traffic(url: str, seconds: float) -> None:
    comments = itertools.cycle(comment.comment for comment in Corpus(load_phrasebook(), "test").comments(800))
    numbers = itertools.count(1)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=None)) as client:

        async def ask(until: float) -> None:
            while time.monotonic() < until:
                text = next(comments) if next(numbers) % WRONG else ""
                await client.post("/v1/route", json={"comment": text})

        for load in LOADS:
            print(f"{load} at once", flush=True)
            until = time.monotonic() + seconds / len(LOADS)
            await asyncio.gather(*(ask(until) for _ in range(load)))


def _series(prometheus: str, panel: Mapping[str, Any], period: Period) -> list[Line]:
    """Of many lines those with the largest values."""
    found = []
    for target in panel["targets"]:
        query = target["expr"]
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        asked = {"query": query, "start": period.start, "end": period.end, "step": STEP_S}
        answer = httpx.get(f"{prometheus}/api/v1/query_range", params=asked, timeout=60).raise_for_status().json()
        for line in answer["data"]["result"]:
            legend = target["legendFormat"]
            for label in re.findall(r"\{\{(\w+)\}\}", legend):
                legend = legend.replace(f"{{{{{label}}}}}", line["metric"].get(label, ""))
            times = [at - period.start for at, _ in line["values"]]
            found.append(Line(legend, times, [float(value) for _, value in line["values"]]))
    if not found:
        raise SystemExit(f"no data: {panel['title']}")
    return sorted(found, key=lambda line: -max(line.values))[:MOST_LINES]


def _draw(title: str, panels: Sequence[tuple[Mapping[str, Any], Sequence[Line]]], out: Path) -> None:
    rows = -(-len(panels) // COLUMNS)
    figure = Figure(figsize=(13, 2.6 * rows), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(rows, COLUMNS, squeeze=False).flat
    for axis in axes[len(panels) :]:
        axis.axis("off")
    for axis, (panel, lines) in zip(axes, panels, strict=False):
        for line in lines:
            axis.plot(line.times, line.values, linewidth=1, label=line.legend)
        axis.set_title(f"{panel['title']} ({panel['fieldConfig']['defaults']['unit']})", fontsize=8)
        axis.tick_params(labelsize=6)
        values = [0.0, *(value for line in lines for value in line.values)]
        axis.set_ylim(min(values), max(values) + (max(values) - min(values) or 1) / 10)
        axis.legend(fontsize=5, loc="upper left")
    figure.savefig(out, dpi=80)


if __name__ == "__main__":
    main()
