"""One training run, read downward: corpus, tokenizer, rows, model, fit, publish."""

from __future__ import annotations

import os
import platform
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path as FilePath
from typing import Any

import torch
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from taxonomy.answer import written
from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint import Manifest, check_pair, hashes, publish, read_manifest, verify, version_of
from taxonomy.comments import LabelledComment, labelled
from taxonomy.compiled import compiled
from taxonomy.errors import CallWrong
from taxonomy.prompt import PROMPT_VERSION, Prompt, PromptStyle
from taxonomy.tokens import Tokens
from taxonomy.tree import Taxonomy
from train.average import average
from train.corpus import SEED, Corpus, fingerprint, load_phrasebook, on_cuts
from train.embeddings import word_vectors
from train.encode import encode
from train.noise import words_left_out
from train.recipe import Average, Recipe
from train.sft import Batches, begin_with, fit, fresh_model
from train.tokenizer import learn_tokenizer


def run(recipe: Recipe | Average, out: FilePath, say: Callable[[str], None]) -> Manifest:
    """Train (or average) by the recipe and publish a checkpoint in `out`, which must be empty. Raises CallWrong."""
    if out.exists() and any(out.iterdir()):
        raise CallWrong(f"{out} is not empty; give another --out or remove it")
    out.mkdir(parents=True, exist_ok=True)
    return average(recipe, out, say) if isinstance(recipe, Average) else _trained(recipe, out, say)


def _trained(recipe: Recipe, out: FilePath, say: Callable[[str], None]) -> Manifest:
    torch.set_num_threads(os.cpu_count() or 1)
    taxonomy = bundled_taxonomy()

    say(f"making {recipe.corpus} training comments")
    comments = list(Corpus(load_phrasebook(), "train", even=recipe.even).comments(recipe.corpus))
    shape = recipe.architecture
    if recipe.continue_from:
        say(f"going on from {recipe.continue_from}")
        base, model, tokenizer = _begun(FilePath(recipe.continue_from), taxonomy)
    else:
        say("learning the tokenizer")
        tokenizer = learn_tokenizer(_tokenizer_texts(comments, taxonomy), shape.vocabulary, shape.context)
        base = None
        model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, recipe.seed)
    tokens = Tokens(tokenizer)
    say("encoding")
    automaton = compiled(taxonomy, tokens)
    prompt = Prompt(tokenizer, tokens, taxonomy, PromptStyle.LEARNED)
    seen = tqdm(exposures(comments, recipe), total=recipe.optimisation.comments, unit=" comments", leave=False)
    rows = list(encode(seen, automaton, tokens, prompt, recipe.loss))
    if recipe.word_vectors:
        say("placing the embeddings")
        begin_with(model, word_vectors(comments, tokens, len(tokenizer), shape.hidden, recipe.seed))
    data = Batches(rows, recipe.optimisation.batch, tokens.eos, recipe.seed)
    say(
        f"training {model.num_parameters() / 1e6:.1f} M parameters for {len(data)} steps of {recipe.optimisation.batch}"
    )
    started = time.monotonic()
    figures = fit(model, data, recipe.optimisation, out, recipe.seed)
    seconds = time.monotonic() - started

    model.to(getattr(torch, recipe.dtype)).save_pretrained(out)
    tokenizer.save_pretrained(out)
    files = hashes(out)
    manifest = Manifest(
        version=version_of(files),
        files=files,
        taxonomy=taxonomy.version,
        prompt=PROMPT_VERSION,
        prompt_style=PromptStyle.LEARNED,
        base_model=base,
        recipe=recipe.model_dump(),
        data={"train": _described(comments)},
        training={"seconds": round(seconds), "steps": len(data), "loss": figures["train_loss"], **_machine()},
    )
    publish(out, manifest)
    return manifest


def _begun(folder: FilePath, taxonomy: Taxonomy) -> tuple[str, PreTrainedModel, PreTrainedTokenizerFast]:
    """A published checkpoint's id, weights (float32) and tokenizer. Raises CheckpointInvalid."""
    manifest = read_manifest(folder)
    verify(folder, manifest)
    check_pair(manifest, taxonomy)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    return manifest.version, model, AutoTokenizer.from_pretrained(folder)


def exposures(comments: Sequence[LabelledComment], recipe: Recipe) -> Iterator[LabelledComment]:
    """The comments as often as the recipe has them seen; every second time with words left out."""
    rate = recipe.optimisation.word_dropout
    for index in range(recipe.optimisation.comments):
        comment = comments[index % len(comments)]
        rng = random.Random(f"{recipe.seed}/{index}")
        parts = words_left_out(comment.parts, rate, rng) if rate and rng.random() < 0.5 else comment.parts  # noqa: PLR2004
        yield labelled(comment.id, parts) if on_cuts(parts) else comment


def _tokenizer_texts(comments: Iterable[LabelledComment], taxonomy: Taxonomy) -> Iterable[str]:
    """Comments and answers as they will be seen, and every label once more: rare ones are to be few tokens too."""
    for comment in comments:
        yield comment.comment
        yield written(comment.parts)
    for leaf in taxonomy.leaves:
        yield from leaf.path


def _described(comments: Sequence[LabelledComment]) -> dict[str, Any]:
    return {"comments": len(comments), "seed": SEED, "fingerprint": fingerprint(comments)}


def _machine() -> dict[str, Any]:
    return {"torch": torch.__version__, "machine": platform.machine(), "cores": os.cpu_count()}
