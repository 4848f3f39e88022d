"""Two checkpoints asked the same questions, question by question: what was lost, and how much may have been."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.stats import norm

from eval.general.figures import BenchmarkScores, GeneralRun, QuestionResult
from eval.judging.compare import McNemar, mcnemar
from eval.scoring.matched import Verdicts
from taxonomy.checkpoint.manifest import Manifest


class Drop(NamedTuple):
    """Of `asked` questions the baseline's share of right answers less the candidate's, and its one-sided upper bound.

    test: on the questions that only one of the two gets right.
    """

    asked: int
    drop: float
    upper: float
    test: McNemar


def drop(candidate: Verdicts, baseline: Verdicts, confidence: float) -> Drop:
    """Both of the same questions in the same order; at least one."""
    test = mcnemar(candidate, baseline)
    asked, lost, gained = len(candidate), test.only_baseline, test.only_candidate
    return Drop(asked, (lost - gained) / asked, upper_bound(lost, gained, asked, confidence), test)


def upper_bound(lost: int, gained: int, asked: int, confidence: float) -> float:
    """Of the drop (lost - gained) / asked: Tango's score bound for paired shares (Statistics in Medicine 17, 1998).

    Unlike Wald's it says something where nothing was lost: of n questions without a difference at most z^2 / (n + z^2).
    """
    quantile, observed = float(norm.ppf(confidence)), lost - gained
    if observed == asked:
        return 1.0

    def distance(true: float) -> float:
        # The share of gained ones that is likeliest if this is the true drop; with it, the score statistic's spread.
        b = (2 * asked - observed) * true - lost - gained
        c = -gained * true * (1 - true)
        share = (max(b * b - 8 * asked * c, 0) ** 0.5 - b) / (4 * asked)
        spread = asked * (2 * share + true * (1 - true))
        return float(asked * true - observed - quantile * max(spread, 0) ** 0.5)

    # Where no question differs, the drop that was seen is a root too, and not the one that is meant.
    return float(brentq(distance, observed / asked + 1e-9, 1))


def recorded(run: GeneralRun) -> dict[str, dict[str, object]]:
    """For the manifest's scores: each benchmark that was run, what it asked, and which questions were right."""
    return {name: _recorded(name, scores, run) for name, scores in run.scores.benchmarks.items() if scores}


def _recorded(benchmark: str, scores: BenchmarkScores, run: GeneralRun) -> dict[str, object]:
    asked = [question for question in run.questions if question.benchmark == benchmark]
    figures = scores.as_json()
    for figure in scores.figures:
        right = [question.scores[figure] for question in asked]
        # Instructions of one prompt are no pairs of independent questions.
        if all(len(parts) == 1 for parts in right):
            figures[figure]["right"] = packed(part for (part,) in right)
    return {**figures, "asked": digest(asked), "harness": run.scores.harness, "limit": run.scores.limit}


def with_general(manifest: Manifest, run: GeneralRun) -> Manifest:
    """The manifest with these benchmarks instead of its own of the same name."""
    general = manifest.scores.get("general")
    both = (general if isinstance(general, dict) else {}) | recorded(run)
    return manifest.model_copy(update={"scores": manifest.scores | {"general": both}, "decision": None})


def drop_of(name: str, candidate: Mapping[str, Any], baseline: Mapping[str, Any], confidence: float) -> Drop | None:
    """Of a figure such as `mmlu.accuracy` in two manifests' scores; None where the two cannot be paired."""
    benchmark, _, figure = name.partition(".")
    sides = []
    for scores in (candidate, baseline):
        try:
            measured = scores["general"][benchmark]
            sides.append((measured["asked"], unpacked(measured[figure]["right"], measured[figure]["count"])))
        except (KeyError, TypeError):
            return None
    (asked, right), (asked_before, right_before) = sides
    if asked != asked_before or right is None or right_before is None or len(right) != len(right_before):
        return None
    return drop(right, right_before, confidence)


def drops(candidate: Mapping[str, Any], baseline: Mapping[str, Any], confidence: float = 0.95) -> dict[str, Drop]:
    """Of every figure that can be paired."""
    general = candidate.get("general")
    measured = (
        {name: each for name, each in general.items() if isinstance(each, dict)} if isinstance(general, dict) else {}
    )
    names = [f"{benchmark}.{figure}" for benchmark, figures in measured.items() for figure in figures]
    found = {name: drop_of(name, candidate, baseline, confidence) for name in names}
    return {name: pairs for name, pairs in found.items() if pairs}


def digest(questions: Sequence[QuestionResult]) -> str:
    """Of what was asked: equal where two runs asked the same questions."""
    text = "\n".join(f"{question.id} {question.hash}" for question in questions)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def packed(right: Iterable[bool]) -> str:
    """Eight verdicts a byte, in base64: 14,042 questions are 2.3 KiB of a manifest."""
    return base64.b64encode(np.packbits(np.fromiter(right, dtype=bool)).tobytes()).decode()


def unpacked(text: Any, count: Any) -> Verdicts | None:
    """So many verdicts; None where this is not as `packed` makes it."""
    if not isinstance(text, str) or not isinstance(count, int) or isinstance(count, bool):
        return None
    try:
        packed_bits = np.frombuffer(base64.b64decode(text, validate=True), dtype=np.uint8)
    except binascii.Error:
        return None
    if count < 1 or len(packed_bits) != -(-count // 8):
        return None
    return np.unpackbits(packed_bits, count=count).astype(bool)
