"""Models to measure on: random weights of any size on the taxonomy's own tokenizer, and a checkpoint's noisy copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, Qwen3Config, Qwen3ForCausalLM

from serve.routing.pair import Pair
from taxonomy.checkpoint.manifest import MANIFEST, Manifest, checkpoint_id, hashes, publish, read_manifest
from taxonomy.labels import CheckpointId
from taxonomy.language.prompt import PromptStyle, prompt_version


def noisy_checkpoint(source: Path, folder: Path, share: float = 0.1, seed: int = 1) -> CheckpointId:
    """A checkpoint's copy that decides some things otherwise: noise, by so much of its spread, on each matrix."""
    shutil.copytree(source, folder)
    generator = torch.Generator().manual_seed(seed)
    for file in folder.glob("*.safetensors"):
        weights = load_file(file)
        for name, matrix in weights.items():
            if matrix.ndim == 2:  # noqa: PLR2004 (norms are vectors, and are left as they are)
                noise = torch.randn(matrix.shape, generator=generator) * matrix.float().std() * share
                weights[name] = (matrix.float() + noise).to(matrix.dtype)
        save_file(weights, file, {"format": "pt"})
    files = hashes(folder)
    manifest = read_manifest(folder).model_copy(
        update={"version": checkpoint_id(files), "files": files, "calibration": None, "decision": None, "scores": {}}
    )
    publish(folder, manifest)
    return manifest.version


def widened_checkpoint(source: Path, folder: Path, layers: int = 16, hidden: int = 1024) -> CheckpointId:
    """A larger model that decides as the source does, a Qwen3 decoder: what is added is zeros, which cost as much.

    211 M parameters by default, and the embeddings. The answers are real, and their number of tokens with them.
    """
    small = AutoConfig.from_pretrained(source)
    config = Qwen3Config.from_dict(
        small.to_dict()
        | {
            "hidden_size": hidden,
            "intermediate_size": 3 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // small.head_dim,
            "num_key_value_heads": hidden // small.head_dim,
            "layer_types": None,
        }
    )
    large = Qwen3ForCausalLM(config)
    weights = Qwen3ForCausalLM.from_pretrained(source, dtype=torch.float32).state_dict()
    # A norm divides by the mean square over the width, to which zeros add nothing but their number.
    narrower = (small.hidden_size / hidden) ** 0.5
    with torch.no_grad():
        for name, tensor in large.state_dict().items():
            tensor.zero_()
            if (own := weights.get(name)) is not None:
                scale = narrower if own.ndim == 1 and own.shape[0] == small.hidden_size else 1.0
                tensor[tuple(map(slice, own.shape))] = own * scale
    shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "config.json", MANIFEST))
    large.to(torch.float32).save_pretrained(folder)
    files = hashes(folder)
    updated = {"version": checkpoint_id(files), "files": files, "calibration": None, "fingerprint": None, "scores": {}}
    manifest = read_manifest(source).model_copy(update=updated | {"decision": None})
    publish(folder, manifest)
    return manifest.version


def random_checkpoint(pair: Pair, folder: Path, layers: int = 16, hidden: int = 1024) -> CheckpointId:
    """A Qwen3 decoder (211 M parameters by default) that answers the pair's prompt with whatever comes."""
    tokenizer = pair.tokens.tokenizer
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=pair.tokens.size,
        hidden_size=hidden,
        intermediate_size=3 * hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        num_key_value_heads=hidden // 128,
        head_dim=64,
        max_position_embeddings=32_768,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=None,
    )
    (folder / MANIFEST).unlink(missing_ok=True)
    Qwen3ForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)  # type: ignore[attr-defined]  # a `transformers` tokenizer
    files = hashes(folder)
    manifest = Manifest(
        version=checkpoint_id(files),
        files=files,
        taxonomy=pair.taxonomy.version,
        prompt=prompt_version(pair.automaton.form),
        prompt_style=PromptStyle.LEARNED,
        form=pair.automaton.form,
        base_model=None,
        recipe={"random": {"layers": layers, "hidden": hidden}},
        data={},
    )
    publish(folder, manifest)
    return manifest.version
