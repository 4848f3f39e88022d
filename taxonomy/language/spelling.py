"""A form of answers in a tokenizer's tokens: what each piece of an answer is, tokenised on its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from taxonomy.labels import EMOTIONS, LabelPath
from taxonomy.language import answer
from taxonomy.language.forms import Form
from taxonomy.language.own_tokens import FEEDBACK, RESIDUE, emotion_token, found, label_token, labelled_nodes
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
    return _in_own_tokens(taxonomy, tokens) if form is Form.MARKED else _in_json(taxonomy, tokens)


def _in_json(taxonomy: Taxonomy, tokens: Tokens) -> Spelling:
    paths = list(labelled_nodes(taxonomy))
    labels = sorted({path[-1] for path in paths})
    runs = dict(zip(labels, map(tuple, tokens.texts(list(map(answer.escaped, labels)))), strict=True))

    def run(text: str) -> Run:
        return tuple(tokens.text(text))

    return Spelling(
        begin=run(answer.OPEN),
        next=run(answer.NEXT),
        end=(*run(answer.END), tokens.eos),
        residue=run(answer.RESIDUE),
        before=tuple(run(answer.before_level(level)) for level in range(taxonomy.depth)),
        before_emotion=run(answer.EMOTION),
        close=run(answer.CLOSE),
        labels={path: runs[path[-1]] for path in paths},
        emotions={name: run(name) for name in EMOTIONS},
    )


def _in_own_tokens(taxonomy: Taxonomy, tokens: Tokens) -> Spelling:
    paths = list(labelled_nodes(taxonomy))
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
