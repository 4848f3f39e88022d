"""The general suite's questions to a checkpoint: transformers' weights, greedy answers, right or wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import torch
from tqdm import tqdm
from transformers import AutoModelForCausalLM, AutoTokenizer

from eval.decoding.decoder import answers
from eval.general.figures import SUITE, Measured, Question, figure
from eval.general.suite import Question as Asked
from eval.general.suite import is_right
from taxonomy.errors import CheckpointInvalid


def answer(folder: str, asked: Sequence[Asked], at_once: int) -> list[Question]:
    """What it answers, and whether that is right. Raises CheckpointInvalid."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto").to(device).eval()
        tokenizer = AutoTokenizer.from_pretrained(folder)
    except (OSError, ValueError) as error:
        raise CheckpointInvalid(
            f"{folder}: cannot be loaded as a language model: {str(error).splitlines()[0]}"
        ) from error
    with tqdm(total=len(asked), unit=" questions") as progress:
        said = answers(model, tokenizer, [each.question for each in asked], at_once=at_once, watch=progress.update)
    return answered(asked, said)


def answered(asked: Iterable[Asked], said: Iterable[str]) -> list[Question]:
    """One result a question, numbered as they are asked."""
    return [
        Question(
            SUITE,
            each.kind,
            f"{SUITE}/{number}",
            hashlib.sha256(f"{each.question}\n{each.answer}".encode()).hexdigest(),
            {"accuracy": (is_right(each, text),)},
            text,
        )
        for number, (each, text) in enumerate(zip(asked, said, strict=True))
    ]


def measured(questions: Sequence[Question]) -> Measured:
    """Over all of them, and of each kind."""
    kinds = sorted({str(question.subject) for question in questions})
    by_kind = {kind: figure("accuracy", [q for q in questions if q.subject == kind]) for kind in kinds}
    return Measured({"accuracy": figure("accuracy", questions)}, by_kind)
