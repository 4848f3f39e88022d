"""Figures of a run as pictures: curves over its steps, and its candidates on both axes."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from train.report.choice import BaseRecord, CandidateRecord, ChoiceRecord, Estimate

Array = npt.NDArray[np.float64]

BINS: Final = 150
"""A curve of more steps is drawn as the means of so many stretches, in the band of their extremes."""
INK, QUIET, LINE, BLUE, GREEN, CARD = "#1d2733", "#647282", "#e2e5e8", "#1f6f8b", "#3b7d4f", "#fffffe"
VARIABLES: Final = {INK: "--ink", QUIET: "--quiet", LINE: "--line", BLUE: "--one", GREEN: "--good", CARD: "--card"}
"""What the page calls these colours: they are others where the reader's screen is dark."""
CURVE_SIZE: Final = (460, 190)
PLANE_SIZE: Final = (640, 400)
"""Width and height, in points: the unit of the picture's own coordinates."""
POINTS_AN_INCH: Final = 72
_NO_METADATA: Final = dict.fromkeys(("Creator", "Date", "Format", "Type"))


def svg(figure: Figure) -> str:
    """The picture as a file's content, on white: the same figures, the same text."""
    with mpl.rc_context({"svg.hashsalt": "route-feedback", "svg.fonttype": "path"}):
        return _saved(figure, transparent=False)


def inline_svg(figure: Figure, label: str, titles: Mapping[str, str] | None = None) -> str:
    """The picture as an element of a page, in the page's colours and font.

    label: what it shows, for who cannot see it. titles: of an artist's gid, what is shown when it is pointed at.
    Gids become classes, as two pictures of a page may share them.
    """
    with mpl.rc_context({"svg.hashsalt": label, "svg.fonttype": "none"}):
        text = _saved(figure, transparent=True)
    text = re.sub(r"<style.*?</style>|<!--.*?-->|<g id=\"[^\"]*\"/>", "", text[text.index("<svg") :], flags=re.DOTALL)
    text = re.sub(r"<svg [^>]*(viewBox=\"[^\"]*\")[^>]*>", rf'<svg \1 role="img" aria-label="{escape(label)}">', text)
    text = re.sub(r"font-family: [^;\"]*", "font-family: system-ui, sans-serif", text)
    text = re.sub(r' d="[^"]*"', lambda path: re.sub(r"(\.\d)\d+", r"\1", path[0].replace("\n", "")), text)
    for colour, variable in VARIABLES.items():
        text = text.replace(colour, f"var({variable})")

    def classed(group: re.Match[str]) -> str:
        title = (titles or {}).get(group[1])
        return f'<g class="{group[1]}">' + (f"<title>{escape(title)}</title>" if title else "")

    return re.sub(r'<g id="([^"]*)">', classed, text)


def _saved(figure: Figure, *, transparent: bool) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", transparent=transparent, metadata=_NO_METADATA)
    return out.getvalue()


def curve(points: Sequence[tuple[float, float]]) -> Figure:
    """A figure over the steps that have it: (step, value), two or more."""
    figure, axes = _framed(*CURVE_SIZE)
    middle, low, high = stretches(points)
    if len(points) > BINS:
        axes.fill_between(middle[:, 0], low, high, color=BLUE, alpha=0.18, linewidth=0, clip_on=False, gid="band")
    axes.plot(middle[:, 0], middle[:, 1], color=BLUE, linewidth=2, clip_on=False, gid="curve")
    axes.set_xlim(points[0][0], points[-1][0])
    axes.xaxis.set_major_locator(_round_numbers(4))
    _bounded(axes.yaxis, [value for _, value in points], 4)
    return figure


def stretches(points: Sequence[tuple[float, float]]) -> tuple[Array, Array, Array]:
    """Neighbouring points taken together: their mean, (stretches, 2), and the least and greatest value in each."""
    parts = np.array_split(np.array(points, dtype=float), min(len(points), BINS))
    middle, low, high = (np.array([of(part, axis=0) for part in parts]) for of in (np.mean, np.min, np.max))
    return middle, low[:, 1], high[:, 1]


