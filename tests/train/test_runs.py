"""Whole runs, very short: customer files, replay, a base, and a plan that the run then keeps."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from route_feedback import main
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.comments import write_comments
from taxonomy.errors import CheckpointInvalid, DataInvalid
from taxonomy.language.prompt import PromptStyle
from train.advice import known, settled, warnings
from train.corpus.generator import Corpus, load_phrasebook
from train.plan import TrainingPlan, plan
from train.recipe import Recipe
from train.run import run

SHAPE = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 2048}
REPLAY = [{"name": "suite", "suite": 300, "share": 0.2}]
TINY: dict[str, Any] = {"corpus": 40, "exposures": 1.5, "architecture": SHAPE, "optimisation": {"batch": 8}}


def quiet(_: str) -> None:
    """Nobody reads along."""


def recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate(TINY | changes)


def planned(asked: Recipe) -> TrainingPlan:
    return plan(asked.data, asked.start, asked.training, quiet)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A general base: trained on the suite alone, its tokenizer made for comments too."""
    folder = tmp_path_factory.mktemp("runs") / "base"
    only = [{"name": "suite", "suite": 300, "share": 1}]
    run(recipe(exposures=0, tokens=800, replay=only), folder, quiet)
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_comments(Corpus(load_phrasebook(), "train").comments(30), tmp_path / "data.jsonl")
    return tmp_path / "data.jsonl"


def test_a_base_trained_on_general_data_alone_reads_the_taxonomy_in_the_prompt(base: Path) -> None:
    manifest = read_manifest(base)
    verify(base, manifest)
    assert manifest.prompt_style is PromptStyle.IN_CONTEXT
    mix = manifest.data["mix"]
    assert mix["comments"]["tokens"] == 0
    assert mix["suite"]["tokens"] == pytest.approx(800, rel=0.02)


def test_replay_of_some_of_the_suites_kinds() -> None:
    hard = {"name": "hard", "suite": 40, "share": 0.2}
    # A JSON object is more tokens than what the suite answers on the whole, a number is one.
    each = [
        planned(recipe(replay=[hard | kinds])).mix["hard"]
        for kinds in ({"kinds": ["object"]}, {}, {"kinds": ["count"]})
    ]
    sizes = [source.tokens / source.rows for source in each]
    assert sizes[0] > 1.5 * sizes[1]
    assert sizes[1] > 1.5 * sizes[2]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ({"suite": 40, "kinds": ["odd", "sort"]}, "no odd; it has reverse"),
        ({"suite": 40, "kinds": []}, "at least 1"),
        ({"chats": ["a.jsonl"], "kinds": ["sort"]}, "`kinds` are those of the `suite`"),
    ],
)
def test_kinds_that_the_suite_lacks_are_named(source: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValidationError, match=fault):
        recipe(replay=[{"name": "a", "share": 0.2, **source}])


def test_labelled_files_and_replay_on_a_base(base: Path, data: Path, tmp_path: Path) -> None:
    corpus = {"comments": [str(data)], "taxonomy": str(BUNDLED_TAXONOMY)}
    changes: dict[str, Any] = {"corpus": corpus, "replay": REPLAY, "loss": "constrained", "continue_from": str(base)}
    one = run(recipe(**changes), tmp_path / "one", quiet)
    assert one.base_model == read_manifest(base).version
    assert one.data["mix"]["suite"]["share"] == pytest.approx(0.2, abs=0.005)
    assert one.data["mix"]["comments"]["rows"] == 45
    assert one.data["checked"]["comments"]["comments"] == 30
    assert one.prompt_style is PromptStyle.LEARNED
    again = run(recipe(**changes), tmp_path / "again", quiet)
    assert again.version == one.version
    held = run(recipe(**changes, replay_kl=0.5, packing=1024), tmp_path / "held", quiet)
    assert held.version != one.version
    assert held.training["steps"] == one.training["steps"]


def test_a_hugging_face_directory_is_a_base(base: Path, tmp_path: Path) -> None:
    changes = {key: value for key, value in TINY.items() if key != "architecture"}
    manifest = run(Recipe.model_validate(changes | {"base": str(base)}), tmp_path / "out", quiet)
    assert manifest.base_model == str(base)
    verify(tmp_path / "out", read_manifest(tmp_path / "out"))


def test_passes_of_one_step_add_up_to_it(tmp_path: Path) -> None:
    whole = run(recipe(replay=REPLAY), tmp_path / "whole", quiet)
    parts = run(recipe(replay=REPLAY, optimisation={"batch": 8, "accumulate": 2}), tmp_path / "parts", quiet)
    assert parts.training["steps"] == whole.training["steps"]
    assert parts.training["loss"] == pytest.approx(whole.training["loss"], rel=1e-3)


