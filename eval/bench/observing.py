"""`bench observing`: what metrics, traces and scrapes cost in throughput: the same service with and without them.

Two services in one process, each with an engine of its own, asked through the whole HTTP app in turns. With: our
metrics, vLLM's statistics, a span for every stage of every request sent to a collector, and a scrape a second. Without:
none of it is counted, timed or sent.
"""

from __future__ import annotations

import asyncio
import http.server
import itertools
import os
import statistics
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final, Self

import httpx
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry

from eval.bench.machine import Machine, this_machine
from serve.http.app import create_app
from serve.routing.active import Active
from serve.routing.answer import Answer
from serve.routing.observer import UNOBSERVED, Stage
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import first_pair, start_router
from serve.telemetry.metrics import Metrics
from serve.telemetry.traces import tracing
from taxonomy.labels import CheckpointId

SCRAPES_S: Final = 1.0
WITHOUT, WITH = SYSTEMS = ("without", "with")
Start = Callable[[Metrics], Awaitable[Router]]


@dataclass(frozen=True)
class ObservingPlan:
    """Each of the two is asked for `seconds` in each of `rounds`, `concurrency` comments at once."""

    seconds: float = 10.0
    rounds: int = 12
    concurrency: int = 32


@dataclass(frozen=True, slots=True)
class ObservingRow:
    """Medians of the rounds, and the rate of each."""

    system: str
    requests_per_second: float
    rounds: list[float]
    cpu_ms_per_answer: float


@dataclass(frozen=True, slots=True)
class ObservingRatio:
    """The rate with over the rate without, round by round."""

    median: float
    low: float
    high: float
    quartiles: tuple[float, float]


@dataclass(frozen=True, slots=True)
class ObservingFigures:
    """Of both services. spans_bytes: that reached the collector."""

    rows: list[ObservingRow]
    ratio: ObservingRatio
    plan: ObservingPlan
    machine: Machine
    spans_bytes: int


class _Nothing:
    """Takes the place of a counter, a timer or a gauge."""

    def labels(self, *_: str) -> Self:
        return self

    def inc(self, amount: float = 1) -> None: ...

    def observe(self, amount: float, exemplar: dict[str, str] | None = None) -> None: ...


class Unobserved(Metrics):
    """Counts nothing and times nothing of a request."""

    def __init__(self) -> None:
        super().__init__(CollectorRegistry())
        nothing: Any = _Nothing()
        self.requests = self.latency = self.violations = nothing

    def stage(self, name: Stage) -> AbstractContextManager[None]:
        return UNOBSERVED.stage(name)

    def compiling(self) -> AbstractContextManager[None]:
        return UNOBSERVED.compiling()

    def masked(self, seconds: float) -> None:
        """Nothing is added up."""

    def answered(self, checkpoint: CheckpointId, answer: Answer) -> None:
        """Nothing is counted."""


@dataclass
class Round:
    """So many answers in so many seconds, for which this process took so many seconds of a core."""

    answers: int = 0
    seconds: float = 0.0
    cpu_s: float = 0.0

    @property
    def rate(self) -> float:
        return self.answers / self.seconds

    @property
    def cpu_ms(self) -> float:
        """Of one answer."""
        return 1000 * self.cpu_s / self.answers


async def observing(
    comments: Sequence[str], start: Start, plan: ObservingPlan, say: Callable[[str], None]
) -> ObservingFigures:
    """The rounds' rates of both, and of the rounds' ratios the median and its spread."""
    rounds: dict[str, list[Round]] = {name: [] for name in SYSTEMS}
    spans = [0]
    async with AsyncExitStack() as stack:
        tracer = stack.enter_context(_collected(spans))
        clients = {}
        for name in SYSTEMS:
            say(f"starting the service {name}")
            clients[name] = await stack.enter_async_context(_service(start, name, tracer))
        texts = itertools.cycle(comments)
        for turn in range(plan.rounds + 1):
            # Now one first, now the other: what a round leaves behind meets both.
            for name in SYSTEMS if turn % 2 else reversed(SYSTEMS):
                done = await _round(clients[name], texts, plan, is_scraped=name == WITH)
                # The first turn warms both and is not counted.
                rounds[name] += [done] if turn else []
                say(f"{turn}/{plan.rounds} {name:<8} {done.rate:8.2f}/s  {done.cpu_ms:.2f} ms of a core each")
    return _figures(rounds, plan, spans[0])


def starting(settings: Settings) -> Start:
    """Starts the service's engine; vLLM keeps its statistics where they are looked at."""

    def start(metrics: Metrics) -> Awaitable[Router]:
        engine = settings.engine | {"disable_log_stats": isinstance(metrics, Unobserved)}
        return start_router(settings.model_copy(update={"engine": engine}), *first_pair(settings), metrics)

    return start


@asynccontextmanager
async def _service(start: Start, name: str, tracer: Tracer) -> AsyncIterator[httpx.AsyncClient]:
    metrics = Metrics(CollectorRegistry(), tracer) if name == WITH else Unobserved()
    app = create_app(Active(await start(metrics), metrics), metrics)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://service", timeout=600) as client:
            yield client


async def _round(client: httpx.AsyncClient, texts: Iterator[str], plan: ObservingPlan, *, is_scraped: bool) -> Round:
    done = Round()
    start, cpu = time.monotonic(), time.process_time()

    async def ask() -> None:
        for text in texts:
            (await client.post("/v1/route", json={"comment": text})).raise_for_status()
            done.answers += 1
            done.seconds = time.monotonic() - start
            if done.seconds > plan.seconds:
                return

    async def scrape() -> None:
        while True:
            (await client.get("/metrics")).raise_for_status()
            await asyncio.sleep(SCRAPES_S)

    scraping = asyncio.create_task(scrape()) if is_scraped else None
    # Every client ends its last comment: at the end of a round nothing is left to the next.
    await asyncio.gather(*(ask() for _ in range(plan.concurrency)))
    if scraping:
        scraping.cancel()
    done.cpu_s = time.process_time() - cpu
    return done


def _figures(rounds: dict[str, list[Round]], plan: ObservingPlan, spans_bytes: int) -> ObservingFigures:
    ratios = [a.rate / b.rate for a, b in zip(rounds[WITH], rounds[WITHOUT], strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4)
    rows = [
        ObservingRow(
            system=name,
            requests_per_second=round(statistics.median(done.rate for done in each), 3),
            rounds=[round(done.rate, 3) for done in each],
            cpu_ms_per_answer=round(statistics.median(done.cpu_ms for done in each), 3),
        )
        for name, each in rounds.items()
    ]
    ratio = ObservingRatio(statistics.median(ratios), min(ratios), max(ratios), (low, high))
    return ObservingFigures(rows, ratio, plan, this_machine(), spans_bytes)


@contextmanager
def _collected(size: list[int]) -> Iterator[Tracer]:
    """A tracer whose spans go to a collector in this process, which counts their bytes."""

    class Receiver(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size[0] += len(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = f"http://127.0.0.1:{server.server_port}"
        with tracing(os.environ) as tracer:
            yield tracer
        server.shutdown()
