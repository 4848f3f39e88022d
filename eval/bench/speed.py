"""`bench speed`: how many comments a second each system answers, in turn, in one run, and whether they agree."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from typing import Final

from eval.bench.limits import Limits, limits, weights_of, works
from eval.bench.machine import this_machine
from eval.bench.systems import System, SystemAnswer, started
from serve.engine.vllm.llm import cpu_dtype
from serve.routing.pair import Pair
from serve.settings import Settings
from serve.start import load_pair
from taxonomy.language.answer import Part

SYSTEMS: Final = ("vllm-json-schema", "vllm-grammar", "outlines-transformers", "engine", "http")
REFERENCE: Final = "vllm-grammar"
OWN: Final = "engine"
ONLY_DECISIONS: Final = (OWN, "http")


@dataclass(frozen=True)
class SpeedPlan:
    """What is measured: each cell runs for `seconds` at most, `repeats` times, the systems in turn.

    compared: comments whose answers by the reference and by the own engine are compared, one by one; with none of them
    what the machine allows is not measured either, which takes answers too.
    """

    systems: tuple[str, ...] = SYSTEMS
    concurrencies: tuple[int, ...] = (1, 8, 32, 128)
    seconds: float = 60.0
    repeats: int = 3
    max_tokens: int = 8192
    compared: int = 100


@dataclass(frozen=True, slots=True)
class SpeedRow:
    """A cell's figures. Rates are answers a second: the median of the rounds, and each of them.

    p50_ms, p99_ms: of answers that came within the time; None where none did. limit_per_second: what the machine
    allows, None where that is not known.
    """

    system: str
    model: str
    comments: str
    concurrency: int
    requests_per_second: float
    rounds: list[float]
    p50_ms: float | None
    p99_ms: float | None
    failed: int
    limit_per_second: float | None


@dataclass(frozen=True, slots=True)
class SpeedRatio:
    """One system's rate in another's, in one cell: the median of the rounds, and their range; None without answers."""

    model: str
    comments: str
    concurrency: int
    median: float | None
    low: float | None
    high: float | None


Segments = list[list[str]]
"""An answer's parts: of each its text, its labels from L1 down, and its emotion."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A comment that two systems answer differently; None for what is no answer."""

    comment: str
    reference: Segments | None
    own: Segments | None
    reference_is_canonical: bool | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of the same comments, how many have the same answer from the reference and from the own engine.

    differing_in_other_tokens: of the others, how many the reference wrote in tokens that training would not have
    written. reference_steps_median: tokens decoded one by one for an answer. differing: the first of the others.
    """

    comments: int
    identical: int
    reference_steps_median: float | None
    differing_in_other_tokens: int
    differing: list[Difference]


@dataclass(frozen=True, slots=True)
class StepCounts:
    """Of the mean answer: steps where only decisions cost one, its tokens, steps where every token costs one."""

    steps: float
    tokens: float
    steps_without: float


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """What a model of so many parameters is held against, and its answers' work by kind of comment."""

    parameters: int
    limits: Limits
    works: dict[str, StepCounts]

    def as_json(self) -> dict[str, object]:
        works = {kind: asdict(work) for kind, work in self.works.items()}
        return {"parameters": self.parameters, **asdict(self.limits), **works}


@dataclass(frozen=True, slots=True)
class SpeedFigures:
    """agreement, best: by model. ratios: by the names of two systems, where they were compared."""

    rows: list[SpeedRow]
    agreement: dict[str, Agreement]
    best: dict[str, ModelLimits]
    plan: SpeedPlan
    ratios: dict[str, list[SpeedRatio]] | None = None

    def as_json(self) -> dict[str, object]:
        """As the command prints it, and keeps it in files."""
        best = {model: limits.as_json() for model, limits in self.best.items()}
        figures: dict[str, object] = {
            "rows": [asdict(row) for row in self.rows],
            "agreement": {model: asdict(agreed) for model, agreed in self.agreement.items()},
            "machine": asdict(this_machine()) | {"best": best},
            "plan": asdict(self.plan),
        }
        if self.ratios is None:
            return figures
        return figures | {"ratios": {name: [asdict(cell) for cell in cells] for name, cells in self.ratios.items()}}


