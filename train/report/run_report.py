"""A run's report: one HTML file beside what the run keeps, made of the manifest and the file of its steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final

import yaml

from eval.report.files import page
from taxonomy.checkpoint.manifest import Manifest
from taxonomy.files import write_text
from train.loop.steps import KL
from train.report.choice import ChoiceRecord
from train.report.pictures import curve, inline_svg, plane, points_of

REPORT: Final = "report.html"
CURVES: Final = {
    "loss": "Loss",
    KL: "KL to the base, on comments",
    "learning_rate": "Learning rate",
    "tokens_per_s": "Tokens a second",
}
"""What is drawn of a run's steps."""
MACHINE: Final = ("machine", "cores", "torch", "processes", "device")


@dataclass(frozen=True)
class Curve:
    """A figure over a run's steps. last: its value at the end. svg: an element of the page."""

    title: str
    last: float
    svg: str


@dataclass(frozen=True)
class RunPage:
    """What the page shows. tiles: the figures that stand first. mix: as the manifest has it. checked: what was found.

    skipped: rows left out. plane: None where general accuracy was not measured, or nothing was chosen.
    """

    version: str
    base: str | None
    taxonomy: str
    tiles: dict[str, str]
    mix: dict[str, dict[str, float]]
    checked: dict[str, str]
    skipped: dict[str, int]
    curves: list[Curve]
    choice: ChoiceRecord | None
    plane: str | None
    recipe: str
    machine: dict[str, str | int]


def write_report(manifest: Manifest, steps: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """steps: as `steps.jsonl` has them, in order. Raises OSError."""
    file = folder / REPORT
    content = run_page(manifest, steps)
    values = {field.name: getattr(content, field.name) for field in fields(content)}
    write_text(page("run.html", values, Path(__file__).parent / "data"), file)
    return file


def run_page(manifest: Manifest, steps: Sequence[Mapping[str, Any]]) -> RunPage:
    """What the manifest and the steps of a run say."""
    training, data = manifest.training, manifest.data
    choice = ChoiceRecord.model_validate(training["choice"]) if "choice" in training else None
    return RunPage(
        version=manifest.version,
        base=manifest.base_model,
        taxonomy=manifest.taxonomy,
        tiles=_tiles(manifest),
        mix=data["mix"],
        checked={name: _found(counts) for name, counts in data["checked"].items()},
        skipped={name: count for name, count in data["skipped"].items() if count},
        curves=list(_curves(steps)),
        choice=choice,
        plane=_plane(choice) if choice else None,
        recipe=yaml.safe_dump(_stated(manifest.recipe), sort_keys=False, allow_unicode=True),
        machine={name: training[name] for name in MACHINE if name in training},
    )


def _curves(steps: Sequence[Mapping[str, Any]]) -> Iterator[Curve]:
    """Of each figure that two steps have."""
    for name, title in CURVES.items():
        points = [(step["step"], step[name]) for step in steps if name in step]
        if len(points) > 1:
            last = points[-1][1]
            yield Curve(title, last, inline_svg(curve(points), f"{title} over the steps, at last {last:.4g}"))


def _plane(choice: ChoiceRecord) -> str | None:
    titles = {f"point-{number}": point.name for number, point in enumerate(points_of(choice))}
    figure = plane(choice)
    label = f"The candidates by general accuracy and leaf F1; chosen: {choice.chosen}"
    return inline_svg(figure, label, titles) if figure else None


def _tiles(manifest: Manifest) -> dict[str, str]:
    training = manifest.training
    tokens = sum(entry["tokens"] for entry in manifest.data["mix"].values())
    tiles = {"steps": f"{training['steps']:,}"} if "steps" in training else {}
    tiles |= {"supervised tokens": f"{tokens:,}"}
    tiles |= {"seconds": f"{training['seconds']:,}"} if "seconds" in training else {}
    tiles |= {"mean loss": f"{training['loss']:.4f}"} if "loss" in training else {}
    return tiles | ({"published": training["choice"]["chosen"]} if "choice" in training else {})


def _found(counts: Mapping[str, int]) -> str:
    """The counts that are not zero, in words."""
    found = [f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count]
    return ", ".join(found) or "nothing"


def _stated(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe without what it leaves out."""
    return {name: value for name, value in recipe.items() if value not in (None, [], {})}
