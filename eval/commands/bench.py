"""`route-feedback bench ...`."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.bench.constraint import constraint
from eval.bench.speed import OWN, REFERENCE, SYSTEMS, Plan, long_comments, ratios, speed
from eval.bench.swap import Plan as SwapPlan
from eval.bench.swap import SwapBench
from serve.routing.pair import load_pair
from serve.settings import Settings, load_settings
from taxonomy import command_line
from taxonomy.comments import read_comments
from taxonomy.errors import CallWrong
from taxonomy.files import write_text
from taxonomy.formats.registry import load_taxonomy

MODELS = ("bundled", "random-200m")
LEAST_ROUNDS = 2


def add_bench(parser: argparse.ArgumentParser) -> None:
    """The benchmarks' arguments."""
    commands = parser.add_subparsers(required=True)
    faster = commands.add_parser("speed", help="answers a second of five systems, side by side in one run")
    faster.add_argument("--systems", nargs="+", choices=SYSTEMS, default=SYSTEMS)
    faster.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    faster.add_argument("--concurrency", nargs="+", type=int, default=Plan.concurrencies)
    faster.add_argument("--lengths", nargs="+", choices=["short", "long"], default=["short", "long"])
    faster.add_argument("--seconds", type=float, default=Plan.seconds, help="of each round of a cell")
    faster.add_argument("--repeats", type=int, default=Plan.repeats)
    faster.add_argument(
        "--compared", type=int, default=Plan.compared, help="comments whose answers are compared; 0: none"
    )
    faster.add_argument("--plot", type=Path, help="draw the figures here (SVG or PNG)")
    faster.set_defaults(run=_speed)
    constrained = commands.add_parser("constraint", help="compile and decision times, and how they grow")
    constrained.add_argument("--rounds", type=int, default=400, help="comments for each length")
    constrained.set_defaults(run=_constraint)
    scoring = commands.add_parser("scores", help="scoring alone, beside a plain loop")
    scoring.add_argument("--count", type=int, default=100_000, help="predictions; the comments are repeated")
    scoring.add_argument("--rounds", type=int, default=5)
    scoring.set_defaults(run=_scores)
    swapping = commands.add_parser("swap", help="one checkpoint for another under load: what fails, differs, waits")
    swapping.add_argument("--checkpoints", nargs=2, type=Path, help="default: the bundled one and a noisy copy")
    swapping.add_argument("--strategy", choices=["blue_green", "in_place"], default=SwapPlan.strategy)
    swapping.add_argument("--swaps", type=int, default=SwapPlan.swaps)
    swapping.add_argument("--clients", type=int, default=SwapPlan.clients)
    swapping.add_argument("--count", type=int, default=40, help="of the comments")
    swapping.add_argument("--quiet-s", type=float, default=SwapPlan.quiet_s, help="seconds of load before the first")
    swapping.add_argument("--between-s", type=float, default=SwapPlan.between_s, help="seconds of load after each")
    swapping.set_defaults(run=_swap)
    observed = commands.add_parser("observing", help="throughput with metrics and traces, and without")
    observed.add_argument("--seconds", type=float, default=10.0, help="of each of the two in each round")
    observed.add_argument("--rounds", type=int, default=12)
    observed.add_argument("--concurrency", type=int, default=32)
    observed.set_defaults(run=_observing)
    for command in (faster, constrained, scoring, swapping, observed):
        command.add_argument("--comments", type=Path, required=True, help="JSONL of labelled comments")
        command.add_argument("--out", type=Path, help="write the figures here, as JSON")
        command.add_argument("--json", action="store_true")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _speed(given: argparse.Namespace) -> int:
    short = [comment.comment for comment in read_comments(given.comments)]
    if not short:
        raise CallWrong(f"{given.comments} has no comments")
    comments = {"short": short, "long": long_comments(short)}
    if not comments["long"]:
        raise CallWrong(f"{given.comments} has too few comments to make long ones of")
    plan = Plan(
        systems=tuple(given.systems),
        concurrencies=tuple(given.concurrency),
        seconds=given.seconds,
        repeats=given.repeats,
        compared=given.compared,
    )
    settings = load_settings(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        models = {name: _model(name, settings, Path(folder)) for name in given.models}
        asked: dict[str, Sequence[str]] = {kind: comments[kind] for kind in given.lengths}
        figures = asyncio.run(speed(asked, models, plan, _say, lambda so_far: _keep(given.out, so_far)))
    against = [name for name in given.systems if name != OWN]
    figures["ratios"] = {f"{OWN} / {name}": ratios(figures["rows"], OWN, name) for name in against}
    _keep(given.out, figures)
    if given.plot:
        from eval.bench.plot import plot  # noqa: PLC0415 (matplotlib takes seconds to import)

        plot(figures["rows"], given.plot)
    command_line.tell(figures, _table(figures), as_json=given.json)
    return 0


def _model(name: str, settings: Settings, folder: Path) -> Settings:
    if name == "bundled":
        return settings
    from eval.bench.models import random_checkpoint  # noqa: PLC0415 (torch takes seconds to import)

    _say(f"making {name}")
    random_checkpoint(load_pair(settings), folder)
    return settings.model_copy(update={"checkpoint": str(folder)})


def _constraint(given: argparse.Namespace) -> int:
    comments = [comment.comment for comment in read_comments(given.comments)]
    figures = constraint(comments, load_pair(load_settings(os.environ)).tokens, given.rounds, _say)
    _keep(given.out, figures)
    lines = ["leaves  characters   compile ms p50    p99   decision us p50    p99   taxonomy s"]
    for row in figures["rows"]:
        compiling, deciding = row["compile_ms"], row["decision_us"]
        lines.append(
            f"{row['leaves']:>6}  {row['characters']:>10}   {compiling['p50']:>14} {compiling['p99']:>6}"
            f"   {deciding['p50']:>15} {deciding['p99']:>6}   {row['taxonomy_s']:>10}"
        )
    command_line.tell(figures, "\n".join(lines), as_json=given.json)
    return 0


def _scores(given: argparse.Namespace) -> int:
    from eval.bench.scores import bench_scores  # noqa: PLC0415 (scikit-learn takes seconds to import)

    comments = list(read_comments(given.comments))
    if not comments or min(given.count, given.rounds) < 1:
        raise CallWrong("nothing to score: give --comments with some, --count and --rounds of 1 or more")
    figures = bench_scores(comments, given.count, given.rounds, _say)
    _keep(given.out, figures)
    took, ratio = figures["median_s"], figures["ratio"]
    spread = f"{ratio['median']:.1f} times ({ratio['low']:.1f} to {ratio['high']:.1f})"
    text = f"{given.count} predictions: {took['scores']:.2f} s, a plain loop {took['naive']:.2f} s, {spread}"
    command_line.tell(figures, f"{text}; equal figures: {figures['equal']}", as_json=given.json)
    return 0 if figures["equal"] else 1


def _swap(given: argparse.Namespace) -> int:
    comments = [comment.comment for comment in read_comments(given.comments)][: given.count]
    if not comments or min(given.swaps, given.clients) < 1:
        raise CallWrong("nothing to measure: give --comments with some, --swaps and --clients of 1 or more")
    settings = load_settings(os.environ)
    plan = SwapPlan(given.swaps, given.clients, given.quiet_s, given.between_s, given.strategy)
    with tempfile.TemporaryDirectory() as folder:
        folders = given.checkpoints or _noisy(Path(settings.checkpoint), Path(folder) / "noisy")
        work = Path(folder) / "work"
        (work / "registry").mkdir(parents=True)
        bench = SwapBench(load_taxonomy(settings.taxonomy), comments, settings, plan, work, _say)
        found = asyncio.run(bench.run(folders))
    _keep(given.out, found)
    memory = found["memory_mib"]
    text = (
        f"{found['swaps']} swaps ({given.strategy}), {found['requests']} requests: {found['failed']} failed, "
        f"{found['mismatched']} mismatched; {found['identical']} identical, {found['same_labels']} but for digits, "
        f"{found['as_among_others']} as a fresh engine answers among others\n"
        f"p99 {found['p99_ms']} ms, during a swap {found['p99_during_swap_ms']} ms; "
        f"memory {memory['before']} MiB before, {memory['after_each'][-1]} MiB after"
    )
    command_line.tell(found, text, as_json=given.json)
    return 0 if found["swaps"] == given.swaps and not found["failed"] + found["mismatched"] else 1


def _noisy(source: Path, folder: Path) -> list[Path]:
    from eval.bench.models import noisy_checkpoint  # noqa: PLC0415 (torch takes seconds to import)

    noisy_checkpoint(source, folder)
    return [source, folder]


def _observing(given: argparse.Namespace) -> int:
    from eval.bench.observing import Plan, observing, starting  # noqa: PLC0415 (the collector's parts take a second to import)

    comments = [comment.comment for comment in read_comments(given.comments)]
    if not comments or min(given.seconds, given.concurrency) <= 0 or given.rounds < LEAST_ROUNDS:
        raise CallWrong(f"give --comments with some, --seconds, --concurrency, and --rounds of {LEAST_ROUNDS} or more")
    plan = Plan(given.seconds, given.rounds, given.concurrency)
    figures = asyncio.run(observing(comments, starting(load_settings(os.environ)), plan, _say))
    _keep(given.out, figures)
    lines = [
        f"{row['system']:<8} {row['requests_per_second']:8.2f} answers/s  {row['cpu_ms_per_answer']:.2f} ms of a core"
        for row in figures["rows"]
    ]
    ratio = figures["ratio"]
    low, high = ratio["quartiles"]
    spread = f"{ratio['median']:.3f} (half of the rounds {low:.3f} to {high:.3f}, all {ratio['low']:.3f} to "
    command_line.tell(figures, "\n".join([*lines, f"with / without: {spread}{ratio['high']:.3f})"]), as_json=given.json)
    return 0


def _keep(file: Path | None, figures: dict[str, Any]) -> None:
    if file:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(json.dumps(figures, indent=1, ensure_ascii=False) + "\n", file)


def _table(figures: dict[str, Any]) -> str:
    titles = f"{'system':<22} {'model':<12} {'comments':<9} {'at once':>7}"
    lines = [f"{titles} {'answers/s':>10} {'at best':>9} {'p50 ms':>9} {'p99 ms':>9}"]
    for row in figures["rows"]:
        p50, p99 = ("-" if row[name] is None else format(row[name], ".0f") for name in ("p50_ms", "p99_ms"))
        rate = format(row["requests_per_second"], ".2f")
        limit = "-" if row["limit_per_second"] is None else format(row["limit_per_second"], ".1f")
        where = f"{row['system']:<22} {row['model']:<12} {row['comments']:<9} {row['concurrency']:>7}"
        lines.append(f"{where} {rate:>10} {limit:>9} {p50:>9} {p99:>9}")
    for name, cells in figures["ratios"].items():
        lines.append(f"\n{name}")
        for cell in cells:
            spread = (
                f"{cell['median']:.2f} ({cell['low']:.2f} to {cell['high']:.2f})"
                if cell["median"] is not None
                else f"{name.split(' / ')[1]} gave no answer in the time"
            )
            lines.append(f"  {cell['model']:<12} {cell['comments']:<9} {cell['concurrency']:>7}   {spread}")
    for model, agreed in figures["agreement"].items():
        lines.append(
            f"\n{model}: {agreed['identical']} of {agreed['comments']} answers are those of {REFERENCE}; "
            f"{agreed['differing_in_other_tokens']} of the others it wrote in other tokens than training does"
        )
    return "\n".join(lines)