@dataclass
class Cell:
    """One system under one load: its rounds' rates (answers a second), all its latencies (seconds), and the rate that
    the machine allows, if known.
    """

    system: str
    model: str
    comments: str
    concurrency: int
    rates: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)
    failed: int = 0
    limit: float | None = None

    def row(self) -> SpeedRow:
        """What was measured so far."""
        cuts = statistics.quantiles(self.latencies, n=100) if len(self.latencies) > 1 else self.latencies * 99
        return SpeedRow(
            system=self.system,
            model=self.model,
            comments=self.comments,
            concurrency=self.concurrency,
            requests_per_second=round(statistics.median(self.rates), 3),
            rounds=[round(rate, 3) for rate in self.rates],
            p50_ms=round(cuts[49] * 1000, 1) if cuts else None,
            p99_ms=round(cuts[98] * 1000, 1) if cuts else None,
            failed=self.failed,
            limit_per_second=self.limit and round(self.limit, 2),
        )


async def speed(
    comments: Mapping[str, Sequence[str]],
    models: Mapping[str, Settings],
    plan: SpeedPlan,
    say: Callable[[str], None],
    keep: Callable[[SpeedFigures], None],
) -> SpeedFigures:
    """Measure every system on every model. `comments`: by name, those to post in turn; `models`: by name, what serves.

    keep: given all figures so far, after each round. Gives rows, for each model how far the answers of the own engine
    are those of the reference, and the machine with what it can do at best.
    """
    cells: list[Cell] = []
    agreement: dict[str, Agreement] = {}
    best: dict[str, ModelLimits] = {}

    def figures() -> SpeedFigures:
        return SpeedFigures([cell.row() for cell in cells if cell.rates], agreement, best, plan)

    def count(cell: Cell) -> None:
        if cell not in cells:
            cells.append(cell)
        keep(figures())

    for model, settings in models.items():
        bounded = settings.model_copy(update={"max_model_len": plan.max_tokens})
        async with AsyncExitStack() as stack:
            systems: dict[str, System] = {}
            pair = load_pair(bounded)
            for name in plan.systems:
                say(f"{model}: starting {name}")
                systems[name] = await stack.enter_async_context(started(name, pair, bounded))
                await _warmed(systems[name], next(iter(comments.values()))[0], say)
            measured = await measured_cells(systems, model, comments, plan, say, count=count)
            if OWN in systems and plan.compared:
                say(f"{model}: what the machine allows")
                best[model] = await _bounded(measured, systems[OWN], pair, bounded, comments)
            if {REFERENCE, OWN} <= set(systems) and plan.compared:
                say(f"{model}: comparing answers")
                agreement[model] = await _agreement(systems, next(iter(comments.values()))[: plan.compared])
    return figures()


async def _bounded(
    cells: Sequence[Cell], own: System, pair: Pair, settings: Settings, comments: Mapping[str, Sequence[str]]
) -> ModelLimits:
    """Write the machine's limit into each cell, from the work of the own engine's answers to some of the comments."""
    weights = weights_of(pair)
    best = limits(weights, settings.engine.get("dtype") or cpu_dtype())
    found: dict[str, StepCounts] = {}
    for kind, texts in comments.items():
        asked = texts[: 40 if kind == "short" else 4]
        outcomes = [(text, await own.answer(text)) for text in asked]
        deciding, spelling = works(pair, [(text, outcome.parts) for text, outcome in outcomes if outcome.parts])
        found[kind] = StepCounts(deciding.steps, deciding.tokens, spelling.steps)
        for cell in cells:
            if cell.comments == kind:
                work = deciding if cell.system in ONLY_DECISIONS else spelling
                cell.limit = best.rate(weights, work, cell.concurrency)
    return ModelLimits(weights.read, best, found)


async def _warmed(system: System, comment: str, say: Callable[[str], None]) -> None:
    """One answer that is not counted: compiled schemas and lazy imports are not what is compared."""
    start = time.monotonic()
    try:
        async with asyncio.timeout(300):
            await system.answer(comment)
    except TimeoutError:
        say("  no answer in 300 s")
    say(f"  first answer after {time.monotonic() - start:.1f} s")


