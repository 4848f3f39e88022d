"""A model's directory or hub id, and a taxonomy -> the pair of both. The one place where a tokenizer is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from transformers import AutoConfig, AutoTokenizer, PreTrainedConfig, PreTrainedTokenizerFast

from serve.engine.model import Model
from serve.routing.pair import Pair
from serve.routing.source import source_of
from serve.routing.tasks import check_fits
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.labels import CheckpointId
from taxonomy.language.compiled import cached
from taxonomy.language.prompt import Prompt
from taxonomy.language.tokens import Tokens, clear_call_settings
from taxonomy.tree import Taxonomy

_STRETCHED: Final = ("linear", "dynamic")
"""Kinds of RoPE whose factor is not in the context that a config states."""


def pair_of(
    model: str,
    taxonomy: Taxonomy,
    cache: Path,
    bases: Callable[[CheckpointId], Path] | None = None,
    context: int | None = None,
) -> Pair:
    """A checkpoint (directory with a manifest) or a base model (directory, packaged one or hub id) with a taxonomy.

    cache: the folder of compiled taxonomies and packaged bases. bases: gives an adapter's base by its id; None: it lies
    beside it, as in a registry. context: the tokens that an engine is to hold at once; None: as many as the model says.
    Raises CheckpointInvalid, or CallWrong where the cache cannot be written to.
    """
    source = source_of(model, taxonomy, cache, bases)
    tokenizer = load_tokenizer(source.path)
    tokens = Tokens(tokenizer)
    prompt = Prompt(tokenizer, tokens, taxonomy, source.style, source.form)
    started = time.perf_counter()
    try:
        automaton, file = cached(taxonomy, tokens, cache, source.form)
    except OSError as error:
        raise CallWrong(f"cannot write to {cache} ({error.strerror}); set ROUTE_FEEDBACK_CACHE") from error
    compile_s = time.perf_counter() - started
    pair = Pair(
        model=Model(source.checkpoint, source.path, automaton, file, source.adapter),
        taxonomy=taxonomy,
        tokens=tokens,
        prompt=prompt,
        compile_s=compile_s,
        calibration=source.calibration,
    )
    if context := context or _stated_context(source.path, tokenizer):
        check_fits(pair, context)
    return pair


def load_tokenizer(model: str, **options: str) -> PreTrainedTokenizerFast:
    """A directory's or hub id's, without what belongs to a call. Raises CheckpointInvalid. options: of transformers."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(model, **options)
    except Exception as error:  # the hub, the file system and the parser raise whatever they like
        raise CheckpointInvalid(
            f"{model}: its tokenizer cannot be loaded ({_one_line(error)}); check the path or hub id"
        ) from error
    if not isinstance(tokenizer, PreTrainedTokenizerFast):
        raise CheckpointInvalid(f"{model} has no fast tokenizer; use a model that has one (tokenizer.json)")
    clear_call_settings(tokenizer)
    return tokenizer


def context_of(config: PreTrainedConfig) -> int | None:
    """The most tokens that a model's config says it takes; None where it says nothing."""
    text = config.get_text_config()
    stated = getattr(text, "max_position_embeddings", None)
    scaling = getattr(text, "rope_parameters", None) or {}
    if stated and scaling.get("rope_type") in _STRETCHED:
        return int(stated * (scaling.get("factor") or 1))
    return int(stated) if stated else None


def _stated_context(model: str, tokenizer: PreTrainedTokenizerFast) -> int | None:
    """What an engine takes from a model's files; None where only the engine can read what they say."""
    try:
        stated = context_of(AutoConfig.from_pretrained(model))
    except (OSError, ValueError, KeyError):
        return None
    return min(stated, int(tokenizer.model_max_length)) if stated else None


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
