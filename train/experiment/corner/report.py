"""The results of `train corner` as tables and a picture: the customers' task against general ability."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from taxonomy.files import write_text
from train.experiment.arms import BASE
from train.experiment.corner.arms import ARMS, MIXED, TRAINED
from train.experiment.corner.results import CornerResult
from train.experiment.report import COLOURS, error_bars
from train.report.choice import Estimate
from train.report.pictures import svg

REPORT: Final = "corner.md"
PICTURE: Final = "corner.svg"


class StudyPoint(NamedTuple):
    """A model of the study. mmlu: None where it was not measured."""

    model: str
    trained_on: str
    f1: float
    mmlu: float | None


STUDY: Final = (
    StudyPoint("Nova 2 Lite", "nothing", 0.387, 0.75),
    StudyPoint("Nova 2 Lite", "customer data only", 0.5537, 0.47),
    StudyPoint("Nova 2 Lite", "75% customer, 25% general", 0.50, 0.74),
    StudyPoint("Qwen3-30B-A3B", "nothing", 0.394, None),
    StudyPoint("Qwen3-30B-A3B", "customer data only", 0.5552, 0.0038),
)
"""As published: F1 by position over other comments, so only the directions can be compared."""


def write_report(results: Sequence[CornerResult], folder: Path) -> None:
    """Tables and picture, into a folder. Raises OSError."""
    write_text("\n".join([f"![both axes]({PICTURE})", "", *tables(results)]), folder / REPORT)
    write_text(svg(plot(results)), folder / PICTURE)


def tables(results: Sequence[CornerResult]) -> Iterator[str]:
    """A row a run, on both axes and task by task, then the study's; in brackets 95%."""
    ordered = _ordered(results)
    yield from _table(
        ["arm", "seed", "leaf F1", "L1 F1", "span F1", "emotion", "general mean", "less or more than the base"],
        (_both_axes(result) for result in ordered),
    )
    for task in dict.fromkeys(name for result in ordered for name in result.tasks):
        own = [result for result in ordered if task in result.tasks]
        first = own[0].tasks[task]
        yield from _table(
            ["arm", "seed", f"{task}, {first.figure} ({first.asked} questions)", "less or more than the base"],
            ([r.arm, str(r.seed), _said(r.tasks[task].share), _said(r.tasks[task].difference, "+.3f")] for r in own),
        )
    yield from _table(
        ["the study", "trained on", "VOC F1", "MMLU"],
        ([p.model, p.trained_on, f"{p.f1:g}", "not measured" if p.mmlu is None else f"{p.mmlu:g}"] for p in STUDY),
    )


def _both_axes(result: CornerResult) -> list[str]:
    domain = result.domain
    scores = [domain.leaf, domain.l1, domain.spans, domain.emotion] if domain else [None] * 4
    axes = [*map(_said, scores), _said(result.general), _said(result.difference, "+.3f")]
    return [result.arm, str(result.seed), *axes]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield "|---" * len(header) + "|"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _said(estimate: Estimate | None, form: str = ".3f") -> str:
    if estimate is None:
        return "-"
    low, high = estimate.interval_95
    return f"{estimate.value:{form}} ({low:{form}} to {high:{form}})"


def _ordered(results: Sequence[CornerResult]) -> list[CornerResult]:
    order = [BASE, *ARMS]
    return sorted(results, key=lambda result: (order.index(result.arm), result.seed))


def plot(results: Sequence[CornerResult]) -> Figure:
    """Leaf F1 over the general mean, a point a run with its 95% intervals; beside it the study's own points."""
    figure = Figure(figsize=(14, 5), layout="constrained")
    ours, study = figure.subplots(1, 2, gridspec_kw={"width_ratios": [3, 2]})
    for base in (result for result in results if result.arm == BASE):
        ours.axvline(base.general.value, color="#333333", linestyle=":", label="the base's general mean")
    for result in _ordered(results):
        _point(ours, result)
    ours.set(xlabel="general mean", ylabel="leaf F1", title="customers' comments and general ability")
    figure.legend(*_once(ours), loc="outside left center", fontsize=8, frameon=False)
    for name in dict.fromkeys(point.model for point in STUDY):
        _study_points(study, name)
    study.set(xlabel="MMLU", ylabel="VOC F1", title="the study", xlim=(0, 1))
    study.legend(fontsize=8, frameon=False)
    for axes in (ours, study):
        axes.set_ylim(0, None)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def _point(axes: Axes, result: CornerResult) -> None:
    """A mix has the colour of what it is made of, and is hollow."""
    if result.domain is None:
        return
    leaf, general = result.domain.leaf, result.general
    is_mixed = result.arm in MIXED
    colour = COLOURS[list(TRAINED).index(MIXED[result.arm].of if is_mixed else result.arm)]
    axes.errorbar(
        [general.value],
        [leaf.value],
        xerr=error_bars([general.value], [general.interval_95]),
        yerr=error_bars([leaf.value], [leaf.interval_95]),
        fmt="o",
        color=colour,
        markerfacecolor="white" if is_mixed else colour,
        markersize=4 + 4 * MIXED[result.arm].alpha if is_mixed else 8,
        elinewidth=0.8,
        label=result.arm,
        clip_on=False,
    )


def _once(axes: Axes) -> tuple[list[Artist], list[str]]:
    """Several seeds of an arm have one place in the legend."""
    handles, labels = axes.get_legend_handles_labels()
    by_label = dict(zip(labels, handles, strict=True))
    return [*by_label.values()], [*by_label]


def _study_points(axes: Axes, model: str) -> None:
    points = [(point.mmlu, point.f1, point.trained_on) for point in STUDY if point.model == model and point.mmlu]
    axes.plot([x for x, *_ in points], [y for _, y, _ in points], "o", label=model, clip_on=False)
    for mmlu, f1, trained_on in points:
        axes.annotate(trained_on, (mmlu, f1), (-6, 8), textcoords="offset points", fontsize=8, ha="center")
