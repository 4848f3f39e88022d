"""A taxonomy and a tokenizer -> the automaton, once; then from disk. And an answer as the automaton's decisions."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from taxonomy.labels import EMOTIONS, LabelPath
from taxonomy.language.answer import Part, chunk_ends, escaped
from taxonomy.language.automaton import CLOSED, CONTENT, FORMAT, Automaton, Branch, Edge, branch_of, grown
from taxonomy.language.chunks import led_by_space
from taxonomy.language.forms import Form
from taxonomy.language.own_tokens import END, found
from taxonomy.language.spelling import spelling
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


def compiled(taxonomy: Taxonomy, tokens: Tokens, form: Form = Form.VERBATIM) -> Automaton:
    """The automaton of a taxonomy in a tokenizer's tokens: linear in the leaves.

    Raises CheckpointInvalid where the tokenizer has not the tokens of its own that the form asks for.
    """
    spelled = spelling(taxonomy, tokens, form)
    branches: list[Branch] = [{}]  # the root, made last
    emotions = [Edge((*spelled.emotions[name], *spelled.close), CLOSED, (name,)) for name in EMOTIONS]
    emotion = _after(spelled.before_emotion, grown(emotions, branches))

    def below(path: LabelPath) -> Edge:
        """From the end of a value to the end of the segment: a path ends where there is nothing below it."""
        labels = taxonomy.children(path)
        if not labels:
            return emotion
        each = [_after(spelled.labels[*path, label], below((*path, label)), label) for label in labels]
        return _after(spelled.before[len(path)], grown(each, branches))

    residue = Edge(spelled.residue, CLOSED, (CONTENT,))
    branches[0] = branch_of([residue, _after((), below(()), CONTENT)], branches)
    return Automaton(spelled.begin, spelled.next, spelled.end, tuple(branches), form)


def _after(run: Sequence[int], edge: Edge, *named: str) -> Edge:
    """The edge, with tokens and values before its own."""
    return Edge((*run, *edge.run), edge.to, (*named, *edge.named))


def cached(taxonomy: Taxonomy, tokens: Tokens, folder: Path, form: Form = Form.VERBATIM) -> tuple[Automaton, Path]:
    """The automaton and the file that holds it, compiled where no earlier run has done so.

    Raises OSError, and CheckpointInvalid as `compiled` does.
    """
    digest = hashlib.sha256(f"{FORMAT} {form} {taxonomy.version} {tokens.digest}".encode()).hexdigest()[:24]
    file = folder / f"{digest}.json"
    try:
        return Automaton.load(file), file
    except (OSError, ValueError):
        automaton = compiled(taxonomy, tokens, form)
        folder.mkdir(parents=True, exist_ok=True)
        automaton.save(file)
        return automaton, file


def chunk_tokens(chunks: Sequence[str], tokens: Tokens, form: Form = Form.VERBATIM) -> list[list[int]]:
    """A comment's chunks as they stand in an answer of this form."""
    if form is Form.MARKED:
        # Most tokenizers join a space with the word after it: a model knows few words without.
        read = led_by_space(chunks) if tokens.space_leads else chunks
        return [*tokens.texts(read), *map(list, found([END], tokens).values())]
    return tokens.texts([escaped(chunk) for chunk in chunks])


def tokenized_answer(
    pieces: Sequence[str], parts: Sequence[Part], automaton: Automaton, tokens: Tokens
) -> TokenizedAnswer:
    """One answer to a comment cut into chunks, in the automaton's form.

    Raises ValueError where a part does not end on a candidate cut, or its labels are no path of the taxonomy.
    """
    walk = automaton.walk(chunk_tokens(pieces, tokens, automaton.form))
    answer, decisions = list(walk.forced), []
    for end, part in zip(chunk_ends(pieces, parts), parts, strict=True):
        named = (*part.path, part.emotion) if part.path else ()
        closed = len(walk.closings)
        while len(walk.closings) == closed:
            decisions.append(Decision(len(answer), walk.allowed))
            token = walk.toward(end, named)
            answer += [token, *walk.decide(token)]
    return TokenizedAnswer(answer, decisions)