async def measured_cells(
    systems: Mapping[str, System],
    model: str,
    comments: Mapping[str, Sequence[str]],
    plan: SpeedPlan,
    say: Callable[[str], None],
    *,
    count: Callable[[Cell], None],
) -> list[Cell]:
    """Every system under every load, `plan.repeats` times. count: told of each round's end."""
    cells = [Cell(s, model, kind, n) for kind in comments for n in plan.concurrencies for s in systems]
    # Rounds outside, systems inside: whatever else the machine does meets them all.
    for turn in range(plan.repeats):
        for cell in cells:
            texts = itertools.islice(itertools.cycle(comments[cell.comments]), turn * 37, None)
            await _round(systems[cell.system], cell, texts, plan.seconds)
            count(cell)
            counted = f"{cell.rates[-1]:8.2f}/s"
            say(f"{turn + 1}/{plan.repeats} {model} {cell.comments} x{cell.concurrency:<4} {cell.system:<22} {counted}")
    return cells


async def _round(system: System, cell: Cell, texts: Iterator[str], seconds: float) -> None:
    """Keep `concurrency` comments under way for so long; what is then unfinished is given up and does not count."""
    start = time.monotonic()
    done: list[float] = []

    async def client() -> None:
        for text in texts:
            asked = time.monotonic()
            outcome = await system.answer(text)
            done.append(time.monotonic())
            cell.latencies.append(done[-1] - asked)
            cell.failed += outcome.parts is None

    clients = [asyncio.create_task(client()) for _ in range(cell.concurrency)]
    finished, _ = await asyncio.wait(clients, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for task in clients:
        task.cancel()
    await asyncio.gather(*clients, return_exceptions=True)
    for task in finished:
        task.result()
    # To the last answer, not to the end of the time: a system with one answer in 0.9 of the time is not slower for it.
    cell.rates.append(len(done) / (done[-1] - start) if done else 0.0)


async def _agreement(systems: Mapping[str, System], comments: Sequence[str]) -> Agreement:
    answers = {
        name: await asyncio.gather(*(systems[name].answer(comment) for comment in comments))
        for name in (REFERENCE, OWN)
    }
    pairs = list(zip(comments, answers[REFERENCE], answers[OWN], strict=True))
    differing = [_difference(comment, a, b) for comment, a, b in pairs if a.parts != b.parts]
    steps = [answer.steps for answer in answers[REFERENCE] if answer.steps]
    return Agreement(
        comments=len(pairs),
        identical=len(pairs) - len(differing),
        reference_steps_median=statistics.median(steps) if steps else None,
        differing_in_other_tokens=sum(a.parts != b.parts and a.canonical is False for _, a, b in pairs),
        differing=differing[:10],
    )


def _difference(comment: str, reference: SystemAnswer, own: SystemAnswer) -> Difference:
    return Difference(comment, _segments(reference.parts), _segments(own.parts), reference.canonical)


def _segments(parts: tuple[Part, ...] | None) -> Segments | None:
    return None if parts is None else [[p.content, *p.path, p.emotion if p.path else ""] for p in parts]


def ratios(rows: Sequence[SpeedRow], over: str, under: str) -> list[SpeedRatio]:
    """`over`'s answers a second in those of `under`, by cell, over the rounds that both have had."""
    found = []
    keyed = {(r.model, r.comments, r.concurrency, r.system): r for r in rows}
    for (model, kind, concurrency, system), row in keyed.items():
        other = keyed.get((model, kind, concurrency, under))
        if system != over or not other:
            continue
        each = [a / b for a, b in zip(row.rounds, other.rounds, strict=False) if b]
        spread = (statistics.median(each), min(each), max(each)) if each else (None, None, None)
        found.append(SpeedRatio(model, kind, concurrency, *spread))
    return found


def long_comments(comments: Sequence[str], characters: int = 2000) -> list[str]:
    """Comments laid together until each has about so many characters."""
    made: list[str] = []
    together = ""
    for comment in comments:
        together = f"{together} {comment}".strip()
        if len(together) >= characters:
            made.append(together)
            together = ""
    return made
