"""Recipes, rows and a real, very short training."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.errors import CallWrong, RecipeInvalid
from taxonomy.language.language import language_of
from tests.support.tokenizers import tokenizer_of_kind
from train.corpus.generator import Corpus, load_phrasebook
from train.data.batches import collate
from train.data.encode import TrainingRow, encode
from train.data.mixture import batches
from train.loop.sft import fresh_model, loss_of
from train.recipe import Average, Recipe, load_recipe
from train.recipe_parts import Architecture, Optimisation
from train.run import run

RECIPES = Path("train/recipes")
TINY = Recipe(
    corpus=40,
    architecture=Architecture(vocabulary=600, hidden=64, layers=1, intermediate=64, context=2048),
    optimisation=Optimisation(comments=48, batch=8),
)


@pytest.fixture(scope="module")
def rows() -> list[TrainingRow]:
    tokenizer = tokenizer_of_kind("bundled")
    taxonomy = bundled_taxonomy()
    comments = Corpus(load_phrasebook(), "train").comments(40)
    return list(encode(comments, language_of(tokenizer, taxonomy), "decisions"))


@pytest.mark.parametrize("file", sorted(RECIPES.glob("*.yaml")), ids=lambda file: str(file.name))
def test_the_shipped_recipes_are_valid(file: Path) -> None:
    assert load_recipe(file).model_dump()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("optimisation: {comments: 5}\nlearning_rate: 1", r"r\.yaml:2: learning_rate: unknown key"),
        ("optimisation: {comments: 5, bach: 1}", r"optimisation\.bach: unknown key; did you mean 'batch'\?"),
        ("optimisation: {comments: 0}", "optimisation.comments: Input should be greater than 0"),
        ("seed: 1", r"r\.yaml: give `exposures` or `optimisation.comments`, one of them"),
        (
            "loss: everything\noptimisation: {comments: 5}",
            "loss: Input should be 'constrained', 'decisions' or 'completion'",
        ),
        ("- a", "it holds no keys with values"),
        (": {", "not YAML"),
    ],
)
def test_a_wrong_recipe_names_the_key(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeInvalid, match=said):
        load_recipe(tmp_path / "r.yaml")


def test_only_decisions_are_learned_and_they_are_few(rows: list[TrainingRow]) -> None:
    for row in rows:
        assert 0 < len(row.learned) < len(row.tokens) / 3
        assert (np.diff(row.learned) > 0).all()


def test_batches_hold_every_row_once_and_depend_on_the_seed_alone(rows: list[TrainingRow]) -> None:
    lengths = np.array([len(row.tokens) for row in rows])
    made = batches(lengths, 8, seed=3)
    assert sorted(i for batch in made for i in batch) == list(range(len(rows)))
    assert [b.tolist() for b in made] == [b.tolist() for b in batches(lengths, 8, seed=3)]
    assert [b.tolist() for b in made] != [b.tolist() for b in batches(lengths, 8, seed=4)]


def test_the_loss_is_that_of_each_row_alone(rows: list[TrainingRow]) -> None:
    """Padding and neighbours in the batch change nothing."""
    tokenizer = tokenizer_of_kind("bundled")
    shape = Architecture(vocabulary=len(tokenizer), hidden=64, layers=2, intermediate=64, context=4096)
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, seed=0)
    batch = collate(rows[:6], [], tokenizer.pad_token_id)
    together = loss_of(model, model, batch | {"total": torch.tensor(1.0)}).item()
    alone = 0.0
    for row in rows[:6]:
        logits = model(input_ids=torch.from_numpy(row.tokens).long()[None]).logits[0]
        wanted = torch.from_numpy(row.tokens[row.learned]).long()
        alone += torch.nn.functional.cross_entropy(logits[row.learned - 1], wanted, reduction="sum").item()
    assert together == pytest.approx(alone, rel=1e-4)


def test_a_run_publishes_a_whole_checkpoint_and_the_same_one_again(tmp_path: Path) -> None:
    said: list[str] = []
    first = run(TINY, tmp_path / "a", said.append)
    second = run(TINY, tmp_path / "b", said.append)
    assert first.version == second.version
    assert first.taxonomy == bundled_taxonomy().version
    verify(tmp_path / "a", read_manifest(tmp_path / "a"))
    assert any("training" in line for line in said)
    with pytest.raises(CallWrong, match="is not empty"):
        run(TINY, tmp_path / "a", said.append)


def quiet(_: str) -> None:
    """Nobody reads along."""


def test_an_average_is_the_weighted_mean_of_checkpoints_of_one_origin(tmp_path: Path) -> None:
    a, b, c, mean = (tmp_path / name for name in ("a", "b", "c", "mean"))
    run(TINY, a, quiet)
    run(TINY.model_copy(update={"continue_from": str(a), "seed": 1}), b, quiet)
    run(TINY.model_copy(update={"corpus": 30}), c, quiet)
    parts = [{"checkpoint": str(a), "weight": 3}, {"checkpoint": str(b), "weight": 1}]
    manifest = run(Average.model_validate({"average": parts}), mean, quiet)
    verify(mean, read_manifest(mean))
    assert manifest.base_model == read_manifest(a).version
    assert manifest.data == {part.version: part.data for part in (read_manifest(a), read_manifest(b))}
    one, other, both = (load_file(folder / "model.safetensors") for folder in (a, b, mean))
    assert any(not torch.equal(one[name], other[name]) for name in one)
    for name, tensor in both.items():
        expected = (one[name].float() * 0.75 + other[name].float() * 0.25).to(tensor.dtype)
        assert torch.equal(tensor, expected)
    with pytest.raises(CallWrong, match="another tokenizer"):
        run(Average.model_validate({"average": [parts[0], {"checkpoint": str(c), "weight": 1}]}), tmp_path / "d", quiet)


def test_the_bundled_checkpoint_is_whole_small_and_made_by_the_shipped_recipe() -> None:
    manifest = read_manifest(BUNDLED_CHECKPOINT)
    verify(BUNDLED_CHECKPOINT, manifest)
    # What a recipe may say grows; what this one did not say is as it was.
    assert Recipe.model_validate(manifest.recipe) == load_recipe(RECIPES / "bundled.yaml")
    assert manifest.taxonomy == bundled_taxonomy().version
    assert (BUNDLED_CHECKPOINT / "model.safetensors").stat().st_size <= 24 * 2**20
    config = json.loads((BUNDLED_CHECKPOINT / "config.json").read_text())
    assert config["architectures"] == ["Qwen3ForCausalLM"]
