"""One run of the experiment, in a process of its own: trained, and asked both axes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from eval.decoding.decoder import Decoder, answers
from eval.general.suite import Question, read_questions, score_suite
from eval.scoring.predictions import read_gold
from eval.scoring.scores import score
from taxonomy.checkpoint.manifest import read_manifest
from taxonomy.formats.registry import load_taxonomy
from taxonomy.language.compiled import compiled
from taxonomy.language.prompt import Prompt, PromptStyle
from taxonomy.language.tokens import Tokens
from train.data.batches import collate
from train.data.chats import ChatRows, chat_of
from train.data.encode import Row, encode
from train.experiment.arms import ROWS_REPLAY, Domain, Run, recipe_of
from train.loop.sft import loss_of
from train.run import run

SAMPLE = 500


def done(wanted: Run) -> dict[str, Any]:
    """Train in a folder that is then removed, and give what was measured. Raises what training raises."""
    out = wanted.folder / wanted.name
    for left in (out, out.with_name(f"{out.name}.run")):
        shutil.rmtree(left, ignore_errors=True)
    run(recipe_of(wanted, _rows_share(wanted)), out, lambda _: None, resume=True)
    return measured(wanted.folder, wanted.domain, out, wanted.arm, wanted.seed)


def measured(folder: Path, domain: Domain, checkpoint: Path, arm: str, seed: int) -> dict[str, Any]:
    """Both axes of a checkpoint."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    questions = list(read_questions(folder / "suite-test.jsonl"))
    general = score_suite(questions, answers(model, tokenizer, [question.question for question in questions]))
    gsm8k = folder / "gsm8k-test.jsonl"
    manifest = read_manifest(checkpoint)
    return {
        "domain": domain.name,
        "arm": arm,
        "seed": seed,
        **_customers(model, tokenizer, domain),
        "general": general["all"].share,
        "general_95": general["all"].interval,
        "kinds": {kind: accuracy.share for kind, accuracy in general.items()},
        "gsm8k_nll": _nll(model, tokenizer, list(read_questions(gsm8k))) if gsm8k.is_file() else None,
        "checkpoint": manifest.version,
        "training_s": manifest.training["seconds"],
        "steps": manifest.training["steps"],
        "mix": manifest.data["mix"],
    }


def _customers(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, domain: Domain) -> dict[str, Any]:
    taxonomy, gold, tokens = load_taxonomy(domain.taxonomy), read_gold(domain.test), Tokens(tokenizer)
    prompt = Prompt(tokenizer, tokens, taxonomy, PromptStyle.LEARNED)
    decoder = Decoder(model, tokens, prompt, compiled(taxonomy, tokens))
    predicted = decoder.predict([(comment.id, comment.comment) for comment in gold])
    scores = score(gold, predicted)
    whole = [
        len(p.segments) == 1 and p.segments[0].path == g.segments[0].path for p, g in zip(predicted, gold, strict=True)
    ]
    return {
        "leaf_f1": scores.leaf.f1,
        "leaf_f1_95": scores.leaf_interval,
        "span_f1": scores.span.f1,
        "levels": {name: tally.f1 for name, tally in scores.levels.items()},
        # Where every comment is one segment, the share of comments that are named right as a whole.
        "accuracy": float(np.mean(whole)) if all(len(g.segments) == 1 for g in gold) else None,
    }


@torch.inference_mode()
def _nll(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, questions: Sequence[Question]) -> float:
    """Nats a token of the right answers: perplexity's logarithm."""
    rows = ChatRows(tokenizer, Tokens(tokenizer), model.config.max_position_embeddings)
    encoded = [rows.of(chat_of(question.question, question.answer)) for question in questions]
    total = sum(float(_loss(model, encoded[at : at + 16])) for at in range(0, len(encoded), 16))
    return total / sum(len(row.learned) for row in encoded)


def _loss(model: PreTrainedModel, rows: Sequence[Row]) -> torch.Tensor:
    return loss_of(model, model, collate([], rows, pad=0) | {"total": torch.tensor(1.0)})


def _rows_share(wanted: Run) -> float:
    """The share of supervised tokens at which a quarter of the rows are general, by the mean of a sample of each."""
    tokenizer = AutoTokenizer.from_pretrained(wanted.folder / "base")
    tokens, taxonomy = Tokens(tokenizer), load_taxonomy(wanted.domain.taxonomy)
    prompt = Prompt(tokenizer, tokens, taxonomy, PromptStyle.LEARNED)
    gold = islice(read_gold(wanted.domain.train), SAMPLE)
    comments = encode(gold, compiled(taxonomy, tokens), tokens, prompt, "completion")
    chats = ChatRows(tokenizer, tokens, context=1 << 30)
    every = list(read_questions(wanted.folder / "general.jsonl"))
    drawn = np.random.default_rng(0).choice(len(every), min(SAMPLE, len(every)), replace=False)
    general = (chats.of(chat_of(every[i].question, every[i].answer)) for i in drawn)
    weights = (1 - ROWS_REPLAY) * _mean(comments), ROWS_REPLAY * _mean(general)
    return weights[1] / sum(weights)


def _mean(rows: Iterator[Row]) -> float:
    return float(np.mean([len(row.learned) for row in rows]))
