"""One run of the general benchmarks through lm-evaluation-harness: its results in, our figures out."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np
from lm_eval import simple_evaluate
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from eval.general.benchmarks import BENCHMARKS, Benchmark
from eval.general.figures import BenchmarkScores, GeneralRun, GeneralScores, QuestionResult, Share, figure
from eval.general.tasks import check_ifeval, prepare_ifeval, task_manager
from serve.settings import cache_folder

Results = dict[str, Any]
Sample = dict[str, Any]

_LETTER = re.compile(
    r"[\W_]*(?:(?:the\s+)?(?:correct\s+|best\s+|right\s+)?(?:answer|option|choice)(?:\s+is)?[\W_]*)?"
    r"([a-d])(?:[\W_]*$|[.):*\]])",
    re.IGNORECASE,
)


def run(
    model: LM, names: Sequence[str], folder: Path | None, limit: int | None, say: Callable[[str], None]
) -> GeneralRun:
    """Ask the model. folder: of the data, None for the hub. limit: questions of each task (of MMLU: each subject).

    Raises CallWrong and DataInvalid before the model is asked anything.
    """
    if "ifeval" in names:
        prepare_ifeval(folder, cache_folder(os.environ))
    manager = task_manager(folder)
    groups = {name: _group(manager, name) for name in names}
    if "ifeval" in groups:
        check_ifeval(groups["ifeval"].get_all_tasks()[0])
    scores: dict[str, BenchmarkScores] = {}
    questions: list[QuestionResult] = []
    for name, group in groups.items():
        say(f"{name}: {_size(group, limit)} questions")
        results = simple_evaluate(
            model, tasks=[group], limit=limit, apply_chat_template=BENCHMARKS[name].through_chat, task_manager=manager
        )
        asked = list(_questions(name, BENCHMARKS[name], results))
        scores[name] = _measured(BENCHMARKS[name], results, asked)
        questions += asked
    return GeneralRun(GeneralScores(version("lm_eval"), limit, scores), questions)


def letter_of(answer: str) -> str | None:
    """The letter, A to D, that the answer's first line opens with or calls the answer; None: unparsed.

    It reads more than the harness does: whatever the harness counts as right is read as that letter.
    """
    found = _LETTER.match(answer.split("\n", 1)[0])
    return found[1].upper() if found else None


def _group(manager: TaskManager, name: str) -> Any:
    return manager.load(f"general_{name}")["groups"][f"general_{name}"]


def _size(group: Any, limit: int | None) -> int:
    return sum(
        len(task.eval_docs) if limit is None else min(len(task.eval_docs), limit) for task in group.get_all_tasks()
    )


def _questions(name: str, benchmark: Benchmark, results: Results) -> Iterator[QuestionResult]:
    for task, samples in results["samples"].items():
        of_document: dict[int, list[Sample]] = defaultdict(list)
        for sample in samples:
            of_document[sample["doc_id"]].append(sample)
        subject = results["results"][task]["alias"] if benchmark.has_subjects else None
        for number, read in sorted(of_document.items()):
            answer = _answer(read[0], by_length=benchmark.is_by_length)
            scores = _scores(benchmark.metrics, read)
            if name == "mmlu_generative":
                letter = letter_of(answer)
                scores |= {"accuracy_by_letter": (letter == read[0]["target"],), "unparsed": (letter is None,)}
            yield QuestionResult(name, subject, f"{task}/{number}", read[0]["doc_hash"], scores, answer)


def _answer(sample: Sample, *, by_length: bool) -> str:
    """The text, or the letter of the likeliest choice (the first among equals, as the harness has it).

    by_length: the likeliest for its length.
    """
    responses = sample["resps"]
    if isinstance(responses[0][0], str):
        return str(responses[0][0])
    likelihoods = np.array([likelihood for ((likelihood, _),) in responses])
    if by_length:
        # Between the question and a choice the harness puts one space, which it does not count.
        likelihoods /= [len(text) - 1 for _, text in sample["arguments"]]
    return ascii_uppercase[int(np.argmax(likelihoods))]


def _scores(metrics: Mapping[str, str], read: Sequence[Sample]) -> dict[str, tuple[bool, ...]]:
    """read: the harness's samples of one question, one for each of its filters."""
    samples = {sample["filter"]: sample for sample in read}
    scores = {}
    for name, metric in metrics.items():
        theirs, filtered = metric.split(",")
        score = samples[filtered][theirs]
        scores[name] = tuple(map(bool, score)) if isinstance(score, list) else (bool(score),)
    return scores


def _measured(benchmark: Benchmark, results: Results, questions: Sequence[QuestionResult]) -> BenchmarkScores:
    rows, metrics = results["results"], benchmark.metrics
    figures = {name: figure(name, questions) for name in questions[0].scores}
    figures |= {name: _theirs(figures[name], rows[benchmark.task], metric) for name, metric in metrics.items()}
    if not benchmark.has_subjects:
        return BenchmarkScores(figures, {})
    of_subject: dict[str | None, list[QuestionResult]] = defaultdict(list)
    for question in questions:
        of_subject[question.subject].append(question)
    subjects = {
        rows[task]["alias"]: _theirs(
            figure("accuracy", of_subject[rows[task]["alias"]]), rows[task], metrics["accuracy"]
        )
        for task in results["samples"]
    }
    return BenchmarkScores(figures, subjects)


def _theirs(ours: Share, row: Sample, metric: str) -> Share:
    """The harness's own value and standard error; ours only where it has no standard error."""
    stderr = row[metric.replace(",", "_stderr,")]
    return Share(float(row[metric]), ours.stderr if stderr == "N/A" else float(stderr), ours.count)
