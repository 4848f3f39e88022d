"""Both axes of a model, with 95% intervals: the comments' test split, and general tasks beside the base's answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from eval.general.benchmarks import BENCHMARKS
from eval.general.figures import QuestionResult, figure
from eval.judging.paired import digest, drop, upper_bound
from eval.scoring.columns import Numbers
from eval.scoring.matched import Predicted, Verdicts, matched
from eval.scoring.tally import f1_interval, f1s
from taxonomy.comments import LabelledComment
from taxonomy.errors import DataInvalid
from train.experiment.corner.results import Domain, TaskScore
from train.report.choice import Estimate

_TWO_SIDED: Final = 0.975
"""Confidence of each of the two one-sided bounds."""


def domain_scores(gold: Sequence[LabelledComment], predicted: Sequence[Predicted]) -> Domain:
    """Both in the same order; intervals by bootstrap over comments. Raises DataInvalid where nothing is gold."""
    both = matched(gold, predicted)
    spans = both.counts(np.ones(both.pairs.gold.size, dtype=bool))
    found = spans[:, 0]
    right = both.counts(both.right_emotion)[:, 0]
    return Domain(
        leaf=_f1(both.leaf_counts()),
        l1=_f1(both.counts(both.right_at(1))),
        spans=_f1(spans),
        emotion=_f1(np.stack([right, found, found], axis=1)) if found.any() else None,
    )


def _f1(counts: Numbers) -> Estimate:
    interval = f1_interval(counts)
    if interval is None:
        raise DataInvalid("the test comments have no segment to be scored")
    return Estimate(value=float(f1s(counts.sum(axis=0, keepdims=True))[0]), interval_95=interval)


def task_scores(questions: Sequence[QuestionResult], base: Sequence[QuestionResult] | None) -> dict[str, TaskScore]:
    """By task. base: its answers to the same questions; none: of the base itself. Raises DataInvalid."""
    others = _by_task(base or [])
    return {name: _task(name, asked, others.get(name) if base else None) for name, asked in _by_task(questions).items()}


def _by_task(questions: Sequence[QuestionResult]) -> dict[str, list[QuestionResult]]:
    by_task: dict[str, list[QuestionResult]] = {}
    for question in questions:
        by_task.setdefault(question.benchmark, []).append(question)
    return by_task


def _task(name: str, asked: Sequence[QuestionResult], base: Sequence[QuestionResult] | None) -> TaskScore:
    read_by = next(iter(BENCHMARKS[name].metrics))
    share = figure(read_by, asked)
    return TaskScore(
        figure=read_by,
        asked=len(asked),
        share=Estimate(value=share.value, interval_95=share.interval or (0.0, 1.0)),
        difference=_difference(name, read_by, asked, base) if base else None,
    )


def _difference(name: str, read_by: str, asked: Sequence[QuestionResult], base: Sequence[QuestionResult]) -> Estimate:
    """Question by question, with Tango's score interval."""
    if digest(asked) != digest(base):
        raise DataInvalid(f"{name}: the base was asked other questions; has the data changed? Give another folder")
    pairs = drop(_right(asked, read_by), _right(base, read_by), _TWO_SIDED)
    gained, lost = pairs.test.only_candidate, pairs.test.only_baseline
    return Estimate(value=-pairs.drop, interval_95=(-pairs.upper, upper_bound(gained, lost, pairs.asked, _TWO_SIDED)))


def _right(asked: Sequence[QuestionResult], read_by: str) -> Verdicts:
    return np.array([all(question.scores[read_by]) for question in asked])


def mean_share(tasks: Mapping[str, TaskScore]) -> Estimate:
    """Each task counts alike."""
    return mean([task.share for task in tasks.values()])


def mean_difference(tasks: Mapping[str, TaskScore]) -> Estimate | None:
    """None where there is nothing to compare with: of the base itself."""
    known = [task.difference for task in tasks.values() if task.difference]
    return mean(known) if len(known) == len(tasks) else None


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Of independent estimates; the interval from theirs (MOVER: Zou and Donner, Statistics in Medicine 27, 2008)."""
    value = math.fsum(each.value for each in estimates) / len(estimates)
    below, above = (
        math.hypot(*(each.value - each.interval_95[side] for each in estimates)) / len(estimates) for side in (0, 1)
    )
    return Estimate(value=value, interval_95=(value - below, value + above))
