"""LoRA and DoRA: learned beside a base that stays, and merged into it without a trace."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.manifest import hashes, read_manifest, verify
from taxonomy.errors import RecipeInvalid, TrainingStopped
from taxonomy.language.language import language_of
from tests.support.tokenizers import tokenizer_of_kind
from tests.support.training_processes import Signal
from train.advice import known, settled, warnings
from train.corpus.generator import Corpus, load_phrasebook
from train.data.batches import Batch, collate
from train.data.encode import encode
from train.loop.adapters import adapted, merged, trained
from train.loop.sft import fresh_model, logits_at
from train.plan import plan
from train.recipe import Recipe
from train.recipe_parts import Adapter, Architecture
from train.run import run

TOKENIZER = tokenizer_of_kind("bundled")
SHAPE = Architecture(vocabulary=len(TOKENIZER), hidden=64, layers=2, intermediate=64, context=4096)
TINY: dict[str, Any] = {"corpus": 40, "exposures": 1.5, "optimisation": {"batch": 8, "learning_rate": 1e-3}}
AdapterKind = Literal["lora", "dora"]
both_kinds = pytest.mark.parametrize("kind", ["lora", "dora"])


def quiet(_: str) -> None:
    """Nobody reads along."""


def model() -> PreTrainedModel:
    return fresh_model(SHAPE, len(TOKENIZER), TOKENIZER.pad_token_id, TOKENIZER.eos_token_id, seed=0)


@pytest.fixture(scope="module")
def batch() -> Batch:
    taxonomy = bundled_taxonomy()
    comments = Corpus(load_phrasebook(), "train").comments(6)
    return collate(list(encode(comments, language_of(TOKENIZER, taxonomy), "decisions")), [], TOKENIZER.pad_token_id)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "base"
    shape = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 2048}
    run(Recipe.model_validate(TINY | {"architecture": shape, "dtype": "float32"}), folder, quiet)
    return folder


def moved(wrapped: PeftModel) -> PeftModel:
    """As if it had been trained: every number of the adapter is another."""
    torch.manual_seed(1)
    for parameter in wrapped.parameters():
        if parameter.requires_grad:
            parameter.data += 0.05 * torch.randn_like(parameter)
    return wrapped


@both_kinds
def test_an_adapter_changes_nothing_before_it_is_trained(kind: AdapterKind, batch: Batch) -> None:
    plain = model()
    wrapped = adapted(model(), Adapter(kind=kind), seed=0)
    with torch.no_grad():
        before, after = logits_at(plain, plain, batch), logits_at(wrapped, wrapped, batch)
    assert torch.allclose(before, after, atol=1e-5)
    assert trained(wrapped) < trained(plain) / 2


@both_kinds
def test_merged_weights_give_the_logits_of_base_and_adapter(kind: AdapterKind, batch: Batch) -> None:
    plain = model()
    wrapped = moved(adapted(model(), Adapter(kind=kind, rank=4), seed=0))
    with torch.no_grad():
        unmerged = logits_at(wrapped, wrapped, batch)
        ordinary = merged(wrapped)
        after = logits_at(ordinary, ordinary, batch)
        assert (unmerged - logits_at(plain, plain, batch)).abs().max() > 0.1
    assert torch.allclose(unmerged, after, atol=1e-4)
    assert ordinary.state_dict().keys() == plain.state_dict().keys()


def test_only_the_targets_are_touched() -> None:
    wrapped = adapted(model(), Adapter(targets=["q_proj"]), seed=0)
    names = [name for name, parameter in wrapped.named_parameters() if parameter.requires_grad]
    assert names
    assert all(".q_proj.lora_" in name for name in names)
    with pytest.raises(RecipeInvalid, match=r"adapter\.targets: .*nowhere"):
        adapted(model(), Adapter(targets=["nowhere"]), seed=0)


@both_kinds
def test_a_run_publishes_an_ordinary_checkpoint_and_on_request_the_adapter_too(
    kind: AdapterKind, base: Path, tmp_path: Path
) -> None:
    changes: dict[str, Any] = {"continue_from": str(base), "dtype": "float32", "packing": 1024}
    shape = json.loads((base / "config.json").read_text())
    plain = {"kind": kind, "rank": 4, "dropout": 0.1}
    manifest = run(Recipe.model_validate(TINY | changes | {"adapter": plain}), tmp_path / "plain", quiet)
    verify(tmp_path / "plain", read_manifest(tmp_path / "plain"))
    assert not (tmp_path / "plain" / "adapter").exists()
    assert json.loads((tmp_path / "plain" / "config.json").read_text()) == shape
    one, other = (load_file(folder / "model.safetensors") for folder in (base, tmp_path / "plain"))
    assert one.keys() == other.keys()
    assert torch.equal(one["model.embed_tokens.weight"], other["model.embed_tokens.weight"])
    assert not torch.equal(one["model.layers.0.mlp.up_proj.weight"], other["model.layers.0.mlp.up_proj.weight"])

    beside = run(Recipe.model_validate(TINY | changes | {"adapter": plain | {"keep": True}}), tmp_path / "kept", quiet)
    assert beside.version == manifest.version
    assert beside.training["adapter"] == hashes(tmp_path / "kept" / "adapter")
    begun = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    loaded = PeftModel.from_pretrained(begun, tmp_path / "kept" / "adapter")
    whole = AutoModelForCausalLM.from_pretrained(tmp_path / "kept", dtype=torch.float32)
    tokens = torch.arange(3, 99)[None]
    assert AutoTokenizer.from_pretrained(tmp_path / "kept").eos_token_id is not None
    with torch.no_grad():
        assert torch.allclose(loaded(tokens).logits, whole(tokens).logits, atol=1e-4)


@both_kinds
def test_the_plan_counts_what_is_trained_without_loading_weights(kind: AdapterKind, base: Path) -> None:
    recipe = Recipe.model_validate(TINY | {"continue_from": str(base), "adapter": {"kind": kind, "rank": 4}})
    planned = plan(recipe.data, recipe.start, recipe.training, quiet)
    whole = AutoModelForCausalLM.from_pretrained(base)
    assert planned.parameters == whole.num_parameters()
    assert recipe.adapter
    assert planned.trained == trained(adapted(whole, recipe.adapter, seed=0)) < planned.parameters


def test_replay_is_held_to_the_base_through_an_adapter(base: Path, tmp_path: Path) -> None:
    replay = [{"name": "suite", "suite": 300, "share": 0.2}]
    changes = {"continue_from": str(base), "adapter": {}, "replay": replay, "replay_kl": 0.5}
    manifest = run(Recipe.model_validate(TINY | changes), tmp_path / "out", quiet)
    assert manifest.data["mix"]["suite"]["share"] == pytest.approx(0.2, abs=0.005)


def test_a_run_through_an_adapter_that_was_stopped_goes_on_to_the_same_weights(base: Path, tmp_path: Path) -> None:
    asked = Recipe.model_validate(TINY | {"continue_from": str(base), "adapter": {"rank": 4, "dropout": 0.1}})
    with pytest.raises(TrainingStopped, match="after step 3 of"):
        run(asked, tmp_path / "out", quiet, callbacks=[Signal(3, signal.SIGTERM)])
    whole = run(asked, tmp_path / "whole", quiet)
    assert run(asked, tmp_path / "out", quiet, resume=True).version == whole.version


def test_learning_rates_of_adapters_are_their_own() -> None:
    replay = [{"name": "suite", "suite": 300, "share": 0.2}]
    begun = {"base": "somewhere", "exposures": 2, "replay": replay}
    adapter = Recipe.model_validate(begun | {"adapter": {}})
    for parameters in (1e9, 8e9, 30e9):
        run_ = known(parameters, adapter.adapter)
        assert settled(adapter.training, int(parameters)).learning_rate == run_.learning_rate
        assert run_.low <= run_.learning_rate <= run_.high
        assert run_.learning_rate >= 10 * known(parameters).learning_rate
        assert warnings(adapter.training, adapter.data, int(parameters)) == []
    hot = Recipe.model_validate(begun | {"adapter": {}, "optimisation": {"learning_rate": 1e-2}})
    (warning,) = warnings(hot.training, hot.data, 8 * 10**9)
    assert warning.startswith("learning rate 0.01: published runs of this size used 1e-05 to 0.0005")


def test_a_fresh_model_takes_no_adapter() -> None:
    with pytest.raises(ValueError, match="an `adapter` needs a base"):
        Recipe.model_validate(TINY | {"adapter": {}})