def test_the_plan_is_what_the_run_then_does(base: Path, tmp_path: Path) -> None:
    asked = recipe(replay=REPLAY, continue_from=str(base))
    told = planned(asked)
    manifest = run(asked, tmp_path / "out", quiet)
    assert told.steps == manifest.training["steps"]
    assert {name: source.model_dump() for name, source in told.mix.items()} == manifest.data["mix"]
    assert told.memory_gib.weights_and_optimiser > 0
    assert "no published learning rate" in told.mind[0]


def test_the_plan_says_how_much_is_padding_and_what_helps(base: Path) -> None:
    spread, packed = (planned(recipe(replay=REPLAY, continue_from=str(base), packing=p)) for p in (None, 1024))
    assert spread.padding > max(0.25, packed.padding)
    assert [bool("padding, as rows differ" in "".join(told.mind)) for told in (spread, packed)] == [True, False]


def test_a_dry_run_loads_no_weights_and_writes_nothing(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bare = shutil.copytree(base, tmp_path / "bare", ignore=shutil.ignore_patterns("*.safetensors"))
    file = tmp_path / "recipe.yaml"
    file.write_text(yaml.safe_dump({"corpus": 40, "exposures": 1, "replay": REPLAY, "base": str(bare)}))
    assert main(["train", str(file), "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["mix"]["suite"]["asked"] == 0.2
    assert "asked" not in told["mix"]["comments"]
    assert set(told["largest_pass"]) == {"sequences", "width", "learned"}
    assert (told["cpt"], told["choice"]) == (None, None)
    assert main(["train", str(file), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "suite" in shown
    assert "20.00%" in shown
    assert set(tmp_path.iterdir()) == {bare, file}
    assert main(["train", str(file)]) == 2


def test_data_in_error_stops_a_run_before_it_begins_unless_it_is_to_go_on(data: Path, tmp_path: Path) -> None:
    data.write_text(data.read_text() + "{\n")
    corpus = {"comments": [str(data)], "taxonomy": str(BUNDLED_TAXONOMY)}
    with pytest.raises(DataInvalid, match=r"data.jsonl:31: "):
        run(recipe(corpus=corpus), tmp_path / "out", quiet)
    said: list[str] = []
    manifest = run(recipe(corpus=corpus | {"skip_invalid": True}), tmp_path / "out", said.append)
    assert manifest.data["checked"]["comments"]["invalid"] == 1
    assert any("1 rows in error, left out" in line for line in said)


def test_an_unpublished_folder_is_no_checkpoint_to_go_on_from(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid):
        run(recipe(continue_from=str(tmp_path / "nothing")), tmp_path / "out", quiet)


def test_learning_rates_follow_the_size_of_the_base_and_a_recipe_overrules_them() -> None:
    stated = Recipe.model_validate({"base": "somewhere", "exposures": 2, "replay": REPLAY})
    for parameters in (1e9, 8e9, 30e9):
        rate = settled(stated.training, int(parameters)).learning_rate
        assert rate == known(parameters).learning_rate
        assert known(parameters).low <= rate <= known(parameters).high
        assert warnings(stated.training, stated.data, int(parameters)) == []
    own = Recipe.model_validate(stated.model_dump(exclude_unset=True) | {"optimisation": {"learning_rate": 1e-3}})
    assert settled(own.training, 10**9).learning_rate == 1e-3
    (warning,) = warnings(own.training, own.data, 10**9)
    assert warning.startswith("learning rate 0.001: published runs of this size used 9e-06 to 0.0003")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"replay": []}, "no replay"),
        ({"replay": [{"name": "a", "suite": 5, "share": 0.6}]}, "replay 60%"),
        ({"exposures": 9}, "exposures 9"),
        ({"optimisation": {"batch": 1024}}, "batch 1024"),
        ({"replay": [{"name": "a", "suite": 5, "share": 0.1, "passes": 9}]}, "replay a: 9 passes"),
    ],
)
def test_what_lies_outside_of_the_known_good_range_is_said(changes: dict[str, Any], said: str) -> None:
    stated = Recipe.model_validate({"base": "somewhere", "exposures": 2, "replay": REPLAY} | changes)
    (warning,) = warnings(stated.training, stated.data, 8 * 10**9)
    assert warning.startswith(said)


def test_the_recipe_in_the_documentation_is_a_recipe_within_the_known_good_range() -> None:
    text = Path("docs/recipes.md").read_text().split("```yaml\n")[1].split("```")[0]
    shown = Recipe.model_validate(yaml.safe_load(text))
    assert warnings(shown.training, shown.data, 8 * 10**9) == []
