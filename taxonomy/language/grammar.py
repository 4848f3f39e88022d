"""The language of valid answers for one comment, as an Outlines CFG in llguidance's dialect: the reference.

The automaton decodes; this says in the field's own notation what it may decode. Tests hold it to that, and other
engines can be given it.

Every sentence of it is MECE: inside a segment the chunks stand verbatim; after each, the segment is closed
(with labels, or without: residue) or goes on. So an answer is disjoint, complete and verbatim by construction.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from outlines.types import CFG

from taxonomy.labels import EMOTIONS, LabelPath
from taxonomy.language.answer import CLOSE, EMOTION, END, NEXT, OPEN, RESIDUE, before_level, escaped
from taxonomy.tree import Taxonomy


def grammar(chunks: Sequence[str], labels: str) -> CFG:
    """The grammar of a comment's answers. `labels` is `label_rules(taxonomy)`, the same for every comment."""
    if not chunks:
        raise ValueError("a comment without chunks has no answer")
    last = len(chunks) - 1
    rules = [f"start: {_text(OPEN)} c0"]
    for index, chunk in enumerate(chunks[:-1]):
        text = _text(escaped(chunk))
        rules.append(f"c{index}: {text} c{index + 1} | {text} CLOSE {_text(NEXT)} c{index + 1}")
    rules.append(f"c{last}: {_text(escaped(chunks[-1]))} CLOSE {_text(END)}")
    return CFG("\n".join([*rules, labels]))


def label_rules(taxonomy: Taxonomy) -> str:
    """The taxonomy's part of every grammar: how a segment may be closed."""
    emotions = " | ".join(_text(emotion) for emotion in EMOTIONS)
    rest = f"({_text(EMOTION)} ({emotions}) {_text(CLOSE)})"
    return f"CLOSE: {_text(RESIDUE)} | {_level(taxonomy, ())} {rest}"


def _level(taxonomy: Taxonomy, path: LabelPath) -> str:
    branches = []
    for label in taxonomy.children(path):
        below = _level(taxonomy, (*path, label)) if taxonomy.children((*path, label)) else ""
        branches.append(f"{_text(escaped(label))} {below}".strip())
    return f"{_text(before_level(len(path)))} ({' | '.join(branches)})"


def _text(text: str) -> str:
    """A string literal of the dialect."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
