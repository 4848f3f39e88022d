"""The answer in the numbered form: a JSON array, one array a segment: the chunk that it ends with, labels, emotion.

    [[1],[3,"Delivery","Late","negative"]]

Numbers count the comment's chunks from 1 and rise to the last. An array of a number alone is residue.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final

from taxonomy.labels import LabelPath, emotion_named
from taxonomy.language.answer import Part, chunk_ends, escaped

OPEN: Final = "[["
NEXT: Final = ",["
RESIDUE: Final = "]"
EMOTION: Final = '","'
CLOSE: Final = '"]'
END: Final = "]"


def before_level(level: int) -> str:
    """What stands between the label of one level and the next, or the number and L1 (level 0)."""
    return '","' if level else ',"'


def written(pieces: Sequence[str], parts: Sequence[Part], texts: Mapping[LabelPath, str]) -> str:
    """The parts as the model writes them. texts: of each node its label, as `label_texts` has it."""
    entries = zip(chunk_ends(pieces, parts), parts, strict=True)
    return OPEN + NEXT.join(str(number) + _labels(part, texts) for number, part in entries) + END


def _labels(part: Part, texts: Mapping[LabelPath, str]) -> str:
    if part.is_residue:
        return RESIDUE
    labels = "".join(before_level(level) + escaped(texts[part.path[: level + 1]]) for level in range(len(part.path)))
    return labels + EMOTION + part.emotion + CLOSE


def read(text: str, pieces: Sequence[str], texts: Mapping[LabelPath, str]) -> tuple[Part, ...]:
    """The parts of an answer to a comment cut into these chunks. Raises ValueError where it is none."""
    named = {(*path[:-1], text): path[-1] for path, text in texts.items()}
    parts, first = [], 0
    for number, *labels in json.loads(text):
        content = "".join(pieces[first:number])
        path: LabelPath = ()
        for label in labels[:-1]:
            try:
                path = (*path, named[(*path, label)])
            except KeyError:
                raise ValueError(f"{label!r} is no label below {' > '.join(path) or 'the root'}") from None
        parts.append(Part(content, path, emotion_named(labels[-1]) if labels else "neutral"))
        first = number
    if written(pieces, parts, texts) != text:
        raise ValueError("the answer is not in its one spelling")
    return tuple(parts)
