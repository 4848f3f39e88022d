"""`bench constraint`: what the constraint costs a request and a decision, and how that grows."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from transformers import PreTrainedTokenizerFast

from eval.bench.machine import Machine, this_machine
from serve.engine.masks import Masks
from taxonomy.bundled import bundled_taxonomy
from taxonomy.language.automaton import Automaton
from taxonomy.language.chunks import chunks
from taxonomy.language.compiled import chunk_tokens, compiled
from taxonomy.language.forms import Form
from taxonomy.language.own_tokens import give_own_tokens
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of

LEAVES: Final = (100, 1420, 20_000)
CHARACTERS: Final = (50, 200, 500, 1000, 2000, 5000)
MOST_CHUNKS: Final = 64


@dataclass(frozen=True, slots=True)
class Quantiles:
    """Median and 99th percentile of so many durations."""

    p50: float
    p99: float
    n: int


@dataclass(frozen=True, slots=True)
class ConstraintRow:
    """Of a taxonomy with so many leaves (made in taxonomy_s seconds) and comments of so many characters."""

    form: Form
    leaves: int
    characters: int
    compile_ms: Quantiles
    decision_us: Quantiles
    taxonomy_s: float


@dataclass(frozen=True, slots=True)
class ConstraintFigures:
    """How compile and decision times grow."""

    rows: list[ConstraintRow]
    machine: Machine


class Times:
    """Durations of one kind of work, in seconds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextmanager
    def one(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - start)

    def quantiles(self, unit: float) -> Quantiles:
        """In units of so many seconds."""
        p50, p99 = np.percentile(self.seconds, [50, 99]) / unit
        return Quantiles(round(float(p50), 2), round(float(p99), 2), len(self.seconds))


def constraint(
    comments: Sequence[str], tokenizer: PreTrainedTokenizerFast, rounds: int, say: Callable[[str], None]
) -> ConstraintFigures:
    """Compile times (ms), decision times (us) by form, leaves and characters of the comment. One thread."""
    rows = [row for form in Form for row in _rows(comments, tokenizer, form, rounds, say)]
    return ConstraintFigures(rows, this_machine())


def _rows(
    comments: Sequence[str], tokenizer: PreTrainedTokenizerFast, form: Form, rounds: int, say: Callable[[str], None]
) -> Iterator[ConstraintRow]:
    for leaves in LEAVES:
        say(f"{form}, {leaves} leaves")
        taxonomy = bundled_taxonomy() if leaves == len(bundled_taxonomy().leaves) else invented(leaves)
        own = copy.deepcopy(tokenizer)
        if form is Form.MARKED:
            give_own_tokens(own, taxonomy)
        tokens = Tokens(own)
        start = time.perf_counter()
        automaton = compiled(taxonomy, tokens, form)
        once = time.perf_counter() - start
        for characters in CHARACTERS if leaves == len(bundled_taxonomy().leaves) else (200, 2000):
            texts = [cut_to(comments, characters, first) for first in range(rounds)]
            compiling, deciding = _timed(texts, automaton, tokens)
            yield ConstraintRow(
                form, leaves, characters, compiling.quantiles(1e-3), deciding.quantiles(1e-6), round(once, 3)
            )


def _timed(texts: Sequence[str], automaton: Automaton, tokens: Tokens) -> tuple[Times, Times]:
    """Compiling and deciding, a comment after the other, with random decisions."""
    compiling, deciding = Times(), Times()
    masks = Masks(automaton, tokens.size)
    rng = random.Random(0)
    for text in texts:
        with compiling.one():
            walk = automaton.walk(chunk_tokens(chunks(text, MOST_CHUNKS), tokens, automaton.form))
        while not walk.is_done:
            token = rng.choice(walk.allowed)
            with deciding.one():
                masks.of(walk)
                walk.decide(token)
    return compiling, deciding


def cut_to(comments: Sequence[str], characters: int, start: int) -> str:
    """So many characters of comments laid end to end, from the one numbered `start` on."""
    text = ""
    while len(text) < characters:
        text += comments[start % len(comments)] + " "
        start += 1
    return text[:characters]


def invented(leaves: int) -> Taxonomy:
    """A taxonomy of so many leaves over made-up words, four levels, about as wide as real ones."""
    rng = random.Random(leaves)
    syllables = ["ka", "lo", "mi", "ter", "su", "ven", "dra", "po", "nex", "fi"]

    def label() -> str:
        return " ".join("".join(rng.choices(syllables, k=3)).capitalize() for _ in range(3))

    width = max(2, round(leaves**0.25))
    paths: set[tuple[str, ...]] = set()
    tree: dict[tuple[str, ...], list[str]] = {}
    while len(paths) < leaves:
        path: tuple[str, ...] = ()
        for level in range(4):
            below = tree.setdefault(path, [])
            if len(below) < width * (2 if level == 3 else 1):  # noqa: PLR2004 (the last level is wider)
                below.append(label())
            path = (*path, rng.choice(below))
        paths.add(path)
    return taxonomy_of([Leaf(path) for path in sorted(paths)])
