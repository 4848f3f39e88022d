"""The language of valid answers in tokens: where an answer may go two ways, and what is forced between.

The taxonomy's part is compiled once for a (taxonomy, tokenizer, form) and kept on disk; a comment adds only its chunks.
Each piece of an answer (a chunk, a label, the JSON between them) is tokenised on its own, so an answer has exactly one
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
from taxonomy.language.forms import Form
from taxonomy.language.reading import Reading

CONTENT: Final = ""
"""Stands before the labels in what an edge names: with it the content is complete, and the segment closed."""
ROOT: Final = 0
CLOSED: Final = -1
FORMAT: Final = 3
"""Changes with every change of the file's meaning."""

Branch = Mapping[int, "Edge"]
_NO_BRANCH: Final[Branch] = {}


class Edge(NamedTuple):
    """What one token leads to: the tokens forced after it, the next branch (or CLOSED), the values now complete."""

    run: tuple[int, ...]
    to: int
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Automaton:
    """All answers of one form over one taxonomy in one tokenizer's tokens.

    begin, next, end: the tokens before the first segment, between a closed segment and the next, and after the last.
    branches: by number, the tokens that may stand there and what they lead to; the first is where a chunk has ended
    and the segment may be closed.
    """

    begin: tuple[int, ...]
    next: tuple[int, ...]
    end: tuple[int, ...]
    branches: tuple[Branch, ...]
    form: Form = Form.VERBATIM

    def walk(self, chunks: Sequence[Sequence[int]]) -> Walk:
        """The answers to one comment. chunks: as they stand in an answer (`chunk_tokens`)."""
        return Walk(self, chunks)

    def toward(self, branch: int, named: Sequence[str]) -> int | None:
        """The token at a branch from which these values, and no others, can be named; None where there is none."""
        for token, edge in self.branches[branch].items():
            first, left = tuple(named[: len(edge.named)]), named[len(edge.named) :]
            if first == edge.named and (not left if edge.to == CLOSED else self.toward(edge.to, left) is not None):
                return token
        return None

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
            part.write_text(json.dumps([FORMAT, self.form, self.begin, self.next, self.end, branches]))

    @staticmethod
    def load(file: Path) -> Automaton:
        """Raises OSError, or ValueError where the file is none of ours."""
        version, *rest = json.loads(file.read_bytes())
        if version != FORMAT:
            raise ValueError(f"{file} is of format {version}, not {FORMAT}")
        form, begin, following, end, branches = rest
        read = tuple({t: Edge(tuple(run), to, tuple(named)) for t, run, to, named in edges} for edges in branches)
        return Automaton(tuple(begin), tuple(following), tuple(end), read, Form(form))


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

    forced: the tokens that begin it. branch: where it stands. closings: its closed segments.
    """

    __slots__ = ("_automaton", "_open", "_reading", "branch", "closings", "forced")

    def __init__(self, automaton: Automaton, chunks: Sequence[Sequence[int]]) -> None:
        if not chunks:
            raise ValueError("a comment without chunks has no answer")
        self._automaton = automaton
        self._reading = Reading(chunks, ahead=1 if automaton.form is Form.MARKED else 0)
        self.closings: list[Closing] = []
        self._open = Closing(0, [], [0.0])
        self.forced: list[int] = [*automaton.begin, *self._opened(), *self._settled()]

    @property
    def is_done(self) -> bool:
        return self.branch == CLOSED

    @property
    def onward(self) -> Sequence[int]:
        """The tokens of the comment's chunks that may come next: the segment then does not end here."""
        return self._reading.onward if self.branch == ROOT else ()

    @property
    def allowed(self) -> tuple[int, ...]:
        """The tokens that may come next, ascending: two or more, or none when the answer is done."""
        return tuple(sorted([*self._edges, *self.onward]))

    def decide(self, token: int, logprob: float = 0.0) -> list[int]:
        """Take one of the allowed tokens; gives those that are then forced. Raises ValueError for any other."""
        self._open.logprobs[-1] += logprob
        return [*self._take(token), *self._settled()]

    def toward(self, end: int, named: Sequence[str]) -> int:
        """The token to be decided next so that the segment ends with that chunk and is closed with these values.

        Raises ValueError where none leads there.
        """
        if self.branch == ROOT and self._reading.taken < end:
            return self.onward[0]
        left = (CONTENT, *named)[len(self._open.named) :]
        token = self._automaton.toward(self.branch, left)
        if token is None:
            raise ValueError(f"{' > '.join(named)} is no path of the taxonomy with an emotion")
        return token

    @property
    def _edges(self) -> Branch:
        return _NO_BRANCH if self.is_done else self._automaton.branches[self.branch]

    def _settled(self) -> Iterator[int]:
        """What is forced because one token alone is allowed."""
        while len(allowed := self.allowed) == 1:
            yield allowed[0]
            yield from self._take(allowed[0])

    def _take(self, token: int) -> Sequence[int]:
        edge = self._edges.get(token)
        if edge is None:
            if token not in self.onward:
                raise ValueError(f"token {token} may not stand here")
            return self._reading.go_on()
        self._open.named += edge.named
        self._open.logprobs += [0.0] * len(edge.named)
        self.branch = edge.to
        return edge.run if edge.to != CLOSED else [*edge.run, *self._closed()]

    def _closed(self) -> Sequence[int]:
        self.closings.append(Closing(self._reading.taken, self._open.named[1:], self._open.logprobs[:-1]))
        self._open = Closing(0, [], [0.0])
        if self._reading.is_over:
            return self._automaton.end
        return [*self._automaton.next, *self._opened()]

    def _opened(self) -> Sequence[int]:
        """Begin a segment with the next chunk."""
        self.branch = ROOT
        return self._reading.begin()


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
