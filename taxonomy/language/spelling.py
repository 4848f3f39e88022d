"""A form of answers in a tokenizer's tokens: what each piece of an answer is, tokenised on its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taxonomy.labels import EMOTIONS, LabelPath
from taxonomy.language import answer, numbered
from taxonomy.language.forms import Form, label_texts
from taxonomy.language.own_tokens import FEEDBACK, RESIDUE, emotion_token, found, label_token, number_token
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy

Run = tuple[int, ...]


@dataclass(frozen=True)
class Spelling:
    """The tokens of every piece but the comment's own.

    begin, next, end: before the first segment, between two, after the last. residue: closes a segment without labels.
    labels: of each node its label. before: of each level, by its number from 0, what stands before a label there.
    emotions: by name; before_emotion and close stand around.
    """

    begin: Run
    next: Run
    end: Run
    residue: Run
    before: tuple[Run, ...]
    before_emotion: Run
    close: Run
    labels: Mapping[LabelPath, Run]
    emotions: Mapping[str, Run]


def spelling(taxonomy: Taxonomy, tokens: Tokens, form: Form) -> Spelling:
    """Raises CheckpointInvalid where the form needs tokens that the tokenizer does not have."""
    if form.has_own_tokens:
        return _in_own_tokens(taxonomy, tokens)
    texts = label_texts(taxonomy, form)
    distinct = sorted(set(texts.values()))
    runs = dict(zip(distinct, map(tuple, tokens.texts([answer.escaped(text) for text in distinct])), strict=True))
    pieces = numbered if form.is_numbered else answer

    def run(text: str) -> Run:
        return tuple(tokens.text(text))

    return Spelling(
        begin=run(pieces.OPEN),
        next=run(pieces.NEXT),
        end=(*run(pieces.END), tokens.eos),
        residue=run(pieces.RESIDUE),
        before=tuple(run(pieces.before_level(level)) for level in range(taxonomy.depth)),
        before_emotion=run(pieces.EMOTION),
        close=run(pieces.CLOSE),
        labels={path: runs[text] for path, text in texts.items()},
        emotions={name: run(name) for name in EMOTIONS},
    )


def _in_own_tokens(taxonomy: Taxonomy, tokens: Tokens) -> Spelling:
    paths = label_texts(taxonomy, Form.NUMBERED_TOKENS)
    runs = found([RESIDUE, FEEDBACK, *map(emotion_token, EMOTIONS), *map(label_token, paths)], tokens)
    return Spelling(
        begin=(),
        next=(),
        end=(tokens.eos,),
        residue=runs[RESIDUE],
        before=(runs[FEEDBACK], *[()] * (taxonomy.depth - 1)),
        before_emotion=(),
        close=(),
        labels={path: runs[label_token(path)] for path in paths},
        emotions={name: runs[emotion_token(name)] for name in EMOTIONS},
    )


def spaced(pieces: Sequence[str], tokens: Tokens) -> list[list[int]]:
    """A comment's chunks, the white space between two with the one that the tokenizer joins it with: most join it with
    the word after it, and then what is after the last one is left out.
    """
    if not tokens.space_leads:
        return tokens.texts(pieces)
    bodies = [piece.rstrip() for piece in pieces]
    spaces = ["", *(piece[len(body) :] for piece, body in zip(pieces, bodies, strict=True))]
    return tokens.texts([space + body for space, body in zip(spaces, bodies, strict=False)])


def number_runs(count: int, tokens: Tokens, form: Form) -> list[list[int]]:
    """The numbers 1 to `count` as they stand in an answer of a numbered form. Raises CheckpointInvalid."""
    if form.has_own_tokens:
        return [list(run) for run in found(map(number_token, range(1, count + 1)), tokens).values()]
    return tokens.texts([str(number) for number in range(1, count + 1)])


def number_marks(count: int, tokens: Tokens, form: Form) -> list[list[int]]:
    """The numbers 1 to `count` as a prompt of a numbered form shows them. Raises CheckpointInvalid."""
    if form.has_own_tokens:
        return number_runs(count, tokens, form)
    return tokens.texts([f"#{number}" for number in range(1, count + 1)])
