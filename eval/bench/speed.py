"""`bench speed`: how many comments a second each system answers, in turn, in one run, and whether they agree."""

from __future__ import annotations

import asyncio
import itertools
import os
import platform
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from eval.bench.systems import Outcome, System, started
from serve.engine.vllm.engine import cpu_dtype
from serve.routing.pair import Pair, load_pair
from serve.settings import Settings
from taxonomy.language.answer import Part

SYSTEMS: Final = ("vllm-json-schema", "vllm-grammar", "outlines-transformers", "engine", "http")
REFERENCE: Final = "vllm-grammar"
OWN: Final = "engine"
ONLY_DECISIONS: Final = (OWN, "http")


@dataclass(frozen=True)
class Plan:
    """What is measured: each cell runs for `seconds` at most, `repeats` times, the systems in turn.

    compared: comments whose answers by the reference and by the own engine are compared, one by one; with none of them
    what the machine allows is not told either, which takes answers too.
    """

    systems: tuple[str, ...] = SYSTEMS
    concurrencies: tuple[int, ...] = (1, 8, 32, 128)
    seconds: float = 60.0
    repeats: int = 3
    max_tokens: int = 8192
    compared: int = 100


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

    def row(self) -> dict[str, Any]:
        """As `--json` prints it. Latencies are of answers that came within the time; None where none did."""
        cuts = statistics.quantiles(self.latencies, n=100) if len(self.latencies) > 1 else self.latencies * 99
        return {
            "system": self.system,
            "model": self.model,
            "comments": self.comments,
            "concurrency": self.concurrency,
            "requests_per_second": round(statistics.median(self.rates), 3),
            "rounds": [round(rate, 3) for rate in self.rates],
            "p50_ms": round(cuts[49] * 1000, 1) if cuts else None,
            "p99_ms": round(cuts[98] * 1000, 1) if cuts else None,
            "failed": self.failed,
            "limit_per_second": self.limit and round(self.limit, 2),
        }


async def speed(
    comments: dict[str, Sequence[str]],
    models: dict[str, Settings],
    plan: Plan,
    say: Callable[[str], None],
    keep: Callable[[dict[str, Any]], None],
) -> dict[str, Any]:
    """Measure every system on every model. `comments`: by name, those to post in turn; `models`: by name, what serves.

    keep: given all figures so far, after each round. Gives rows, for each model how far the answers of the own engine
    are those of the reference, and the machine with what it can do at best.
    """
    cells: list[Cell] = []
    agreement: dict[str, Any] = {}
    best: dict[str, Any] = {}

    def figures() -> dict[str, Any]:
        return {
            "rows": [cell.row() for cell in cells if cell.rates],
            "agreement": agreement,
            "machine": machine() | {"best": best},
            "plan": asdict(plan),
        }

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
            measured = await _measured(systems, model, comments, plan, say, count=count)
            if OWN in systems and plan.compared:
                say(f"{model}: what the machine allows")
                best[model] = await _bounded(measured, systems[OWN], pair, bounded, comments)
            if {REFERENCE, OWN} <= set(systems) and plan.compared:
                say(f"{model}: comparing answers")
                agreement[model] = await _agreement(systems, next(iter(comments.values()))[: plan.compared])
    return figures()


async def _bounded(
    cells: Sequence[Cell], own: System, pair: Pair, settings: Settings, comments: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """Write the machine's limit into each cell, from the work of the own engine's answers to some of the comments."""
    from eval.bench.limits import limits, weights_of, works  # noqa: PLC0415 (torch takes seconds to import)

    weights = weights_of(pair)
    best = limits(weights, settings.engine.get("dtype") or cpu_dtype())
    told: dict[str, Any] = {"parameters": weights.read, **asdict(best)}
    for kind, texts in comments.items():
        asked = texts[: 40 if kind == "short" else 4]
        outcomes = [(text, await own.answer(text)) for text in asked]
        deciding, spelling = works(pair, [(text, outcome.parts) for text, outcome in outcomes if outcome.parts])
        told[kind] = {"steps": deciding.steps, "tokens": deciding.tokens, "steps_without": spelling.steps}
        for cell in cells:
            if cell.comments == kind:
                work = deciding if cell.system in ONLY_DECISIONS else spelling
                cell.limit = best.rate(weights, work, cell.concurrency)
    return told


async def _warmed(system: System, comment: str, say: Callable[[str], None]) -> None:
    """One answer that is not counted: compiled schemas and lazy imports are not what is compared."""
    begun = time.monotonic()
    try:
        async with asyncio.timeout(300):
            await system.answer(comment)
    except TimeoutError:
        say("  no answer in 300 s")
    say(f"  first answer after {time.monotonic() - begun:.1f} s")


async def _measured(
    systems: Mapping[str, System],
    model: str,
    comments: dict[str, Sequence[str]],
    plan: Plan,
    say: Callable[[str], None],
    *,
    count: Callable[[Cell], None],
) -> list[Cell]:
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
    begun = time.monotonic()
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
    cell.rates.append(len(done) / (done[-1] - begun) if done else 0.0)


async def _agreement(systems: Mapping[str, System], comments: Sequence[str]) -> dict[str, Any]:
    """Of the same comments, how many have the same answer from the reference and from the own engine, and of the others
    how many the reference wrote in tokens that training would not have written.
    """
    outcomes = {
        name: await asyncio.gather(*(systems[name].answer(comment) for comment in comments))
        for name in (REFERENCE, OWN)
    }
    pairs = list(zip(comments, outcomes[REFERENCE], outcomes[OWN], strict=True))
    differing = [_difference(comment, a, b) for comment, a, b in pairs if a.parts != b.parts]
    steps = [outcome.steps for outcome in outcomes[REFERENCE] if outcome.steps]
    return {
        "comments": len(pairs),
        "identical": len(pairs) - len(differing),
        "reference_steps_median": statistics.median(steps) if steps else None,
        "differing_in_other_tokens": sum(a.parts != b.parts and a.canonical is False for _, a, b in pairs),
        "differing": differing[:10],
    }


def _difference(comment: str, reference: Outcome, own: Outcome) -> dict[str, Any]:
    told = {"comment": comment, "reference": _told(reference.parts), "own": _told(own.parts)}
    return told | {"reference_is_canonical": reference.canonical}


def _told(parts: tuple[Part, ...] | None) -> list[list[str]] | None:
    return None if parts is None else [[p.content, *p.path, p.emotion if p.path else ""] for p in parts]


def ratios(rows: Sequence[dict[str, Any]], over: str, under: str) -> list[dict[str, Any]]:
    """`over`'s answers a second in those of `under`, by cell: the median of the rounds' ratios, and their range."""
    found = []
    keyed = {(r["model"], r["comments"], r["concurrency"], r["system"]): r for r in rows}
    for (model, kind, concurrency, system), row in keyed.items():
        other = keyed.get((model, kind, concurrency, under))
        if system != over or not other:
            continue
        each = [a / b for a, b in zip(row["rounds"], other["rounds"], strict=True) if b]
        spread = {"median": None, "low": None, "high": None}
        if each:
            spread = {"median": statistics.median(each), "low": min(each), "high": max(each)}
        found.append({"model": model, "comments": kind, "concurrency": concurrency, **spread})
    return found


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    flags = set()
    names = []
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text().splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return {
        "cpu": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "avx512": "avx512f" in flags,
        "bfloat16": bool(flags & {"avx512_bf16", "amx_bf16"}),
        "gpu": None,
        "python": platform.python_version(),
    }


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
