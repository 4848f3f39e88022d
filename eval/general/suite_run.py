"""The general suite's questions to a checkpoint: transformers' weights, greedy answers, right or wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

import torch
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from eval.general.benchmarks import SUITE
from eval.general.figures import BenchmarkScores, QuestionResult, figure
from eval.general.suite import Question, is_right
from taxonomy.errors import CheckpointInvalid


class Answering(Protocol):
    """Has a model answer questions, so many at once; gives the answers in their order."""

    def __call__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerFast,
        questions: Sequence[str],
        *,
        at_once: int,
        watch: Callable[[int], object],
    ) -> list[str]: ...


def run_suite(folder: str, questions: Sequence[Question], at_once: int, answering: Answering) -> list[QuestionResult]:
    """What the checkpoint answers, and whether that is right. Raises CheckpointInvalid."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise CheckpointInvalid(
            f"{folder}: cannot be loaded as a language model: {str(error).splitlines()[0]}"
        ) from error
    with tqdm(total=len(questions), unit=" questions") as progress:
        texts = [question.question for question in questions]
        answers = answering(model, tokenizer, texts, at_once=at_once, watch=progress.update)
    return results_of(questions, answers)


def results_of(questions: Iterable[Question], answers: Iterable[str]) -> list[QuestionResult]:
    """One result a question, numbered in their order."""
    return [
        QuestionResult(
            SUITE,
            question.kind,
            f"{SUITE}/{number}",
            hashlib.sha256(f"{question.question}\n{question.answer}".encode()).hexdigest(),
            {"accuracy": (is_right(question, answer),)},
            answer,
        )
        for number, (question, answer) in enumerate(zip(questions, answers, strict=True))
    ]


def suite_scores(results: Sequence[QuestionResult]) -> BenchmarkScores:
    """Over all of them, and of each kind."""
    kinds = sorted({str(result.subject) for result in results})
    by_kind = {kind: figure("accuracy", [result for result in results if result.subject == kind]) for kind in kinds}
    return BenchmarkScores({"accuracy": figure("accuracy", results)}, by_kind)
