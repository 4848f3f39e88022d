"""Checkpoints of every form are trained, published, served, and gone on from; also where the taxonomy has changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from serve.routing.loading import pair_of
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import limits_of
from taxonomy.bundled import BUNDLED_TAXONOMY, bundled_taxonomy
from taxonomy.checkpoint.manifest import Manifest, read_manifest
from taxonomy.errors import CheckpointInvalid
from taxonomy.formats.registry import save_taxonomy
from taxonomy.language.forms import Form
from taxonomy.language.own_tokens import FEEDBACK, label_token
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Leaf, taxonomy_of
from tests.support.torch_engine import TorchEngine
from train.models import moved_labels
from train.recipe import Recipe
from train.run import run

SHAPE = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 4096}
COMMENT = "It came late, and the app crashes."


def quiet(_: str) -> None:
    """Nobody reads along."""


def trained(out: Path, **changes: Any) -> Manifest:
    recipe = {"corpus": 24, "optimisation": {"comments": 16, "batch": 8}} | changes
    fresh = {} if {"base", "continue_from"} & changes.keys() else {"architecture": SHAPE}
    return run(Recipe.model_validate(recipe | fresh), out, quiet)


@pytest.fixture(scope="module")
def verbatim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("verbatim") / "out"
    trained(out)
    return out


@pytest.fixture(scope="module")
def in_tokens(verbatim: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """From a base that has none of the tokens."""
    out = tmp_path_factory.mktemp("tokens") / "out"
    trained(out, form="marked", base=str(verbatim))
    return out


async def test_a_checkpoint_is_served_in_the_form_that_it_was_trained_in(tmp_path: Path) -> None:
    manifest = trained(tmp_path / "out", form="marked", word_vectors=True)
    assert (manifest.form, manifest.prompt) == (Form.MARKED, "route/2")
    pair = pair_of(str(tmp_path / "out"), bundled_taxonomy(), tmp_path / "cache")
    assert pair.language.form is Form.MARKED
    router = Router(pair, TorchEngine(pair.automaton, tmp_path / "out"), limits_of(Settings()), context=4096)
    answer = await router.route(COMMENT)
    spans = sorted([*((s.start, s.end) for s in answer.segments), *((r.start, r.end) for r in answer.residue)])
    assert "".join(COMMENT[start:end] for start, end in spans) == COMMENT
    assert all(segment.leaf.path in pair.taxonomy for segment in answer.segments)


def test_new_tokens_begin_at_the_mean_of_their_texts_and_no_row_of_the_base_is_moved_by_them(
    verbatim: Path, in_tokens: Path, tmp_path: Path
) -> None:
    still = tmp_path / "still"
    trained(still, form="marked", base=str(verbatim), optimisation={"comments": 8, "learning_rate": 1e-12})
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).get_input_embeddings().weight
        for folder in (verbatim, still)
    )
    tokens = Tokens(AutoTokenizer.from_pretrained(still))
    assert torch.allclose(before, after[: len(before)], atol=1e-2)
    path = bundled_taxonomy().leaves[0].path
    own, mean = after[tokens.own(label_token(path)) or 0], before[tokens.text(f" {path[-1]}")].mean(dim=0)
    assert torch.cosine_similarity(own, mean, dim=0) > 0.8
    assert read_manifest(in_tokens).form is Form.MARKED


def test_a_form_is_gone_on_from_in_that_form_alone(verbatim: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="answers in the form verbatim, the recipe asks for marked"):
        trained(tmp_path / "out", form="marked", continue_from=str(verbatim))


def test_labels_that_moved_keep_their_tokens_when_the_taxonomy_has_changed(in_tokens: Path, tmp_path: Path) -> None:
    old = bundled_taxonomy()
    area = old.leaves[0].path[0]
    changed = taxonomy_of(
        Leaf(("Renamed", *x.path[1:]), x.description, x.synonyms) if x.path[0] == area else x for x in old.leaves
    )
    save_taxonomy(changed, tmp_path / "changed.yaml")
    moved = moved_labels(old, changed)
    assert moved[label_token(("Renamed",))] == label_token((area,))
    comments = tmp_path / "comments.jsonl"
    comments.write_text('{"id": "a", "comment": "It came late.", "segments": []}\n')
    corpus = {"comments": [str(comments)], "taxonomy": str(tmp_path / "changed.yaml")}
    going_on = {"form": "marked", "continue_from": str(in_tokens), "corpus": corpus}
    with pytest.raises(CheckpointInvalid, match="was trained on taxonomy"):
        trained(tmp_path / "refused", **going_on)
    slow = {"comments": 1, "batch": 1, "learning_rate": 1e-12}
    manifest = trained(tmp_path / "out", **going_on, trained_on=str(BUNDLED_TAXONOMY), optimisation=slow)
    assert manifest.taxonomy == changed.version
    pair_of(str(tmp_path / "out"), changed, tmp_path / "cache")
    before, after = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).get_input_embeddings().weight
        for folder in (in_tokens, tmp_path / "out")
    )
    tokens = Tokens(AutoTokenizer.from_pretrained(tmp_path / "out"))
    one, other = tokens.own(label_token((area,))), tokens.own(label_token(("Renamed",)))
    assert one is not None
    assert other is not None
    assert torch.allclose(before[one], after[other], atol=1e-2)


def test_an_adapter_learns_the_new_tokens_too(verbatim: Path, tmp_path: Path) -> None:
    trained(tmp_path / "out", form="marked", base=str(verbatim), adapter={"rank": 2})
    still = tmp_path / "still"
    trained(
        still,
        form="marked",
        base=str(verbatim),
        adapter={"rank": 2},
        optimisation={"comments": 8, "learning_rate": 1e-12},
    )
    learned, begun = (
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).get_input_embeddings().weight
        for folder in (tmp_path / "out", still)
    )
    closing = Tokens(AutoTokenizer.from_pretrained(still)).own(FEEDBACK) or 0
    assert not torch.equal(learned[closing], begun[closing])
    assert torch.equal(learned[:500], begun[:500])
