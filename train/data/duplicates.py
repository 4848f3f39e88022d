"""Texts that stand twice: exactly (case and white space aside), or nearly (MinHash over character 5-grams).

Near means an estimated Jaccard similarity of 0.8 or more, the threshold of Lee et al. 2022, "Deduplicating Training
Data Makes Language Models Better". Characters, not words: comments come in scripts without spaces.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from typing import Final, Literal

from datasketch import MinHash, MinHashLSH

NEAR: Final = 0.8
_PERMUTATIONS: Final = 128
_GRAM: Final = 5


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A row and an earlier one that it repeats."""

    where: str
    earlier: str
    kind: Literal["exact", "near"]

    def __str__(self) -> str:
        return f"{self.where} repeats {self.earlier} ({self.kind})"


class SeenTexts:
    """The texts so far; what is kept of each is a hash and a MinHash of half a KiB."""

    def __init__(self) -> None:
        self._exact: dict[bytes, str] = {}
        self._near = MinHashLSH(threshold=NEAR, num_perm=_PERMUTATIONS)
        self._hashes: dict[str, MinHash] = {}

    def duplicate(self, where: str, text: str) -> Duplicate | None:
        """The earlier row that this text repeats, or none; nothing is added."""
        plain = normal(text)
        if earlier := self._exact.get(_digest(plain)):
            return Duplicate(where, earlier, "exact")
        return self._nearest(where, _minhash(plain))

    def add(self, where: str, text: str) -> Duplicate | None:
        """`duplicate`, and the text is seen from now on. `where` names one row and no other."""
        plain = normal(text)
        earlier = self._exact.setdefault(_digest(plain), where)
        if earlier != where:
            return Duplicate(where, earlier, "exact")
        own = _minhash(plain)
        duplicate = self._nearest(where, own)
        self._near.insert(where, own)
        self._hashes[where] = own
        return duplicate

    def _nearest(self, where: str, own: MinHash) -> Duplicate | None:
        found = [(own.jaccard(self._hashes[other]), other) for other in self._near.query(own)]
        similarity, earlier = max(found, default=(0.0, ""))
        return Duplicate(where, earlier, "near") if similarity >= NEAR else None


def normal(text: str) -> str:
    """Case and white space aside: texts with the same are one text."""
    return " ".join(text.casefold().split())


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


@cache
def _empty() -> MinHash:
    """Its permutations serve all others: drawing them takes longer than hashing a short text."""
    return MinHash(num_perm=_PERMUTATIONS)


def _minhash(text: str) -> MinHash:
    own = _empty().copy()
    own.update_batch([text[at : at + _GRAM].encode() for at in range(max(1, len(text) - _GRAM + 1))])
    return own
