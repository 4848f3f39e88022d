"""`bench speed` as a picture: answers a second by system, one panel for each model and length of comment."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from eval.bench.speed import SpeedRow

NAMES = {
    "vllm-json-schema": "vLLM, JSON schema",
    "vllm-grammar": "vLLM, the same grammar",
    "outlines-transformers": "Outlines, transformers",
    "engine": "route-feedback, engine",
    "http": "route-feedback, HTTP",
}
COLOURS = ["#b9c0c9", "#7f8a97", "#d9b38c", "#1f6f8b", "#62b6cb"]


def plot(rows: Sequence[SpeedRow], file: Path) -> None:
    """Write an SVG or PNG, by the file's ending. Bars are medians of the rounds, lines their range; the axis is log."""
    mpl.rcParams["svg.hashsalt"] = "route-feedback"  # the same figures, the same file
    panels = sorted({(row.model, row.comments) for row in rows}, key=lambda panel: (panel[0], panel[1] != "short"))
    figure = Figure(figsize=(5.4 * len(panels), 4.2), layout="constrained")
    for axes, (model, comments) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        shown = [row for row in rows if (row.model, row.comments) == (model, comments)]
        loads = sorted({row.concurrency for row in shown})
        systems = [name for name in NAMES if any(row.system == name for row in shown)]
        for index, system in enumerate(systems):
            own = {row.concurrency: row for row in shown if row.system == system}
            rates = [own[load].requests_per_second if load in own else 0 for load in loads]
            rounds = [own[load].rounds if load in own else [0] for load in loads]
            low = [max(0.0, rate - min(each)) for rate, each in zip(rates, rounds, strict=True)]
            high = [max(0.0, max(each) - rate) for rate, each in zip(rates, rounds, strict=True)]
            at = [place + (index - len(systems) / 2 + 0.5) * 0.16 for place in range(len(loads))]
            colour = COLOURS[list(NAMES).index(system)]
            axes.bar(at, rates, 0.15, yerr=[low, high], label=NAMES[system], color=colour, ecolor="#333333")
        axes.set(
            yscale="log", xlabel="comments at once", ylabel="answers a second", title=f"{model}, {comments} comments"
        )
        axes.set_xticks(range(len(loads)), [str(load) for load in loads])
        axes.yaxis.set_major_formatter(LogFormatter())
        axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(3, 0.7)))
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(fontsize=8, frameon=False)
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
