"""The active pair: a checkpoint and a taxonomy, with all that is made from both once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath

from llguidance import LLTokenizer
from llguidance.hf import from_tokenizer
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from serve.settings import Settings
from taxonomy.automaton import Automaton
from taxonomy.checkpoint import MANIFEST, check_pair, read_manifest, verify
from taxonomy.errors import CheckpointInvalid
from taxonomy.formats import load
from taxonomy.grammar import label_rules
from taxonomy.labels import CheckpointId
from taxonomy.prompt import Prompt, PromptStyle
from taxonomy.tokens import Tokens
from taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Pair:
    """One checkpoint with one taxonomy; an answer is made by one pair and names it."""

    checkpoint: CheckpointId
    model: str
    taxonomy: Taxonomy
    tokens: Tokens
    prompt: Prompt
    label_rules: str
    bytes_of: LLTokenizer

    @cached_property
    def automaton(self) -> Automaton:
        """The language in tokens: what bounds an answer's length, and what scripted engines walk."""
        return Automaton(self.taxonomy, self.tokens)


def load_pair(settings: Settings) -> Pair:
    """The pair that the settings name. Raises TaxonomyInvalid, CheckpointInvalid or CallWrong."""
    return pair_of(settings.checkpoint, load(settings.taxonomy))


def pair_of(model: str, taxonomy: Taxonomy) -> Pair:
    """A checkpoint (directory with a manifest) or a base model (directory or hub id) with a taxonomy."""
    folder = FilePath(model)
    if (folder / MANIFEST).is_file() or not _is_base_model(folder, model):
        manifest = read_manifest(folder)
        verify(folder, manifest)
        check_pair(manifest, taxonomy)
        checkpoint, style = manifest.version, manifest.prompt_style
    else:
        checkpoint, style = CheckpointId(f"base:{model}"), PromptStyle.IN_CONTEXT
    tokenizer = _tokenizer(model)
    tokens = Tokens(tokenizer)
    return Pair(
        checkpoint=checkpoint,
        model=model,
        taxonomy=taxonomy,
        tokens=tokens,
        prompt=Prompt(tokenizer, tokens, taxonomy, style),
        label_rules=label_rules(taxonomy),
        bytes_of=from_tokenizer(tokenizer),
    )


def _is_base_model(folder: FilePath, model: str) -> bool:
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
