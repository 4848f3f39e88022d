"""A model's directory or hub id, and a taxonomy -> the pair of both. The one place where a tokenizer is loaded."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from serve.engine.model import Model
from serve.routing.pair import Pair
from serve.routing.source import source_of
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.labels import CheckpointId
from taxonomy.language.compiled import cached
from taxonomy.language.prompt import Prompt
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy


def pair_of(model: str, taxonomy: Taxonomy, cache: Path, bases: Callable[[CheckpointId], Path] | None = None) -> Pair:
    """A checkpoint (directory with a manifest) or a base model (directory or hub id) with a taxonomy.

    cache: the folder of compiled taxonomies. bases: gives an adapter's base by its id; None: it lies beside it, as in
    a registry. Raises CheckpointInvalid, or CallWrong where the cache cannot be written to.
    """
    source = source_of(model, taxonomy, bases)
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
