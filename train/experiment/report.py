"""The experiment's results as a table and a picture: the customers' task against general ability."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taxonomy.files import write_text
from train.experiment.arms import ARMS, BASE
from train.experiment.results import ArmResult, Interval
from train.report.pictures import svg

TITLES: Final = {"voc": "the bundled corpus", "clinc": "CLINC150"}
FIGURES: Final[Mapping[str, Callable[[ArmResult], float | None]]] = {
    "leaf F1": lambda result: result.leaf_f1,
    "L1 F1": lambda result: result.levels["L1"],
    "accuracy": lambda result: result.accuracy,
    "general accuracy": lambda result: result.general,
    "GSM8K, nats a token": lambda result: result.gsm8k_nll,
}
"""What the tables show; a column that no result has is left out."""
COLOURS: Final = (
    *("#7f8a97", "#b9c0c9", "#4d5660", "#d9b38c", "#c46a3a"),
    *("#a9d6e5", "#2c7da0", "#95d5b2", "#2d6a4f", "#9d4edd"),
)


def write_report(results: Sequence[ArmResult], folder: Path) -> None:
    """experiment.md's tables and experiment.svg, into a folder. Raises OSError."""
    write_text("\n".join(tables(results)), folder / "experiment.md")
    write_text(svg(plot(results)), folder / "experiment.svg")


def tables(results: Sequence[ArmResult]) -> Iterator[str]:
    """One for each domain; a cell is the mean of the seeds, and their range."""
    for domain in _domains(results):
        own = [result for result in results if result.domain == domain]
        figures = {name: of for name, of in FIGURES.items() if any(of(result) is not None for result in own)}
        yield f"| {TITLES[domain]} | seeds | {' | '.join(figures)} |"
        yield "|---" * (2 + len(figures)) + "|"
        for arm in (BASE, *ARMS):
            if runs := [result for result in own if result.arm == arm]:
                cells = [cell([of(result) for result in runs]) for of in figures.values()]
                yield f"| {arm} | {len(runs)} | {' | '.join(cells)} |"
        yield ""


def plot(results: Sequence[ArmResult]) -> Figure:
    """General accuracy against leaf F1, a point a run with its 95% intervals; the line is what the base knew."""
    domains = _domains(results)
    figure = Figure(figsize=(6.2 * len(domains) + 2.2, 4.8), layout="constrained")
    for axes, domain in zip(figure.subplots(1, len(domains), squeeze=False)[0], domains, strict=True):
        for arm, colour in zip(ARMS, COLOURS, strict=True):
            if any(result.arm == arm for result in results):
                _scatter(axes, [r for r in results if (r.domain, r.arm) == (domain, arm)], arm, colour)
        for base in (result for result in results if (result.domain, result.arm) == (domain, BASE)):
            axes.axvline(base.general, color="#333333", linestyle=":", label="the base's general accuracy")
        axes.set(xlabel="general accuracy", ylabel="leaf F1", title=TITLES[domain], xlim=(0, 1), ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    return figure


def _scatter(axes: Axes, runs: Sequence[ArmResult], arm: str, colour: str) -> None:
    general, leaf = [run.general for run in runs], [run.leaf_f1 for run in runs]
    axes.errorbar(
        general,
        leaf,
        xerr=error_bars(general, [run.general_95 for run in runs]),
        yerr=error_bars(leaf, [run.leaf_f1_95 for run in runs]),
        fmt="o",
        color=colour,
        elinewidth=0.8,
        label=arm,
        clip_on=False,  # many keep nothing: their points lie on the axis
    )


def _domains(results: Sequence[ArmResult]) -> list[str]:
    return [domain for domain in TITLES if any(result.domain == domain for result in results)]


def cell(values: Sequence[float | None]) -> str:
    """Their mean, and of several their range."""
    known = [value for value in values if value is not None]
    if not known:
        return "not measured"
    spread = f" ({min(known):.3f} to {max(known):.3f})" if len(known) > 1 else ""
    return f"{statistics.mean(known):.3f}{spread}"


def error_bars(values: Sequence[float], intervals: Sequence[Interval | None]) -> list[list[float]]:
    """How far the interval's ends lie below and above each value."""
    ends = [interval or (value, value) for value, interval in zip(values, intervals, strict=True)]
    return [
        [max(0.0, value - low) for value, (low, _) in zip(values, ends, strict=True)],
        [max(0.0, high - value) for value, (_, high) in zip(values, ends, strict=True)],
    ]
