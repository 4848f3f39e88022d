"""The language of valid answers in tokens: at each step the tokens that may follow.

The taxonomy's part is compiled once for a (taxonomy, tokenizer); a comment adds only its chunks. Each piece of an
answer (a chunk, a label, the JSON between them) is tokenised on its own, so an answer has exactly one sequence of
tokens. A step with one possible token is forced; the others are decisions, and only they carry information.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from taxonomy.answer import CLOSE, EMOTION, END, NEXT, OPEN, RESIDUE, Part, before_level, escaped
from taxonomy.labels import EMOTIONS, Path
from taxonomy.tokens import Tokens
from taxonomy.tree import Taxonomy


@dataclass(slots=True)
class Node:
    """A place in the taxonomy's part; `segment_end` marks the token with which a segment is closed."""

    edges: dict[int, Node] = field(default_factory=dict)
    segment_end: bool = False

    def extend(self, tokens: Sequence[int]) -> Node:
        node = self
        for token in tokens:
            node = node.edges.setdefault(token, Node())
        return node


class Step(NamedTuple):
    """One token of an answer and the tokens that could have stood there (ascending)."""

    token: int
    allowed: tuple[int, ...]

    @property
    def is_decision(self) -> bool:
        return len(self.allowed) > 1


class Automaton:
    """All answers over one taxonomy, in one tokenizer's tokens."""

    def __init__(self, taxonomy: Taxonomy, tokens: Tokens) -> None:
        self.taxonomy = taxonomy
        self.tokens = tokens
        self.open: Final = tokens.text(OPEN)
        self.next: Final = tokens.text(NEXT)
        self.end: Final = [*tokens.text(END), tokens.eos]
        self.close = Node()
        self.close.extend(tokens.text(RESIDUE)).segment_end = True
        self._labels = dict(zip(_labels(taxonomy), tokens.texts([escaped(x) for x in _labels(taxonomy)]), strict=True))
        self._emotions = tokens.texts(EMOTIONS)
        self._grow(self.close.extend(tokens.text(before_level(0))), ())

    def _grow(self, node: Node, path: Path) -> None:
        labels = self.taxonomy.children(path)
        if not labels:
            for emotion in self._emotions:
                node.extend(emotion).extend(self.tokens.text(CLOSE)).segment_end = True
            return
        is_last = len(path) + 1 == self.taxonomy.depth
        after = self.tokens.text(EMOTION if is_last else before_level(len(path) + 1))
        for label in labels:
            self._grow(node.extend([*self._labels[label], *after]), (*path, label))

    def walk(self, chunks: Sequence[str]) -> Walk:
        """The answers of one comment, before their first token."""
        return Walk(self, self.tokens.texts([escaped(chunk) for chunk in chunks]))

    def steps(self, chunks: Sequence[str], parts: Sequence[Part]) -> list[Step]:
        """The tokens of one answer, the end token included. Raises ValueError where it is not in the language."""
        walk = self.walk(chunks)
        steps = []
        for token in self.spelt(chunks, parts):
            steps.append(Step(token, walk.allowed))
            walk.advance(token)
        if not walk.is_done:
            raise ValueError("the answer ends before its comment does")
        return steps

    def spelt(self, chunks: Sequence[str], parts: Sequence[Part]) -> list[int]:
        """The tokens of one answer. Raises ValueError where a part does not end on a candidate cut."""
        spelt: list[int] = []
        left = deque(chunks)
        for part in parts:
            spelt += self.next if spelt else self.open
            spelt += self._content(part, left)
            for level, label in enumerate(part.path):
                spelt += self.tokens.text(before_level(level)) + self.tokens.text(escaped(label))
            if not part.is_residue:
                spelt += self.tokens.text(EMOTION) + self.tokens.text(part.emotion)
            spelt += self.tokens.text(RESIDUE if part.is_residue else CLOSE)
        return spelt + self.end

    def _content(self, part: Part, left: deque[str]) -> list[int]:
        spelt: list[int] = []
        rest = part.content
        while rest:
            if not left or not rest.startswith(left[0]):
                raise ValueError(f"the segment {part.content!r} does not end on a candidate cut")
            rest = rest[len(left[0]) :]
            spelt += self.tokens.text(escaped(left.popleft()))
        return spelt


class Walk:
    """One answer under way: what may come next, and what came of it."""

    def __init__(self, automaton: Automaton, chunks: Sequence[Sequence[int]]) -> None:
        self._automaton = automaton
        self._chunks = deque(chunks)
        self._forced: deque[int] = deque(automaton.open)
        self._node: Node | None = None
        self._spell_chunk()

    def _spell_chunk(self) -> None:
        self._forced.extend(self._chunks.popleft())
        self._node = self._automaton.close

    @property
    def node(self) -> Node | None:
        """Where in the taxonomy's part the answer stands; None where a forced run is under way or it is done."""
        return None if self._forced else self._node

    @property
    def chunks_left(self) -> int:
        """How many chunks are still to be spelt out."""
        return len(self._chunks)

    @property
    def may_go_on(self) -> bool:
        """Whether the segment may go on with the next chunk here."""
        return not self._forced and self._node is self._automaton.close and bool(self._chunks)

    @property
    def is_done(self) -> bool:
        return not self._forced and self._node is None

    @property
    def allowed(self) -> tuple[int, ...]:
        """The tokens that may come next, ascending; none when the answer is done."""
        if self._forced:
            return (self._forced[0],)
        if self._node is None:
            return ()
        onward = [self._chunks[0][0]] if self.may_go_on else []
        return tuple(sorted([*self._node.edges, *onward]))

    def advance(self, token: int) -> None:
        """Take one token. Raises ValueError where it may not stand here."""
        if self._forced:
            if token != self._forced.popleft():
                raise ValueError(f"token {token} at a place where another is forced")
        elif self._node is not None and token in self._node.edges:
            self._enter(self._node.edges[token])
        elif self.may_go_on and token == self._chunks[0][0]:
            self._spell_chunk()
            self._forced.popleft()
        else:
            raise ValueError(f"token {token} may not stand here")

    def _enter(self, node: Node) -> None:
        self._node = node
        if node.segment_end:
            self._node = None
            self._forced.extend(self._automaton.next if self._chunks else self._automaton.end)
            if self._chunks:
                self._spell_chunk()


def _labels(taxonomy: Taxonomy) -> list[str]:
    return sorted({label for leaf in taxonomy.leaves for label in leaf.path})
