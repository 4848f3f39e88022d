"""Gold segments and candidate cuts: a segment can only end where the service may cut."""

from __future__ import annotations

import re
from dataclasses import replace
from itertools import accumulate
from typing import Final, NamedTuple

from taxonomy.comments import LabelledComment, Span
from taxonomy.language.chunks import chunks

_WORD: Final = re.compile(r"[^\W_]")


class Moved(NamedTuple):
    """A comment on candidate cuts. moved: bounds that passed over a letter or digit. lost: segments left empty."""

    comment: LabelledComment
    moved: int
    lost: tuple[Span, ...]


def on_nearest_cuts(comment: LabelledComment) -> Moved:
    """Each bound of each segment on the nearest candidate cut, the later of two as near.

    White space and marks may change hands freely: people leave out what stands between two segments, cuts do not.
    """
    text = comment.comment
    cuts = [0, *accumulate(map(len, chunks(text)))]
    kept, lost, moved = [], [], 0
    for span in comment.segments:
        start, end = (min(cuts, key=lambda cut: (abs(cut - bound), -cut)) for bound in (span.start, span.end))
        moved += sum(
            _WORD.search(text, min(old, new), max(old, new)) is not None
            for old, new in ((span.start, start), (span.end, end))
        )
        if start < end:
            kept.append(replace(span, start=start, end=end))
        else:
            lost.append(span)
    return Moved(replace(comment, segments=tuple(kept)), moved, tuple(lost))
