"""A run that chooses among its own weights publishes the chosen one, says why, and leaves a report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from route_feedback import main
from taxonomy.checkpoint.manifest import read_manifest, verify
from train.choosing.candidates import candidates
from train.loop.steps import KL, STEPS, read_steps
from train.recipe import Recipe
from train.run import run

SHAPE = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 2048}
SUITE = {"name": "suite", "suite": 300, "share": 0.2}
TINY: dict[str, Any] = {"corpus": 40, "exposures": 1, "architecture": SHAPE, "optimisation": {"batch": 8}}
CHOOSE = {"last": 2, "every": 2, "comments": 4, "questions": 11}


def quiet(_: str) -> None:
    """Nobody reads along."""


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "base"
    only = {"exposures": 0, "tokens": 400, "replay": [SUITE | {"share": 1}]}
    run(Recipe.model_validate(TINY | only), folder, quiet)
    return folder


def test_a_run_on_a_base_scores_every_candidate_on_both_axes_and_publishes_one(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = TINY | {"continue_from": str(base), "replay": [SUITE], "choose": CHOOSE | {"alphas": [0.5, 1.0]}}
    file, out = tmp_path / "recipe.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(asked))
    names = ["last, alpha 0.5", "last", "mean of 2, alpha 0.5", "mean of 2"]
    assert main(["train", str(file), "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["choice"]["candidates"] == names

    assert main(["train", str(file), "--out", str(out)]) == 0
    said = capsys.readouterr().err
    assert f"checkpoint fingerprint {out}" in said
    manifest = read_manifest(out)
    verify(out, manifest)
    choice = manifest.training["choice"]
    assert [one["name"] for one in choice["candidates"]] == names
    assert choice["chosen"] in names
    assert (choice["validation"]["comments"], choice["validation"]["questions"]) == (4, 11)
    for one in [choice["base"], *choice["candidates"]]:
        for axis in ("leaf_f1", "general"):
            low, high = one[axis]["interval_95"]
            assert 0 <= low <= one[axis]["value"] <= high <= 1
    assert any(one["on_front"] for one in choice["candidates"])
    page = (tmp_path / "out.run" / "report.html").read_text()
    assert f'id="chosen">{choice["chosen"]}<' in page
    assert manifest.version in page
    assert "KL to the base, on comments" in page
    assert all(step[KL] > 0 for step in read_steps(tmp_path / "out.run" / STEPS)), "a run so short logs it each step"
    assert not (tmp_path / "out.run" / "saved").exists()
    assert {path.name for path in tmp_path.iterdir()} == {"recipe.yaml", "out", "out.run"}, "nothing unfinished is left"


def test_a_fresh_model_has_no_base_to_stay_at_and_is_chosen_by_what_was_asked(tmp_path: Path) -> None:
    manifest = run(Recipe.model_validate(TINY | {"choose": CHOOSE}), tmp_path / "out", quiet)
    choice = manifest.training["choice"]
    assert choice["base"] is None
    assert [one["general"] for one in choice["candidates"]] == [None, None]
    assert choice["reason"].startswith("highest leaf F1; no general question")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"choose": CHOOSE | {"alphas": [0.5]}}, "`choose.alphas` other than 1 need a base"),
        ({"choose": CHOOSE | {"alphas": [0.5, 0.5]}}, "two of `choose.alphas` are equal"),
        ({"choose": CHOOSE, "base": "b", "architecture": None}, "`choose` needs `general` questions"),
        ({"choose": CHOOSE | {"last": 0}}, "greater than 0"),
    ],
)
def test_what_could_not_be_chosen_among_is_refused(changes: dict[str, Any], said: str) -> None:
    asked = {name: value for name, value in (TINY | changes).items() if value is not None}
    with pytest.raises(ValidationError, match=said):
        Recipe.model_validate(asked)


def test_the_choice_in_the_documentation_is_one_that_a_recipe_may_ask_for() -> None:
    text = Path("docs/choosing.md").read_text().split("```yaml\n")[1].split("```")[0]
    shown = Recipe.model_validate({"exposures": 2, "base": "somewhere"} | yaml.safe_load(text))
    assert shown.choose
    assert len(candidates(shown.choose, 500)) == 6, "as many as the page says"
