"""A base that cannot be loaded is named in one line before anything is started, with what to do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from serve.commands.options import check_named
from serve.routing.loading import pair_of
from serve.routing.model_files import INDEX, check_model_files
from serve.settings import Settings
from taxonomy.errors import CheckpointInvalid
from taxonomy.tree import Leaf, taxonomy_of
from tests.support.bases import rewrite, small_base

SMALL = taxonomy_of([Leaf(("Delivery", "Late"), "after the day", team="logistics")])
WEIGHTS = "model.safetensors"


def without(*names: str) -> Callable[[Path], None]:
    def remove(folder: Path) -> None:
        for name in names:
            (folder / name).unlink()

    return remove


def pickled(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()


def as_gguf(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "model.gguf")


def gguf_alone(folder: Path) -> None:
    as_gguf(folder)
    (folder / "config.json").unlink()


def cut(folder: Path) -> None:
    file = folder / WEIGHTS
    file.write_bytes(file.read_bytes()[:-100])


def written(name: str, text: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / name).write_text(text)

    return write


def slow_alone(folder: Path) -> None:
    without("tokenizer.json")(folder)
    rewrite(folder / "tokenizer_config.json", tokenizer_class="ByT5Tokenizer")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without("config.json"), "has no config.json; give a directory with"),
        (written("config.json", "{"), r"config.json cannot be read \(Expecting"),
        (written("config.json", "[]"), "config.json holds no JSON object"),
        (lambda folder: rewrite(folder / "config.json", architectures=None), "names no architectures"),
        (lambda folder: rewrite(folder / "config.json", model_type=None), "names no model_type"),
        (without(WEIGHTS), r"holds no weights \(\*.safetensors\)"),
        (pickled, r"holds its weights pickled \(pytorch_model.bin\).* save them as safetensors"),
        (as_gguf, r"holds its weights as GGUF \(model.gguf\); .* train from it"),
        (gguf_alone, "holds model.gguf and no config.json; .* train from it"),
        (cut, r"model.safetensors has \d+ bytes of \d+; copy the model again"),
        (written(WEIGHTS, "weights"), "model.safetensors is no safetensors file, or is cut short"),
        (written(WEIGHTS, ""), "model.safetensors is no safetensors file, or is cut short"),
        (written(WEIGHTS, "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"), "pointer of Git LFS"),
        (written(INDEX, json.dumps({"weight_map": {"a": "model-9.safetensors"}})), "model-9.safetensors is missing"),
        (written(INDEX, "{}"), "weight_map names no files"),
        (without("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"), "its tokenizer cannot be loaded"),
        (written("tokenizer.json", "{}"), "its tokenizer cannot be loaded"),
        (slow_alone, "has no fast tokenizer"),
        (lambda folder: rewrite(folder / "tokenizer_config.json", eos_token=None), "names no eos_token"),
        (written("chat_template.jinja", "{{ raise_exception('no') }}"), "its chat template refuses"),
    ],
)
def test_what_is_wrong_with_a_base_is_one_line(tmp_path: Path, spoil: Callable[[Path], None], said: str) -> None:
    base = small_base(tmp_path / "base")
    spoil(base)
    with pytest.raises(CheckpointInvalid, match=said) as refused:
        pair_of(str(base), SMALL, tmp_path / "cache")
    assert "\n" not in str(refused.value)
    assert str(base) in str(refused.value)


def test_a_gguf_file_as_a_checkpoint_is_refused_before_anything_is_imported(tmp_path: Path) -> None:
    file = tmp_path / "model.Q4_1.gguf"
    file.write_bytes(b"GGUF")
    with pytest.raises(CheckpointInvalid, match=r"is a GGUF file, not a model's directory; .* train from it"):
        check_named(Settings(checkpoint=str(file)))
    with pytest.raises(CheckpointInvalid, match="there is no checkpoint directory"):
        check_named(Settings(checkpoint=str(tmp_path / "none.gguf")))


def test_weights_in_several_files_are_as_good_as_in_one(tmp_path: Path) -> None:
    base = small_base(tmp_path / "base", max_shard_size="100KB")
    assert len(list(base.glob("model-*.safetensors"))) > 1
    check_model_files(str(base))
    assert pair_of(str(base), SMALL, tmp_path / "cache").checkpoint == f"base:{base}"
    lost = max(base.glob("model-*.safetensors"))
    lost.unlink()
    with pytest.raises(CheckpointInvalid, match=f"{lost.name} is missing, which {INDEX} names"):
        pair_of(str(base), SMALL, tmp_path / "cache")


def test_a_taxonomy_without_room_in_the_context_is_named_with_its_tokens(tmp_path: Path) -> None:
    wide = taxonomy_of([Leaf(("Delivery", f"Kind {n}"), "words " * 9, team="logistics") for n in range(60)])
    base = small_base(tmp_path / "base", context=600)
    pair = pair_of(str(base), SMALL, tmp_path / "cache")
    with pytest.raises(CheckpointInvalid) as refused:
        pair_of(str(base), wide, tmp_path / "cache")
    said = str(refused.value)
    assert f"taxonomy {wide.version} does not fit into the prompt: with its 60 paths it takes" in said
    assert "the context holds 600; leave out descriptions" in said
    assert "\n" not in said
    asked = len(pair.prompt.of("late"))
    with pytest.raises(CheckpointInvalid, match=f"the context holds {asked}; leave out descriptions"):
        pair_of(str(base), SMALL, tmp_path / "cache", context=asked)
