"""A run's report: one HTML file beside what the run keeps, made of the manifest and the file of its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from eval.report.files import page
from taxonomy.checkpoint.manifest import Manifest
from taxonomy.files import write_text
from train.loop.steps import KL
from train.report.curves import curve, plane

REPORT: Final = "report.html"
CURVES: Final = {
    "loss": "Loss",
    KL: "KL to the base, on comments",
    "learning_rate": "Learning rate",
    "tokens_per_s": "Tokens a second",
}
"""What is drawn of a run's steps."""
MACHINE: Final = ("machine", "cores", "torch", "processes", "device")


def write_report(manifest: Manifest, steps: Sequence[Mapping[str, Any]], folder: Path) -> Path:
    """steps: as `steps.jsonl` has them, in order. Raises OSError."""
    file = folder / REPORT
    write_text(page("run.html", value(manifest, steps), Path(__file__).parent / "data"), file)
    return file


def value(manifest: Manifest, steps: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the page shows."""
    training = manifest.training
    choice = training.get("choice")
    drawn = {name: curve(steps, name) for name in CURVES}
    return {
        "version": manifest.version,
        "base": manifest.base_model,
        "taxonomy": manifest.taxonomy,
        "tiles": _tiles(manifest),
        "mix": manifest.data["mix"],
        "checked": {name: _found(counts) for name, counts in manifest.data["checked"].items()},
        "skipped": {name: count for name, count in manifest.data["skipped"].items() if count},
        "curves": [{"title": CURVES[name]} | shape for name, shape in drawn.items() if shape],
        "choice": choice,
        "plane": plane(choice) if choice else None,
        "recipe": yaml.safe_dump(_stated(manifest.recipe), sort_keys=False, allow_unicode=True),
        "machine": {name: training[name] for name in MACHINE if name in training},
    }


def _tiles(manifest: Manifest) -> dict[str, str]:
    """The figures that stand first."""
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
