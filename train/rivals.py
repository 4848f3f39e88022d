"""At each decision, the tokens that the serving grammar leaves to choose from.

The grammar that serves is one of text: where "Delivery" may stand it also allows the token "Del", as long as the text
can go on. So the rivals of a decision are the canonical tokens of its alternatives and every token that spells a
beginning of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llguidance.hf import from_tokenizer

from taxonomy.answer import escaped
from taxonomy.automaton import Automaton, Node

_REACH = 32
"""Bytes to look ahead: no token of ours is longer."""


class Rivals:
    """The rivals at each decision of an answer, for one automaton."""

    def __init__(self, automaton: Automaton) -> None:
        self._automaton = automaton
        tokenizer = from_tokenizer(automaton.tokens.tokenizer)
        self._bytes = [tokenizer.decode_bytes([token]) for token in range(tokenizer.vocab_size)]
        special = set(automaton.tokens.tokenizer.all_special_ids)
        self._ids = {spelt: token for token, spelt in enumerate(self._bytes) if spelt and token not in special}
        self._of_node: dict[int, frozenset[int]] = {}

    def of(self, node: Node, following: str) -> tuple[int, ...]:
        """At a node of the taxonomy's part; `following` is the next chunk's text where the segment may go on, or ""."""
        known = self._of_node.get(id(node))
        if known is None:
            known = frozenset(token for spelt in self._spelt(node, b"") for token in self._beginnings(spelt))
            self._of_node[id(node)] = known
        if not following:
            return tuple(sorted(known))
        return tuple(sorted(known.union(self._beginnings(escaped(following[:_REACH]).encode()))))

    def _spelt(self, node: Node, before: bytes) -> Iterator[bytes]:
        """What may be spelt from a node on, as far as a token can reach."""
        if len(before) >= _REACH or not node.edges:
            yield before
            return
        for token, after in node.edges.items():
            yield from self._spelt(after, before + self._bytes[token])

    def _beginnings(self, spelt: bytes) -> Sequence[int]:
        lengths = range(1, min(len(spelt), _REACH) + 1)
        return [self._ids[spelt[:length]] for length in lengths if spelt[:length] in self._ids]
