"""The language of valid answers for one comment, as an Outlines CFG in llguidance's dialect: the reference.

The automaton decodes; this says in the field's own notation what it may decode. Tests hold it to that, and other
engines can be given it.

Every sentence of it is MECE: all chunks stand in the answer, in order; a segment ends with a chunk, and the next begins
with the one after it, up to the last. So an answer is disjoint, complete and verbatim by construction.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from outlines.types import CFG

from taxonomy.labels import EMOTIONS, LabelPath
from taxonomy.language import answer
from taxonomy.language.answer import escaped
from taxonomy.language.own_tokens import END, FEEDBACK, RESIDUE, emotion_token, label_token
from taxonomy.tree import Taxonomy

Token = Callable[[str], int]
"""Of a token that the tokenizer was given, by its name, the id."""


def grammar(chunks: Sequence[str], labels: str, token: Token | None = None) -> CFG:
    """The grammar of a comment's answers. `labels` is `label_rules` of the same form, the same for every comment.

    token: in the form `marked`, whose labels are tokens of its own. Its chunks are as the tokenizer has them, with
    spaces before or after.
    """
    if not chunks:
        raise ValueError("a comment without chunks has no answer")
    rules = _by_mark(chunks, token) if token else _by_copy(chunks)
    return CFG("\n".join([*rules, labels]))


def _by_copy(chunks: Sequence[str]) -> list[str]:
    last = len(chunks) - 1
    rules = [f"start: {_text(answer.OPEN)} c0"]
    for index, chunk in enumerate(chunks[:-1]):
        text = _text(escaped(chunk))
        rules.append(f"c{index}: {text} c{index + 1} | {text} CLOSE {_text(answer.NEXT)} c{index + 1}")
    return [*rules, f"c{last}: {_text(escaped(chunks[-1]))} CLOSE {_text(answer.END)}"]


def _by_mark(chunks: Sequence[str], token: Token) -> list[str]:
    """Rule m3: what may follow where three chunks are read, and a segment that began before the third is open."""
    read = [*map(_text, chunks), _id(token(END))]
    last = len(read)
    rules = [f"start: {read[0]} {read[1]} m2"]
    rules += [f"m{count}: {read[count]} m{count + 1} | close {read[count]} m{count + 1}" for count in range(2, last)]
    return [*rules, f"m{last}: close"]


def label_rules(taxonomy: Taxonomy, token: Token | None = None) -> str:
    """The taxonomy's part of every grammar: how a segment may be closed."""
    if token:
        return _by_token(taxonomy, token)
    emotions = " | ".join(_text(emotion) for emotion in EMOTIONS)
    rest = f"{_text(answer.EMOTION)} ({emotions}) {_text(answer.CLOSE)}"

    def below(path: LabelPath) -> str:
        labels = [(*path, label) for label in taxonomy.children(path)]
        each = [f"{_text(escaped(label[-1]))} {below(label)}".strip() for label in labels]
        return f"{_text(answer.before_level(len(path)))} ({' | '.join(each)})" if each else ""

    return f"CLOSE: {_text(answer.RESIDUE)} | {below(())} {rest}"


def _by_token(taxonomy: Taxonomy, token: Token) -> str:
    emotions = " | ".join(_id(token(emotion_token(emotion))) for emotion in EMOTIONS)

    def below(path: LabelPath) -> str:
        labels = [(*path, label) for label in taxonomy.children(path)]
        each = [f"{_id(token(label_token(label)))} {below(label)}".strip() for label in labels]
        return f"({' | '.join(each)})" if each else ""

    # A rule, not a terminal: terminals are of text.
    return f"close: {_id(token(RESIDUE))} | {_id(token(FEEDBACK))} {below(())} ({emotions})"


def _text(text: str) -> str:
    """A string literal of the dialect."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _id(token: int) -> str:
    return f"<[{token}]>"
