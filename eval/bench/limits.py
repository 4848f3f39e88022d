"""Beside a measured rate the one that the machine allows: by reading the weights at each step, and by arithmetic."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Final

import torch
from safetensors import safe_open

from serve.engine.cores import thread_settings
from serve.routing.pair import Pair
from taxonomy.language.answer import Part
from taxonomy.language.chunks import chunks

SQUARE: Final = 1024


@dataclass(frozen=True, slots=True)
class Work:
    """One answer: the steps of the model that it takes, and the tokens to be computed, prompt included."""

    steps: float
    tokens: float


@dataclass(frozen=True, slots=True)
class Weights:
    """Parameters of a model: all that a step reads, and those of the output head (tied to the embeddings)."""

    read: int
    head: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What was measured on this machine with the engine's threads and data type: weights read a second, out of as many
    as the model has, and operations a second.
    """

    weights_per_second: float
    flops: float
    threads: int
    dtype: str

    def rate(self, weights: Weights, work: Work, concurrency: int) -> float:
        """Answers a second at best. One reading of the weights serves all that are decoded at once."""
        reading = work.steps * weights.read / self.weights_per_second
        computing = 2 * (work.tokens * (weights.read - weights.head) + work.steps * weights.head) / self.flops
        return concurrency / max(reading, concurrency * computing)


def weights_of(pair: Pair) -> Weights:
    """From the checkpoint's files; its embeddings are tied, as those of all models that are measured here."""
    sizes: dict[str, int] = {}
    for file in sorted(Path(pair.model.path).glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (no mapping)
                sizes[name] = torch.Size(tensors.get_slice(name).get_shape()).numel()
    return Weights(sum(sizes.values()), sizes["model.embed_tokens.weight"])


def works(pair: Pair, answers: Sequence[tuple[str, tuple[Part, ...]]]) -> tuple[Work, Work]:
    """The mean work of answers: where only decisions cost a step, and where every token does."""
    written = [pair.language.answer(chunks(text), parts) for text, parts in answers]
    tokens = mean(len(pair.prompt.of(chunks(text))) for text, _ in answers) + mean(len(one.tokens) for one in written)
    decisions = mean(len(one.decisions) for one in written)
    return Work(decisions, tokens), Work(mean(len(one.tokens) for one in written), tokens)


def limits(weights: Weights, dtype: str) -> Limits:
    """Measure the machine as it is used: a matrix of the weights' size times a vector, and a large matrix product."""
    kind = getattr(torch, dtype)
    threads = int(thread_settings()["OMP_NUM_THREADS"])
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        matrix, vector = torch.rand(weights.read // 1024, 1024).to(kind), torch.rand(1024).to(kind)
        reading = _fastest(lambda: torch.mv(matrix, vector))
        square = torch.rand(SQUARE, SQUARE).to(kind)
        computing = _fastest(lambda: torch.mm(square, square))
    finally:
        torch.set_num_threads(before)
    return Limits(matrix.numel() / reading, 2 * SQUARE**3 / computing, threads, dtype)


def _fastest(work: Callable[[], object], times: int = 20) -> float:
    """Seconds of the best of several: what else the machine does is not its limit."""
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)
