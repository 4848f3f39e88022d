"""One run of the experiment, in a process of its own: trained, and asked both axes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from eval.decoding.decoder import Decoder, answers
from eval.general.suite import Question, read_questions, score_suite
from eval.scoring.predictions import Prediction, read_gold
from eval.scoring.scores import score
from taxonomy.checkpoint.manifest import read_manifest
from taxonomy.comments import LabelledComment
from taxonomy.formats.registry import load_taxonomy
from taxonomy.language.forms import Form
from taxonomy.language.language import language_of
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy
from train.data.batches import collate
from train.data.chats import Chat, ChatRows, chat_of
from train.data.encode import TrainingRow, encode
from train.data.mixture import MixedSource
from train.experiment.arms import BASE, GENERAL, ROWS_REPLAY, ArmRun, Domain, recipe_of
from train.experiment.data import GSM8K_TEST, SUITE_TEST
from train.experiment.results import ArmResult
from train.loop.sft import loss_of
from train.run import run as train

SAMPLE: Final = 500
"""Rows of each source, by which the length of all is estimated."""


def trained_and_measured(run: ArmRun) -> ArmResult:
    """Train in a folder that is removed first, where one is left. Raises what training raises."""
    out = run.folder / run.name
    for left in (out, out.with_name(f"{out.name}.run")):
        shutil.rmtree(left, ignore_errors=True)
    train(recipe_of(run, _rows_share(run)), out, lambda _: None, resume=True)
    return measured(run.folder, run.domain, out, run.arm, run.seed)


def measured(folder: Path, domain: Domain, checkpoint: Path, arm: str, seed: int) -> ArmResult:
    """Both axes of a checkpoint."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    manifest = read_manifest(checkpoint)
    questions = list(read_questions(folder / SUITE_TEST))
    general = score_suite(questions, answers(model, tokenizer, [question.question for question in questions]))
    gsm8k = folder / GSM8K_TEST
    gold = read_gold(domain.test)
    predicted = predictions(model, tokenizer, load_taxonomy(domain.taxonomy), manifest.form, gold)
    scores = score(gold, predicted)
    return ArmResult(
        domain=domain.name,
        arm=arm,
        seed=seed,
        leaf_f1=_scored(scores.leaf.f1),
        leaf_f1_95=scores.leaf_interval,
        span_f1=_scored(scores.span.f1),
        levels={name: _scored(tally.f1) for name, tally in scores.levels.items()},
        accuracy=_accuracy(gold, predicted),
        general=general["all"].share,
        general_95=general["all"].interval,
        kinds={kind: accuracy.share for kind, accuracy in general.items()},
        gsm8k_nll=_nll(model, tokenizer, list(read_questions(gsm8k))) if gsm8k.is_file() else None,
        checkpoint=manifest.version,
        training_s=manifest.training["seconds"],
        steps=manifest.training["steps"],
        mix={name: MixedSource.model_validate(source) for name, source in manifest.data["mix"].items()},
    )


def predictions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    taxonomy: Taxonomy,
    form: Form,
    gold: Sequence[LabelledComment],
) -> list[Prediction]:
    """Of the gold comments, decoded in the form that the model learned."""
    decoder = Decoder(model, language_of(tokenizer, taxonomy, form))
    return decoder.predict([(comment.id, comment.comment) for comment in gold])


def _scored(figure: float | None) -> float:
    if figure is None:
        raise ValueError("the test comments have no segment to be scored")
    return figure


def _accuracy(gold: Sequence[LabelledComment], predicted: Sequence[Prediction]) -> float | None:
    """The share of comments that are named right as a whole, where every comment is one segment."""
    if any(len(comment.segments) != 1 for comment in gold):
        return None
    right = [
        len(p.segments) == 1 and p.segments[0].path == g.segments[0].path for p, g in zip(predicted, gold, strict=True)
    ]
    return float(np.mean(right))


@torch.inference_mode()
def _nll(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, questions: Sequence[Question]) -> float:
    """Nats a token of the right answers: perplexity's logarithm."""
    rows = ChatRows(tokenizer, Tokens(tokenizer), model.config.max_position_embeddings)
    encoded = [rows.of(chat_of(question.question, question.answer)) for question in questions]
    total = sum(float(_loss(model, encoded[at : at + 16])) for at in range(0, len(encoded), 16))
    return total / sum(len(row.learned) for row in encoded)


def _loss(model: PreTrainedModel, rows: Sequence[TrainingRow]) -> torch.Tensor:
    return loss_of(model, model, collate([], rows, pad=0) | {"total": torch.tensor(1.0)})


def _rows_share(run: ArmRun) -> float:
    """The share of supervised tokens at which a quarter of the rows are general, by the mean of a sample of each."""
    tokenizer = AutoTokenizer.from_pretrained(run.folder / BASE)
    questions = read_questions(run.folder / GENERAL)
    chats = [chat_of(question.question, question.answer) for question in questions]
    return rows_share(tokenizer, load_taxonomy(run.domain.taxonomy), read_gold(run.domain.train), chats)


def rows_share(
    tokenizer: PreTrainedTokenizerFast, taxonomy: Taxonomy, gold: Sequence[LabelledComment], chats: Sequence[Chat]
) -> float:
    """The share of supervised tokens, all of an answer's, at which a quarter of the rows are chats."""
    language = language_of(tokenizer, taxonomy, Form.VERBATIM)
    comments = encode(gold[:SAMPLE], language, "completion")
    rows = ChatRows(tokenizer, language.tokens, context=1 << 30)
    sample = np.random.default_rng(0).choice(len(chats), min(SAMPLE, len(chats)), replace=False)
    weights = (1 - ROWS_REPLAY) * _mean(comments), ROWS_REPLAY * _mean(rows.of(chats[i]) for i in sample)
    return weights[1] / sum(weights)


def _mean(rows: Iterator[TrainingRow]) -> float:
    return float(np.mean([len(row.learned) for row in rows]))
