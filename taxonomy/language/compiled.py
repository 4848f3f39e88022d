"""A taxonomy and a tokenizer -> the automaton, once; then from disk. And an answer as the automaton's decisions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from taxonomy.labels import EMOTIONS, LabelPath
from taxonomy.language.answer import CLOSE, EMOTION, END, NEXT, OPEN, RESIDUE, Part, before_level, escaped
from taxonomy.language.automaton import CLOSED, CONTENT, FORMAT, Automaton, Branch, Edge, branch_of, grown
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy


class Decision(NamedTuple):
    """Token `at` of an answer, where others (`allowed`, ascending, itself among them) could have stood."""

    at: int
    allowed: tuple[int, ...]


class TokenizedAnswer(NamedTuple):
    """An answer's tokens, the end token included, and its decisions in order."""

    tokens: list[int]
    decisions: list[Decision]


def compiled(taxonomy: Taxonomy, tokens: Tokens) -> Automaton:
    """The automaton of a taxonomy in a tokenizer's tokens: linear in the leaves."""
    labels = sorted({label for leaf in taxonomy.leaves for label in leaf.path})
    tokenized = dict(zip(labels, tokens.texts([escaped(label) for label in labels]), strict=True))
    branches: list[Branch] = [{}]  # the root, made last
    close = tuple(tokens.text(CLOSE))
    emotion = grown([Edge((*tokens.text(name), *close), CLOSED, (name,)) for name in EMOTIONS], branches)
    before = [tuple(tokens.text(before_level(level))) for level in range(taxonomy.depth)]
    before.append(tuple(tokens.text(EMOTION)))

    def below(path: LabelPath) -> Edge:
        """From the end of a value to the end of the segment."""
        after = (
            grown([_joined(tokenized[x], x, below((*path, x))) for x in taxonomy.children(path)], branches)
            if len(path) < taxonomy.depth
            else emotion
        )
        return after._replace(run=(*before[len(path)], *after.run))

    residue = Edge(tuple(tokens.text(RESIDUE)), CLOSED, (CONTENT,))
    branches[0] = branch_of([residue, _joined((), CONTENT, below(()))], branches)
    end = (*tokens.text(END), tokens.eos)
    return Automaton(tuple(tokens.text(OPEN)), tuple(tokens.text(NEXT)), end, tuple(branches))


def _joined(run: Sequence[int], named: str, after: Edge) -> Edge:
    return Edge((*run, *after.run), after.to, (named, *after.named))


def cached(taxonomy: Taxonomy, tokens: Tokens, folder: Path) -> tuple[Automaton, Path]:
    """The automaton and the file that holds it, compiled where no earlier run has done so. Raises OSError."""
    digest = hashlib.sha256(f"{FORMAT} {taxonomy.version} {tokens.digest}".encode()).hexdigest()[:24]
    file = folder / f"{digest}.json"
    try:
        return Automaton.load(file), file
    except (OSError, ValueError):
        automaton = compiled(taxonomy, tokens)
        folder.mkdir(parents=True, exist_ok=True)
        automaton.save(file)
        return automaton, file


def chunk_tokens(chunks: Sequence[str], tokens: Tokens) -> list[list[int]]:
    """A comment's chunks as they stand in an answer."""
    return tokens.texts([escaped(chunk) for chunk in chunks])


def tokenized_answer(
    pieces: Sequence[str], parts: Sequence[Part], automaton: Automaton, tokens: Tokens
) -> TokenizedAnswer:
    """One answer to a comment cut into chunks. Raises ValueError where a part does not end on a candidate cut."""
    walk = automaton.walk(chunk_tokens(pieces, tokens))
    answer = [*_answer_tokens(pieces, parts, tokens), *automaton.end]
    decisions = []
    at = len(walk.forced)
    while not walk.is_done:
        decisions.append(Decision(at, walk.allowed))
        forced = walk.decide(answer[at])
        at += 1 + len(forced)
        if answer[at - len(forced) : at] != forced:
            raise ValueError("the answer leaves the language where a token is forced")
    return TokenizedAnswer(answer, decisions)


def _answer_tokens(pieces: Sequence[str], parts: Sequence[Part], tokens: Tokens) -> list[int]:
    ends = {sum(map(len, pieces[:count])): count for count in range(len(pieces) + 1)}
    answer: list[int] = []
    start = end = 0
    for part in parts:
        end += len(part.content)
        if end not in ends or "".join(pieces[ends[start] : ends[end]]) != part.content:
            raise ValueError(f"the segment {part.content!r} does not end on a candidate cut")
        texts = [NEXT if start else OPEN, *map(escaped, pieces[ends[start] : ends[end]])]
        for level, label in enumerate(part.path):
            texts += [before_level(level), escaped(label)]
        texts += [RESIDUE] if part.is_residue else [EMOTION, part.emotion, CLOSE]
        answer += [token for run in tokens.texts(texts) for token in run]
        start = end
    if "".join(pieces) != "".join(part.content for part in parts):
        raise ValueError("the answer ends before its comment does")
    return answer
