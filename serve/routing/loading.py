"""A model's directory or hub id, and a taxonomy -> the pair of both. The one place where a tokenizer is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from serve.engine.model import Model
from serve.routing.pair import Pair
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.checkpoint.manifest import MANIFEST, Manifest, check_pair, read_manifest, verify
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.labels import CheckpointId
from taxonomy.language.compiled import cached
from taxonomy.language.prompt import Prompt, PromptStyle
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy


class _Source(NamedTuple):
    """What is to be loaded: weights, perhaps an adapter of them, and what is known of both."""

    checkpoint: CheckpointId
    path: str
    adapter: str | None
    style: PromptStyle
    calibration: Calibration | None


def pair_of(model: str, taxonomy: Taxonomy, cache: Path, bases: Callable[[CheckpointId], Path] | None = None) -> Pair:
    """A checkpoint (directory with a manifest) or a base model (directory or hub id) with a taxonomy.

    cache: the folder of compiled taxonomies. bases: gives an adapter's base by its id; None: it lies beside it, as in
    a registry. Raises CheckpointInvalid, or CallWrong where the cache cannot be written to.
    """
    source = _source(model, taxonomy, bases)
    tokenizer = _tokenizer(source.path)
    tokens = Tokens(tokenizer)
    started = time.perf_counter()
    try:
        automaton, file = cached(taxonomy, tokens, cache)
    except OSError as error:
        raise CallWrong(f"cannot write to {cache} ({error.strerror}); set ROUTE_FEEDBACK_CACHE") from error
    compile_s = time.perf_counter() - started
    return Pair(
        model=Model(source.checkpoint, source.path, automaton, file, source.adapter),
        taxonomy=taxonomy,
        tokens=tokens,
        prompt=Prompt(tokenizer, tokens, taxonomy, source.style),
        compile_s=compile_s,
        calibration=source.calibration,
    )


def _source(model: str, taxonomy: Taxonomy, bases: Callable[[CheckpointId], Path] | None) -> _Source:
    folder = Path(model)
    if not (folder / MANIFEST).is_file() and _is_base_model(folder, model):
        return _Source(CheckpointId(f"base:{model}"), model, None, PromptStyle.IN_CONTEXT, None)
    manifest = _sound(folder, taxonomy)
    path, adapter = model, None
    if manifest.adapter_of:
        base = bases(manifest.adapter_of) if bases else folder.parent / manifest.adapter_of
        path, adapter = str(base), model
        _sound(base, taxonomy)
    return _Source(manifest.version, path, adapter, manifest.prompt_style, manifest.calibration)


def _sound(folder: Path, taxonomy: Taxonomy) -> Manifest:
    manifest = read_manifest(folder)
    verify(folder, manifest)
    check_pair(manifest, taxonomy)
    return manifest


def _is_base_model(folder: Path, model: str) -> bool:
    """A model directory that was never ours, or a hub id such as `org/name`."""
    if folder.is_dir():
        return (folder / "config.json").is_file()
    return not folder.is_absolute() and model.count("/") == 1 and not model.startswith(".")


def _tokenizer(model: str) -> PreTrainedTokenizerFast:
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except Exception as error:  # the hub, the file system and the parser raise whatever they like
        what = " ".join(str(error).split())[:300]
        raise CheckpointInvalid(
            f"{model}: its tokenizer cannot be loaded ({what}); check the path or hub id"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast) or not tokenizer.chat_template:
        raise CheckpointInvalid(f"{model} has no fast tokenizer with a chat template; use a chat model that has both")
    return tokenizer
