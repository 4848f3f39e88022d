"""The active pair: a checkpoint and a taxonomy, with all that is made from both once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerFast

from serve.registry.registry import registry_of
from serve.settings import Settings
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.checkpoint.manifest import MANIFEST, Manifest, check_pair, read_manifest, verify
from taxonomy.errors import CallWrong, CheckpointInvalid
from taxonomy.formats.registry import load_taxonomy
from taxonomy.labels import CheckpointId
from taxonomy.language.automaton import Automaton
from taxonomy.language.compiled import cached
from taxonomy.language.prompt import Prompt, PromptStyle
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Pair:
    """One checkpoint with one taxonomy; an answer is made by one pair and names it.

    model: a directory or hub id. adapter: a directory in PEFT's format; then `model` is what its weights are added to.
    automaton: the language of its answers in tokens, which stands compiled in `automaton_file`; `compile_s` seconds
    were spent on it, compiling it or reading it. calibration: None where the checkpoint has none; then probabilities
    are the model's own.
    """

    checkpoint: CheckpointId
    model: str
    taxonomy: Taxonomy
    tokens: Tokens
    prompt: Prompt
    automaton: Automaton
    automaton_file: Path
    compile_s: float
    calibration: Calibration | None = None
    adapter: str | None = None

    @property
    def review_below(self) -> float:
        """A segment less sure than this at any level needs a person's eye."""
        return self.calibration.review_below if self.calibration else self.taxonomy.review_below


def load_pair(settings: Settings) -> Pair:
    """The pair that the settings name. Raises TaxonomyInvalid, CheckpointInvalid or CallWrong."""
    registry = registry_of(settings)
    bases = registry.folder if registry else None
    return pair_of(settings.checkpoint, load_taxonomy(settings.taxonomy), settings.cache.expanduser(), bases)


def pair_of(model: str, taxonomy: Taxonomy, cache: Path, bases: Callable[[CheckpointId], Path] | None = None) -> Pair:
    """A checkpoint (directory with a manifest) or a base model (directory or hub id) with a taxonomy.

    bases: gives an adapter's base by its version; None: it lies beside it, as in a registry.
    """
    folder, adapter = Path(model), None
    if (folder / MANIFEST).is_file() or not _is_base_model(folder, model):
        manifest = _sound(folder, taxonomy)
        checkpoint, style, calibration = manifest.version, manifest.prompt_style, manifest.calibration
        if manifest.adapter_of:
            base = bases(manifest.adapter_of) if bases else folder.parent / manifest.adapter_of
            adapter, model = model, str(base)
            _sound(Path(model), taxonomy)
    else:
        checkpoint, style, calibration = CheckpointId(f"base:{model}"), PromptStyle.IN_CONTEXT, None
    tokenizer = _tokenizer(model)
    tokens = Tokens(tokenizer)
    started = time.perf_counter()
    try:
        automaton, file = cached(taxonomy, tokens, cache)
    except OSError as error:
        raise CallWrong(f"cannot write to {cache} ({error.strerror}); set ROUTE_FEEDBACK_CACHE") from error
    compile_s = time.perf_counter() - started
    return Pair(
        checkpoint=checkpoint,
        model=model,
        taxonomy=taxonomy,
        tokens=tokens,
        prompt=Prompt(tokenizer, tokens, taxonomy, style),
        automaton=automaton,
        automaton_file=file,
        compile_s=compile_s,
        calibration=calibration,
        adapter=adapter,
    )


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