def plane(choice: ChoiceRecord) -> Figure | None:
    """Candidates and the base, general accuracy to the right and leaf F1 upwards; None where the first is unknown.

    A point's gid is `point-` and its place in `points_of`.
    """
    points = points_of(choice)
    if any(point.general is None for point in points):
        return None
    figure, axes = _framed(*PLANE_SIZE)
    front = [(one.general.value, one.leaf_f1.value) for one in choice.candidates if one.on_front and one.general]
    axes.plot(*zip(*sorted(front), strict=True), color=BLUE, linewidth=1.5, clip_on=False, gid="front")
    for number, point in enumerate(points):
        _draw(axes, point, number, choice)
    if choice.base and choice.base.general:
        _draw_floor(axes, choice.base.general.low)
    axes.set_xlabel("general accuracy", color=INK, fontsize=12)
    axes.set_ylabel("leaf F1", color=INK, fontsize=12)
    _bounded(axes.xaxis, [end for point in points if point.general for end in point.general.interval_95], 6)
    _bounded(axes.yaxis, [end for point in points for end in point.leaf_f1.interval_95], 6)
    return figure


def points_of(choice: ChoiceRecord) -> list[CandidateRecord | BaseRecord]:
    """What the plane shows: the candidates in their order, and the base where there is one."""
    return [*choice.candidates, *([choice.base] if choice.base else [])]


def _draw(axes: Axes, point: CandidateRecord | BaseRecord, number: int, choice: ChoiceRecord) -> None:
    """A point within its intervals, and beside it its number in the table."""
    if point.general is None:
        return
    at = point.general.value, point.leaf_f1.value
    is_base, is_chosen = point is choice.base, point.name == choice.chosen
    colour = INK if is_base else GREEN if is_chosen else BLUE
    axes.errorbar(
        *at,
        xerr=_error_bar(point.general),
        yerr=_error_bar(point.leaf_f1),
        fmt="none",
        ecolor=QUIET,
        elinewidth=1,
        clip_on=False,
    )
    if is_chosen:
        axes.plot(*at, "o", markersize=18, color="none", markeredgecolor=GREEN, clip_on=False, gid="ring")
    face = "none" if is_base else colour
    axes.plot(*at, "o", markersize=10, color=face, markeredgecolor=colour, clip_on=False, gid=f"point-{number}")
    axes.annotate(
        "base" if is_base else str(number + 1),
        at,
        (10, 8),
        textcoords="offset points",
        color=GREEN if is_chosen else QUIET,
        fontsize=12 if is_chosen else 11,
        fontweight="bold" if is_chosen else "normal",
        gid="halo",
    )


def _draw_floor(axes: Axes, floor: float) -> None:
    axes.axvline(floor, color=QUIET, linestyle=(0, (4, 4)), linewidth=1, clip_on=False, gid="floor")
    place = axes.get_xaxis_transform()
    axes.annotate("the base's lower end", (floor, 1), (5, -10), place, "offset points", color=QUIET, fontsize=11)


def _error_bar(estimate: Estimate) -> list[list[float]]:
    low, high = estimate.interval_95
    return [[max(0.0, estimate.value - low)], [max(0.0, high - estimate.value)]]


def _framed(width: int, height: int) -> tuple[Figure, Axes]:
    """Axes to the left and below, in the page's quiet colours. Sizes are in points."""
    figure = Figure(figsize=(width / POINTS_AN_INCH, height / POINTS_AN_INCH), layout="constrained")
    axes: Axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(LINE)
    axes.tick_params(length=0, pad=6, labelcolor=QUIET, labelsize=11)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.6g}"))
    return figure, axes


def _bounded(axis: Axis, values: Sequence[float], ticks: int) -> None:
    """Round bounds around the values, and about so many round numbers between them."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    named = _round_numbers(ticks).tick_values(low, high)
    axis.set_ticks(named)
    axis.set_view_interval(named[0], named[-1], ignore=True)


def _round_numbers(count: int) -> MaxNLocator:
    return MaxNLocator(count, steps=[1, 2, 2.5, 5, 10])
