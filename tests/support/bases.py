"""Small base models in the formats that people have them in."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from serve.routing.packaged import PackagedBase
from tests.support.gguf_files import write_gguf
from tests.support.tokenizers import tokenizer_of_kind


def small_model(tokenizer: PreTrainedTokenizerFast, context: int = 4096, *, tied: bool = False) -> LlamaForCausalLM:
    """Random weights, the same each time."""
    torch.manual_seed(0)
    config = LlamaConfig(
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=len(tokenizer),
        max_position_embeddings=context,
        tie_word_embeddings=tied,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
    )
    return LlamaForCausalLM(config).eval()


def small_base(folder: Path, context: int = 4096, **saving: Any) -> Path:
    """A chat model's directory that was never ours, with the bundled tokenizer. saving: for `save_pretrained`."""
    tokenizer = tokenizer_of_kind("bundled")
    small_model(tokenizer, context).save_pretrained(folder, **saving)
    tokenizer.save_pretrained(folder)
    return folder


def small_package(site: Path, name: str = "small", *, tied: bool = False) -> PackagedBase:
    """A package with a small model and the bundled tokenizer, as pip would install it into `site`."""
    module = f"{name}_base"
    described = site / f"{module}-1.0.dist-info"
    (site / module).mkdir(parents=True)
    described.mkdir()
    file, tokenizer = site / module / "small.gguf", tokenizer_of_kind("bundled")
    write_gguf(small_model(tokenizer, tied=tied), tokenizer, file)
    (site / module / "__init__.py").write_text("raise RuntimeError('its code ran')")
    (described / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}-base\nVersion: 1.0\n")
    (described / "LICENSE").write_text("Do as you please.")
    (described / "RECORD").write_text(f"{module}/small.gguf,,\n{described.name}/LICENSE,,\n")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return PackagedBase(name, f"{name}-base", "1.0", f"{module}/small.gguf", digest, "MIT", splits_digits=True)


def rewrite(file: Path, **changed: Any) -> None:
    """Other values for some keys of a JSON file; None removes one."""
    content = json.loads(file.read_text()) | changed
    file.write_text(json.dumps({key: value for key, value in content.items() if value is not None}))
