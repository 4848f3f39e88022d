"""The experiment's results as a table and a picture: the customers' task against general ability."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

from taxonomy.files import write_text
from train.experiment.arms import ARMS, BASE

Result = dict[str, Any]
TITLES: Final = {"voc": "the bundled corpus", "clinc": "CLINC150"}
FIGURES: Final = {
    "leaf F1": "leaf_f1",
    "L1 F1": "levels L1",
    "accuracy": "accuracy",
    "general accuracy": "general",
    "GSM8K, nats a token": "gsm8k_nll",
}
"""What the tables show, and where a result has it; a column that no result has is left out."""
COLOURS: Final = (
    *("#7f8a97", "#b9c0c9", "#4d5660", "#d9b38c", "#c46a3a"),
    *("#a9d6e5", "#2c7da0", "#95d5b2", "#2d6a4f"),
)


def write_report(results: Sequence[Result], folder: Path) -> None:
    """experiment.md's tables and experiment.svg, into a folder. Raises OSError."""
    write_text("\n".join(tables(results)), folder / "experiment.md")
    plot(results, folder / "experiment.svg")


def tables(results: Sequence[Result]) -> Iterator[str]:
    """One for each domain; a cell is the mean of the seeds, and their range."""
    for domain in _domains(results):
        own = [row for row in results if row["domain"] == domain]
        figures = {name: key for name, key in FIGURES.items() if any(_figure(row, key) is not None for row in own)}
        yield f"| {TITLES[domain]} | seeds | {' | '.join(figures)} |"
        yield "|---" * (2 + len(figures)) + "|"
        for arm in (BASE, *ARMS):
            if runs := [row for row in own if row["arm"] == arm]:
                cells = [_cell([_figure(row, key) for row in runs]) for key in figures.values()]
                yield f"| {arm} | {len(runs)} | {' | '.join(cells)} |"
        yield ""


def plot(results: Sequence[Result], file: Path) -> None:
    """General accuracy against leaf F1, a point a run with its 95% intervals; the line is what the base knew."""
    mpl.rcParams["svg.hashsalt"] = "route-feedback"  # the same figures, the same file
    domains = _domains(results)
    shown = {row["arm"] for row in results}
    figure = Figure(figsize=(6.2 * len(domains) + 2.2, 4.8), layout="constrained")
    for axes, domain in zip(figure.subplots(1, len(domains), squeeze=False)[0], domains, strict=True):
        own = [row for row in results if row["domain"] == domain]
        for arm, colour in zip(ARMS, COLOURS, strict=True):
            if arm not in shown:
                continue
            runs = [row for row in own if row["arm"] == arm]
            axes.errorbar(
                [row["general"] for row in runs],
                [row["leaf_f1"] for row in runs],
                xerr=_beside(runs, "general"),
                yerr=_beside(runs, "leaf_f1"),
                fmt="o",
                color=colour,
                elinewidth=0.8,
                label=arm,
                clip_on=False,  # many keep nothing: their points lie on the axis
            )
        for row in own:
            if row["arm"] == BASE:
                axes.axvline(row["general"], color="#333333", linestyle=":", label="the base's general accuracy")
        axes.set(xlabel="general accuracy", ylabel="leaf F1", title=TITLES[domain], xlim=(0, 1), ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*figure.axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)


def _domains(results: Sequence[Result]) -> list[str]:
    return [domain for domain in TITLES if any(row["domain"] == domain for row in results)]


def _figure(row: Result, key: str) -> float | None:
    found: Any = row
    for name in key.split():
        found = found[name]
    return None if found is None else float(found)


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "not measured"
    spread = f" ({min(known):.3f} to {max(known):.3f})" if len(known) > 1 else ""
    return f"{statistics.mean(known):.3f}{spread}"


def _beside(runs: Sequence[Result], name: str) -> list[list[float]]:
    """How far the interval's ends lie below and above each value."""
    ends = [row[f"{name}_95"] or (row[name], row[name]) for row in runs]
    return [
        [max(0.0, row[name] - low) for row, (low, _) in zip(runs, ends, strict=True)],
        [max(0.0, high - row[name]) for row, (_, high) in zip(runs, ends, strict=True)],
    ]
