"""The answer in the verbatim form: a JSON array, one object a segment, one spelling for each.

    [{"content":"I bought it in May. "},{"content":"It came late","L1":"...","L2":"...",...,"emotion":"negative"}]

`content` laid end to end is the comment. An object without labels carries no feedback: it is residue.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

from taxonomy.labels import EMOTIONS, LEVELS, Emotion, LabelPath, emotion_named

OPEN: Final = '[{"content":"'
NEXT: Final = ',{"content":"'
RESIDUE: Final = '"}'
LABELS: Final = '","L1":"'
EMOTION: Final = '","emotion":"'
CLOSE: Final = '"}'
END: Final = "]"


def before_level(level: int) -> str:
    """What stands between the label of one level and the next (level 1 is L2's), or the content and L1 (level 0)."""
    return f'","{LEVELS[level]}":"'


def escaped(text: str) -> str:
    """Text as it stands between the quotes of the answer: the one JSON spelling that is used throughout."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


@dataclass(frozen=True, slots=True)
class Part:
    """A stretch of the comment with one label path and emotion, or with neither (residue)."""

    content: str
    path: LabelPath = ()
    emotion: Emotion = "neutral"

    def __post_init__(self) -> None:
        if not self.content:
            raise ValueError("a part without content")
        if self.emotion not in EMOTIONS:
            raise ValueError(f"emotion {self.emotion!r} is none of {EMOTIONS}")

    @property
    def is_residue(self) -> bool:
        return not self.path


def written(parts: Sequence[Part]) -> str:
    """The parts as the model writes them."""
    return OPEN + NEXT.join(_object(part) for part in parts) + END


def _object(part: Part) -> str:
    if part.is_residue:
        return escaped(part.content) + RESIDUE
    labels = "".join(before_level(level) + escaped(label) for level, label in enumerate(part.path))
    return escaped(part.content) + labels + EMOTION + part.emotion + CLOSE


def read(answer: str) -> tuple[Part, ...]:
    """The parts of an answer in the language above. Raises ValueError where it is not one."""
    parts = tuple(_part(entry) for entry in json.loads(answer))
    if written(parts) != answer:
        raise ValueError("the answer is not in its one spelling")
    return parts


def _part(entry: dict[str, str]) -> Part:
    path = tuple(entry[level] for level in LEVELS if level in entry)
    return Part(entry["content"], path, emotion_named(entry["emotion"]) if path else "neutral")


def chunk_ends(pieces: Sequence[str], parts: Sequence[Part]) -> list[int]:
    """The number of the chunk, from 1, that each part ends with. Raises ValueError where it ends with none."""
    at_end = {end: number for number, end in enumerate(accumulate(map(len, pieces)), 1)}
    text, ends, end = "".join(pieces), [], 0
    for part in parts:
        start, end = end, end + len(part.content)
        if end not in at_end or text[start:end] != part.content:
            raise ValueError(f"the segment {part.content!r} does not end on a candidate cut")
        ends.append(at_end[end])
    if end != len(text):
        raise ValueError("the answer ends before its comment does")
    return ends


def joined_residue(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The same parts, with neighbouring residue made one."""
    out: list[Part] = []
    for part in parts:
        if out and out[-1].is_residue and part.is_residue:
            out[-1] = Part(out[-1].content + part.content)
        else:
            out.append(part)
    return tuple(out)
