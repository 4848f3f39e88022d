"""Two trainers timed beside each other do the same work."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from route_feedback import main

TINY: dict[str, Any] = {
    "corpus": 40,
    "exposures": 1,
    "loss": "decisions",
    "architecture": {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 2048},
    "optimisation": {"batch": 8},
}


def test_all_systems_learn_the_same_tokens_of_the_same_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = tmp_path / "recipe.yaml", tmp_path / "figures.json"
    file.write_text(yaml.safe_dump(TINY))
    assert main(["train", "bench", str(file), "--steps", "2", "--rounds", "1", "--out", str(out), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == figures
    rows = {row["system"]: row for row in figures["rows"]}
    assert set(rows) == {"trl", "trl-packed", "own", "own-packed"}
    assert len({row["tokens"] for row in rows.values()}) == 1
    for row in rows.values():
        assert row["loss"] == pytest.approx(rows["trl"]["loss"], rel=1e-3)
    assert set(figures["ratios"]) == {"own / trl", "own-packed / trl", "own-packed / trl-packed"}
    ratio = rows["own"]["tokens_per_second"] / rows["trl"]["tokens_per_second"]
    assert figures["ratios"]["own / trl"] == {"median": ratio, "low": ratio, "high": ratio}
    assert figures["machine"]["cores"] >= 1


def test_the_same_comments_are_fewer_tokens_where_they_are_marked(tmp_path: Path) -> None:
    file, out = tmp_path / "recipe.yaml", tmp_path / "figures.json"
    file.write_text(yaml.safe_dump(TINY | {"loss": "constrained"}))
    call = ["train", "bench", str(file), "--forms", "--steps", "2", "--rounds", "2", "--out", str(out)]
    assert main(call) == 0
    figures = json.loads(out.read_text())
    assert set(figures["forms"]) == {"verbatim", "marked"}
    assert figures["forms"]["marked"]["tokens_a_row"] < 0.7 * figures["forms"]["verbatim"]["tokens_a_row"]
    each = [figures["forms"][form]["comments_per_second"] for form in ("marked", "verbatim")]
    ratios = sorted(one / other for one, other in zip(*each, strict=True))
    assert figures["ratios"]["marked"]["low"] == pytest.approx(ratios[0])
    assert figures["ratios"]["marked"]["high"] == pytest.approx(ratios[1])


@pytest.mark.parametrize(
    ("changes", "more", "said"),
    [
        ({"loss": "constrained"}, [], "of comments alone, with the loss `decisions` or `completion`"),
        ({}, ["--steps", "9"], "the recipe has 5 whole steps, the bench takes 10"),
        ({}, ["--systems", "mine"], "--systems are of trl"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    changes: dict[str, Any], more: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump(TINY | changes))
    assert main(["train", "bench", str(file), *more]) == 2
    assert said in capsys.readouterr().err
