"""A base as people have it: safetensors in one file or several, older weights in pickles, one GGUF file, or a name."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final, NamedTuple

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from serve.routing.dequantised import unquantised
from serve.routing.loading import context_of, load_tokenizer
from serve.routing.source import loadable
from serve.settings import cache_folder
from taxonomy.errors import CheckpointInvalid

_GGUF: Final = ".gguf"
_BESIDE_GGUF: Final = ("tokenizer", "chat_template", "special_tokens")
"""How the files begin that are read with a GGUF file, if they lie beside it."""


class _Source(NamedTuple):
    """Where transformers loads from, and with which options."""

    name: str
    options: dict[str, str]


def base_tokenizer(base: str) -> PreTrainedTokenizerFast:
    """A directory's, GGUF file's, packaged base's or hub id's. Raises CheckpointInvalid.

    A GGUF file names how its tokenizer cuts words, and transformers does not follow that: a tokenizer.json beside it
    goes before it.
    """
    source = _source(base)
    if (Path(source.name) / "tokenizer.json").is_file():
        return load_tokenizer(source.name)
    return load_tokenizer(source.name, **source.options)


def base_config(base: str) -> PreTrainedConfig:
    """Raises CheckpointInvalid."""
    source = _source(base)
    try:
        return AutoConfig.from_pretrained(source.name, **source.options)
    except Exception as error:  # the hub, the file system and the parser raise whatever they like
        raise CheckpointInvalid(f"base {base}: its configuration cannot be read ({_one_line(error)})") from error


def base_context(base: str) -> int:
    """The longest row that it takes, in tokens. Raises CheckpointInvalid."""
    stated = context_of(base_config(base))
    if stated is None:
        raise CheckpointInvalid(f"base {base}: its config.json names no max_position_embeddings; add the model's own")
    return stated


def base_model(base: str) -> PreTrainedModel:
    """The weights in float32, every one of them read. Raises CheckpointInvalid."""
    source = _source(base)
    try:
        model, read = AutoModelForCausalLM.from_pretrained(
            source.name, dtype=torch.float32, output_loading_info=True, **source.options
        )
    except Exception as error:  # as above, and torch's
        raise CheckpointInvalid(f"base {base}: its weights cannot be read ({_one_line(error)})") from error
    if missing := sorted(read["missing_keys"]):
        # Transformers would go on with random numbers in their place.
        raise CheckpointInvalid(f"base {base} lacks {len(missing)} of its weights, such as {missing[0]}; copy it again")
    return unquantised(model) if source.options else model


def base_digest(base: str) -> str:
    """A hash of all files that a base is loaded from; of a hub's, its id and commit. Raises CheckpointInvalid."""
    source = _source(base)
    place = Path(source.name)
    if not place.is_dir():
        return f"{base}@{getattr(base_config(base), '_commit_hash', None) or 'unknown'}"
    weights = source.options.values()
    digest = hashlib.sha256()
    for file in sorted(file for file in place.iterdir() if file.is_file()):
        if weights and file.name not in weights and not file.name.startswith(_BESIDE_GGUF):
            continue
        with file.open("rb") as data:
            digest.update(file.name.encode() + hashlib.file_digest(data, "sha256").digest())
    return digest.hexdigest()[:16]


def as_servable(base: str, folder: Path) -> str:
    """The base itself, or, of a GGUF file, what an engine reads, written into `folder`. Raises CheckpointInvalid."""
    if not _source(base).options:
        return base
    base_model(base).save_pretrained(folder)
    base_tokenizer(base).save_pretrained(folder)
    return str(folder)


def _source(base: str) -> _Source:
    """Raises CheckpointInvalid where a directory holds several GGUF files and nothing else to choose."""
    base = loadable(base, cache_folder(os.environ))
    place = Path(base)
    if place.suffix == _GGUF:
        if not place.is_file():
            raise CheckpointInvalid(f"base {base}: there is no such file")
        return _Source(str(place.parent), {"gguf_file": place.name})
    if not place.is_dir() or (place / "config.json").is_file():
        return _Source(base, {})
    files = sorted(file.name for file in place.glob(f"*{_GGUF}"))
    if len(files) > 1:
        raise CheckpointInvalid(f"base {base} holds {len(files)} GGUF files; name one of them ({', '.join(files[:5])})")
    return _Source(base, {"gguf_file": files[0]} if files else {})


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
