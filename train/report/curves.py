"""Figures of a run as the geometry of small pictures: curves over steps, and candidates on both axes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

LEFT: Final = 62
TOP: Final = 12
BINS: Final = 150
"""A curve of more steps is drawn as the means of so many stretches, in the band of their extremes."""


class Axis(NamedTuple):
    """Values from `low` to `high` on pixels from `start` to `end`, and the values that are named beside it."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]

    def at(self, value: float) -> float:
        return round(self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start), 1)

    @property
    def marks(self) -> list[dict[str, Any]]:
        return [{"at": self.at(tick), "text": f"{tick:g}"} for tick in self.ticks]


def axis(values: Sequence[float], start: float, end: float, ticks: int = 4) -> Axis:
    """Round bounds around the values."""
    low, high = min(values), max(values)
    if low == high:
        low, high = low - (abs(low) or 1) / 10, high + (abs(high) or 1) / 10
    named = MaxNLocator(ticks, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    # 12 digits: 0.30000000000000004 is named 0.3.
    named = tuple(float(f"{tick:.12g}") for tick in named)
    return Axis(named[0], named[-1], start, end, named)


def curve(steps: Sequence[Mapping[str, Any]], name: str, width: int = 460, height: int = 190) -> dict[str, Any] | None:
    """A figure over the steps that have it; None where fewer than two do. Sizes are in pixels."""
    known = [(step["step"], step[name]) for step in steps if name in step]
    if len(known) < 2:  # noqa: PLR2004 (a line has two ends)
        return None
    parts = np.array_split(np.array(known, dtype=float), min(len(known), BINS))
    middle, low, high = (
        [(float(part[:, 0].mean()), float(of(part[:, 1]))) for part in parts] for of in (np.mean, np.min, np.max)
    )
    x = axis([at for at, _ in known], LEFT, width - 12)
    x = x._replace(
        low=known[0][0], high=known[-1][0], ticks=tuple(t for t in x.ticks if known[0][0] <= t <= known[-1][0])
    )
    y = axis([value for _, value in known], height - 30, TOP)
    return {
        "width": width,
        "height": height,
        "x": x.marks,
        "y": y.marks,
        "line": _points(middle, x, y),
        "band": _points([*low, *reversed(high)], x, y) if len(known) > BINS else "",
        "last": known[-1][1],
    }


def _points(values: Sequence[tuple[float, float]], x: Axis, y: Axis) -> str:
    return " ".join(f"{x.at(at)},{y.at(value)}" for at, value in values)


def plane(choice: Mapping[str, Any], width: int = 640, height: int = 400) -> dict[str, Any] | None:
    """Candidates and the base, general accuracy to the right and leaf F1 upwards; None where the first is unknown."""
    named = [(str(number), one) for number, one in enumerate(choice["candidates"], 1)]
    named += [("base", choice["base"])] if choice["base"] else []
    if any(one["general"] is None for _, one in named):
        return None
    x = axis([v for _, one in named for v in one["general"]["interval_95"]], LEFT, width - 20, 6)
    y = axis([v for _, one in named for v in one["leaf_f1"]["interval_95"]], height - 44, TOP, 6)
    points = [
        {
            "name": name,
            "kind": "base" if name == "base" else "chosen" if one["name"] == choice["chosen"] else "candidate",
            "title": one["name"],
            "x": x.at(one["general"]["value"]),
            "y": y.at(one["leaf_f1"]["value"]),
            "x_95": [x.at(v) for v in one["general"]["interval_95"]],
            "y_95": [y.at(v) for v in one["leaf_f1"]["interval_95"]],
        }
        for name, one in named
    ]
    on_front = [(one["general"]["value"], one["leaf_f1"]["value"]) for one in choice["candidates"] if one["on_front"]]
    floor = choice["base"] and x.at(choice["base"]["general"]["interval_95"][0])
    return {
        "width": width,
        "height": height,
        "x": x.marks,
        "y": y.marks,
        "points": points,
        "front": _points(sorted(on_front), x, y),
        "floor": floor,
    }
