"""Bases as people have them: every format is read to the same weights, or refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sentencepiece
import torch
from safetensors.torch import load_file, save_file

from serve.routing.model_files import check_model_files
from taxonomy.errors import CheckpointInvalid
from taxonomy.language.prompt import Prompt, PromptStyle
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Leaf, taxonomy_of
from tests.support.bases import rewrite, small_base, small_model
from tests.support.gguf_files import write_gguf
from tests.support.templates import SHAPES
from tests.support.tokenizers import tokenizer_of_kind
from train.base import as_servable, base_config, base_context, base_digest, base_model, base_tokenizer

TOKENIZER = tokenizer_of_kind("bundled")
WEIGHTS = "model.safetensors"
SMALL = taxonomy_of([Leaf(("Delivery", "Late"), "after the day", team="logistics")])


def as_one_file(folder: Path) -> str:
    return str(small_base(folder))


def as_shards(folder: Path) -> str:
    return str(small_base(folder, max_shard_size="100KB"))


def as_pickle(folder: Path) -> str:
    small_base(folder)
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    return str(folder)


def as_gguf_file(folder: Path) -> str:
    folder.mkdir()
    write_gguf(small_model(TOKENIZER), TOKENIZER, folder / "small.gguf")
    return str(folder / "small.gguf")


def as_gguf_folder(folder: Path) -> str:
    return str(Path(as_gguf_file(folder)).parent)


@pytest.mark.parametrize("made", [as_one_file, as_shards, as_pickle, as_gguf_file, as_gguf_folder])
def test_every_format_gives_the_same_weights_and_is_saved_as_safetensors(
    tmp_path: Path, made: Callable[[Path], str]
) -> None:
    base, expected = made(tmp_path / "base"), small_model(TOKENIZER)
    model = base_model(base)
    for name, weight in expected.named_parameters():
        assert torch.equal(model.get_parameter(name), weight), name
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert base_context(base) == 4096
    assert base_config(base).model_type == "llama"
    model.save_pretrained(tmp_path / "saved")
    assert torch.equal(base_model(str(tmp_path / "saved")).lm_head.weight, expected.lm_head.weight)
    tokenizer = base_tokenizer(base)
    assert (tokenizer.eos_token_id, tokenizer.chat_template) == (TOKENIZER.eos_token_id, TOKENIZER.chat_template)


def test_weights_that_are_tied_in_a_gguf_file_stay_tied(tmp_path: Path) -> None:
    write_gguf(small_model(TOKENIZER, tied=True), TOKENIZER, tmp_path / "small.gguf")
    model = base_model(str(tmp_path / "small.gguf"))
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight


def test_a_tokenizer_beside_a_gguf_file_goes_before_the_one_in_it(tmp_path: Path) -> None:
    text = "It came late, and it's the 12th."
    base = as_gguf_file(tmp_path / "base")
    TOKENIZER.save_pretrained(tmp_path / "base")
    assert Tokens(base_tokenizer(base)).text(text) == Tokens(TOKENIZER).text(text)


def test_a_base_with_a_sentencepiece_model_alone_is_read(tmp_path: Path) -> None:
    texts = iter([f"The parcel number {n} came late, and nobody answered my {n * 7} mails." for n in range(300)])
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts,
        model_prefix=str(tmp_path / "tokenizer"),
        vocab_size=400,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    small_model(TOKENIZER).save_pretrained(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"tokenizer_class": "LlamaTokenizer", "eos_token": "</s>"}')
    (tmp_path / "chat_template.jinja").write_text(SHAPES["Mistral without system"])
    tokenizer = base_tokenizer(str(tmp_path))
    tokens = Tokens(tokenizer)
    ids = Prompt(tokenizer, tokens, SMALL, PromptStyle.IN_CONTEXT).of('It came late {"é"}.')
    text = tokenizer.backend_tokenizer.decode(ids, skip_special_tokens=False)
    assert "Delivery > Late: after the day" in text
    assert 'It came late {"é"}.' in text
    assert tokens.eos not in tokens.text("</s>")


def without_one_weight(folder: Path) -> None:
    weights = load_file(folder / WEIGHTS)
    weights.pop("lm_head.weight")
    save_file(weights, folder / WEIGHTS, {"format": "pt"})


def without_a_shard(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    as_shards(folder)
    next(folder.glob("model-00002*")).unlink()


def with_two_gguf(folder: Path) -> None:
    (folder / "config.json").unlink()
    for name in ("a.gguf", "b.gguf"):
        (folder / name).write_bytes(b"GGUF")


def cut(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:500])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (without_one_weight, "lacks 1 of its weights, such as lm_head.weight"),
        (without_a_shard, "its weights cannot be read"),
        (cut, "its weights cannot be read"),
        (lambda folder: (folder / WEIGHTS).unlink(), "its weights cannot be read"),
        (lambda folder: (folder / "config.json").unlink(), "its configuration cannot be read"),
        (with_two_gguf, r"holds 2 GGUF files; name one of them \(a.gguf, b.gguf\)"),
        (lambda folder: rewrite(folder / "config.json", model_type="none-such"), "its configuration cannot be read"),
        (lambda folder: rewrite(folder / "config.json", vocab_size=77), "its weights cannot be read"),
    ],
)
def test_what_is_wrong_with_a_base_is_one_line(tmp_path: Path, spoil: Callable[[Path], object], said: str) -> None:
    base = str(small_base(tmp_path / "base"))
    spoil(Path(base))

    def read() -> None:
        base_context(base)
        base_model(base)

    with pytest.raises(CheckpointInvalid, match=said) as refused:
        read()
    assert base in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_gguf_file_that_is_none_or_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="there is no such file"):
        base_config(str(tmp_path / "none.gguf"))
    (tmp_path / "a.gguf").write_bytes(b"GGUF, or so it says")
    with pytest.raises(CheckpointInvalid, match="its configuration cannot be read"):
        base_config(str(tmp_path / "a.gguf"))


@pytest.mark.parametrize("made", [as_gguf_file, as_gguf_folder])
def test_a_gguf_base_is_written_as_what_an_engine_reads(made: Callable[[Path], str], tmp_path: Path) -> None:
    base = made(tmp_path / "base")
    servable = as_servable(base, tmp_path / "servable")
    check_model_files(servable)
    expected, found = base_model(base).state_dict(), base_model(servable).state_dict()
    assert all(torch.equal(weights, found[name]) for name, weights in expected.items())
    assert base_tokenizer(servable).chat_template == base_tokenizer(base).chat_template


def test_what_an_engine_reads_already_stays_where_it_is(tmp_path: Path) -> None:
    assert as_servable(as_one_file(tmp_path / "base"), tmp_path / "servable") == str(tmp_path / "base")
    assert not (tmp_path / "servable").exists()


def test_a_base_s_digest_is_that_of_its_files(tmp_path: Path) -> None:
    one, other = as_one_file(tmp_path / "one"), as_one_file(tmp_path / "other")
    assert base_digest(one) == base_digest(other)
    (tmp_path / "other" / "chat_template.jinja").write_text("{{ messages }}")
    assert base_digest(one) != base_digest(other)
    file = as_gguf_file(tmp_path / "gguf")
    before = base_digest(file)
    (tmp_path / "gguf" / "README.md").write_text("nothing that is loaded")
    assert base_digest(file) == before
    (tmp_path / "gguf" / "tokenizer.json").write_text("{}")
    assert base_digest(file) != before
