"""The language of valid answers in tokens: where an answer may go two ways, and what is forced between.

The taxonomy's part is compiled once for a (taxonomy, tokenizer) and kept on disk; a comment adds only its chunks. Each
piece of an answer (a chunk, a label, the JSON between them) is tokenised on its own, so an answer has exactly one
sequence of tokens. Where one token alone is possible it is forced; the other places are decisions, and only they carry
information. Nothing here knows a tokenizer: decoding needs the compiled file and a comment's tokens, no more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from taxonomy.files import whole

CONTENT: Final = ""
"""Stands before the labels in what an edge names: with it the content is complete, and the segment closed."""
ROOT: Final = 0
CLOSED: Final = -1
FORMAT: Final = 1
"""Changes with every change of the file's meaning."""

Branch = Mapping[int, "Edge"]


class Edge(NamedTuple):
    """What one token leads to: the tokens forced after it, the next branch (or CLOSED), the values now complete."""

    run: tuple[int, ...]
    to: int
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Automaton:
    """All answers over one taxonomy in one tokenizer's tokens.

    begin, next, end: the tokens before the first content, between a closed segment and the next content, and after the
    last segment. branches: by number, the tokens that may stand there and what they lead to; the first is where a
    chunk has ended and the segment may be closed.
    """

    begin: tuple[int, ...]
    next: tuple[int, ...]
    end: tuple[int, ...]
    branches: tuple[Branch, ...]

    def walk(self, chunks: Sequence[Sequence[int]]) -> Walk:
        """The answers to one comment, whose chunks are given in tokens."""
        return Walk(self, chunks)

    @property
    def longest_closing(self) -> int:
        """Tokens that closing a segment takes at most, with those that open the next one or end the answer."""
        longest: dict[int, int] = {CLOSED: max(len(self.begin), len(self.next), len(self.end))}
        # A branch stands after those that it leads to; the root, which nothing leads to, is the last to be known.
        for number in [*range(1, len(self.branches)), ROOT]:
            edges = self.branches[number].values()
            longest[number] = max(1 + len(edge.run) + longest[edge.to] for edge in edges)
        return longest[ROOT]

    def save(self, file: Path) -> None:
        """Several processes may do so at once. Raises OSError."""
        branches = [[[token, *edge] for token, edge in branch.items()] for branch in self.branches]
        with whole(file) as part:
            part.write_text(json.dumps([FORMAT, self.begin, self.next, self.end, branches]))

    @staticmethod
    def load(file: Path) -> Automaton:
        """Raises OSError, or ValueError where the file is none of ours."""
        version, begin, following, end, branches = json.loads(file.read_bytes())
        if version != FORMAT:
            raise ValueError(f"{file} is of format {version}, not {FORMAT}")
        read = tuple({t: Edge(tuple(run), to, tuple(named)) for t, run, to, named in edges} for edges in branches)
        return Automaton(tuple(begin), tuple(following), tuple(end), read)


@dataclass(slots=True)
class Closing:
    """How a segment was closed: after which chunk, the values named (none: residue) and each one's log-probability.

    logprobs: of the content (that it ends here, and is residue or not), of each label given those above it, and of
    the emotion.
    """

    chunks: int
    named: list[str]
    logprobs: list[float]


class Walk:
    """One answer under way: what may come next, and what came of it.

    forced: the tokens that begin it. branch: where it stands. chunks_taken: how many of the chunks are
    in it. closings: its closed segments.
    """

    __slots__ = ("_automaton", "_chunks", "_open", "branch", "chunks_taken", "closings", "forced")

    def __init__(self, automaton: Automaton, chunks: Sequence[Sequence[int]]) -> None:
        if not chunks:
            raise ValueError("a comment without chunks has no answer")
        self._automaton = automaton
        self._chunks = chunks
        self.chunks_taken = 1
        self.branch = ROOT
        self.closings: list[Closing] = []
        self._open = Closing(0, [], [0.0])
        self.forced: list[int] = [*automaton.begin, *chunks[0], *self._settled()]

    @property
    def is_done(self) -> bool:
        return self.branch == CLOSED

    @property
    def onward(self) -> int | None:
        """The token with which the segment goes on to the next chunk, where it may."""
        has_next = self.branch == ROOT and self.chunks_taken < len(self._chunks)
        return self._chunks[self.chunks_taken][0] if has_next else None

    @property
    def allowed(self) -> tuple[int, ...]:
        """The tokens that may come next, ascending: two or more, or none when the answer is done."""
        if self.is_done:
            return ()
        edges = self._automaton.branches[self.branch]
        onward = self.onward
        return tuple(sorted(edges if onward is None else [*edges, onward]))

    def decide(self, token: int, logprob: float = 0.0) -> list[int]:
        """Take one of the allowed tokens; gives those that are then forced. Raises ValueError for any other."""
        self._open.logprobs[-1] += logprob
        return [*self._take(token), *self._settled()]

    def _settled(self) -> Iterator[int]:
        """What is forced because one token alone is allowed."""
        while len(allowed := self.allowed) == 1:
            yield allowed[0]
            yield from self._take(allowed[0])

    def _take(self, token: int) -> Sequence[int]:
        edge = None if self.is_done else self._automaton.branches[self.branch].get(token)
        if edge is None:
            if token != self.onward:
                raise ValueError(f"token {token} may not stand here")
            return self._next_chunk()[1:]
        self._open.named += edge.named
        self._open.logprobs += [0.0] * len(edge.named)
        self.branch = edge.to
        return edge.run if edge.to != CLOSED else [*edge.run, *self._closed()]

    def _closed(self) -> Sequence[int]:
        self.closings.append(Closing(self.chunks_taken, self._open.named[1:], self._open.logprobs[:-1]))
        self._open = Closing(0, [], [0.0])
        if self.chunks_taken == len(self._chunks):
            return self._automaton.end
        self.branch = ROOT
        return [*self._automaton.next, *self._next_chunk()]

    def _next_chunk(self) -> Sequence[int]:
        self.chunks_taken += 1
        return self._chunks[self.chunks_taken - 1]


def grown(options: Sequence[Edge], branches: list[Branch]) -> Edge:
    """One edge for several token runs that end apart: what they share, then a branch (appended to `branches`)."""
    if len(options) == 1:
        return options[0]
    shared = _shared([option.run for option in options])
    branches.append(branch_of([option._replace(run=option.run[shared:]) for option in options], branches))
    return Edge(options[0].run[:shared], len(branches) - 1)


def branch_of(options: Sequence[Edge], branches: list[Branch]) -> Branch:
    """A branch over token runs, none of them empty, none a beginning of another."""
    after: dict[int, list[Edge]] = {}
    for option in options:
        after.setdefault(option.run[0], []).append(option._replace(run=option.run[1:]))
    return {token: grown(after[token], branches) for token in sorted(after)}


def _shared(runs: Sequence[Sequence[int]]) -> int:
    """How many tokens all of them begin with."""
    for at, tokens in enumerate(zip(*runs, strict=False)):
        if len(set(tokens)) > 1:
            return at
    return min(map(len, runs))
