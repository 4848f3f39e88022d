"""At each decision, the tokens that the serving grammar leaves to choose from.

The grammar that serves is one of text: where "Delivery" may stand it also allows the token "Del", as long as the text
can go on. So the rivals of a decision are the canonical tokens of its alternatives and every token that spells a
beginning of one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from llguidance.hf import from_tokenizer

from taxonomy.language.answer import escaped
from taxonomy.language.automaton import CLOSED, Automaton
from taxonomy.language.compiled import Decision
from taxonomy.language.tokens import Tokens

_REACH = 32
"""Bytes to look ahead: no token of ours is longer."""


class Rivals:
    """The rivals at each decision of an answer, for one automaton."""

    def __init__(self, automaton: Automaton, tokens: Tokens) -> None:
        self._automaton = automaton
        tokenizer = from_tokenizer(tokens.tokenizer)
        self._bytes = [tokenizer.decode_bytes([token]) for token in range(tokenizer.vocab_size)]
        special = set(tokens.tokenizer.all_special_ids)
        self._ids = {spelt: token for token, spelt in enumerate(self._bytes) if spelt and token not in special}
        self._of_branch: dict[int, frozenset[int]] = {}

    def of(self, decision: Decision, pieces: Sequence[str]) -> tuple[int, ...]:
        """At one decision of the answer to a comment with these chunks."""
        known = self._of_branch.get(decision.branch)
        if known is None:
            texts = self._spelt(decision.branch, b"")
            known = frozenset(token for text in texts for token in self._beginnings(text))
            self._of_branch[decision.branch] = known
        if decision.onward is None:
            return tuple(sorted(known))
        following = escaped(pieces[decision.onward][:_REACH]).encode()
        return tuple(sorted(known.union(self._beginnings(following))))

    def _spelt(self, branch: int, before: bytes) -> Iterator[bytes]:
        """What may be spelt from a branch on, as far as a token can reach."""
        if len(before) >= _REACH or branch == CLOSED:
            yield before
            return
        for token, edge in self._automaton.branches[branch].items():
            yield from self._spelt(edge.to, before + b"".join(self._bytes[t] for t in (token, *edge.run)))

    def _beginnings(self, spelt: bytes) -> Sequence[int]:
        lengths = range(1, min(len(spelt), _REACH) + 1)
        return [self._ids[spelt[:length]] for length in lengths if spelt[:length] in self._ids]
