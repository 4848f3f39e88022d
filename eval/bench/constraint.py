"""`bench constraint`: what the constraint costs a request and a decision, and how that grows."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import numpy as np

from eval.bench.speed import machine
from serve.engine.masks import Masks
from taxonomy.bundled import bundled_taxonomy
from taxonomy.language.automaton import Automaton
from taxonomy.language.chunks import chunks
from taxonomy.language.compiled import chunk_tokens, compiled
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Leaf, Taxonomy, taxonomy_of

LEAVES: Final = (100, 1420, 20_000)
CHARACTERS: Final = (50, 200, 500, 1000, 2000, 5000)
MOST_CHUNKS: Final = 64


class Times:
    """Durations of one kind of work, in seconds."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    @contextmanager
    def one(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds.append(time.perf_counter() - begun)

    def row(self, unit: float) -> dict[str, float]:
        """Median and 99th percentile in units of so many seconds."""
        p50, p99 = np.percentile(self.seconds, [50, 99]) / unit
        return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "n": len(self.seconds)}


def constraint(comments: Sequence[str], tokens: Tokens, rounds: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Compile times (ms), decision times (us) by leaves and by characters of the comment. One thread."""
    rows = []
    for leaves in LEAVES:
        say(f"{leaves} leaves")
        taxonomy = bundled_taxonomy() if leaves == len(bundled_taxonomy().leaves) else invented(leaves)
        begun = time.perf_counter()
        automaton = compiled(taxonomy, tokens)
        once = time.perf_counter() - begun
        for characters in CHARACTERS if leaves == len(bundled_taxonomy().leaves) else (200, 2000):
            texts = [cut_to(comments, characters, start) for start in range(rounds)]
            rows.append(_row(leaves, characters, texts, automaton, tokens) | {"taxonomy_s": round(once, 3)})
    return {"rows": rows, "machine": machine()}


def _row(leaves: int, characters: int, texts: Sequence[str], automaton: Automaton, tokens: Tokens) -> dict[str, Any]:
    compiling, deciding = Times(), Times()
    masks = Masks(automaton, tokens.size)
    rng = random.Random(0)
    for text in texts:
        with compiling.one():
            walk = automaton.walk(chunk_tokens(chunks(text, MOST_CHUNKS), tokens))
        while not walk.is_done:
            token = rng.choice(walk.allowed)
            with deciding.one():
                masks.of(walk)
                walk.decide(token)
    return {
        "leaves": leaves,
        "characters": characters,
        "compile_ms": compiling.row(1e-3),
        "decision_us": deciding.row(1e-6),
    }


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
