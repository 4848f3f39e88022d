"""Models to measure on: random weights of any size on the taxonomy's own tokenizer, and a checkpoint's noisy copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import Qwen3Config, Qwen3ForCausalLM

from serve.routing.pair import Pair
from taxonomy.checkpoint.manifest import MANIFEST, Manifest, checkpoint_id, hashes, publish, read_manifest
from taxonomy.labels import CheckpointId
from taxonomy.language.prompt import PROMPT_VERSION, PromptStyle


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
        prompt=PROMPT_VERSION,
        prompt_style=PromptStyle.LEARNED,
        base_model=None,
        recipe={"random": {"layers": layers, "hidden": hidden}},
        data={},
    )
    publish(folder, manifest)
    return manifest.version
