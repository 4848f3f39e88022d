"""What scores are broken down by: how often a leaf stands in the training comments, and the group of a comment."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from taxonomy.comments import LabelledComment, read_comments
from taxonomy.errors import DataInvalid
from taxonomy.jsonl import Row, id_text, parsed, without_faults
from taxonomy.labels import LabelPath


def read_frequencies(file: Path) -> Counter[LabelPath]:
    """How many segments each leaf has in a file of labelled comments. Raises DataInvalid."""
    return Counter(segment.path for comment in read_comments(file) for segment in comment.segments)


def read_groups(file: Path, gold: Sequence[LabelledComment]) -> dict[str, str]:
    """The group of each gold comment. Raises DataInvalid for a bad line or a comment without a group."""
    groups: dict[str, str] = {}

    def note(row: Row) -> None:
        id_, group = id_text(row.value["id"]), row.value["group"]
        if not isinstance(group, str):
            raise ValueError("the field 'group' is not text")  # noqa: TRY004 (the row is wrong, not the caller)
        if groups.setdefault(id_, group) != group:
            raise ValueError(f"the id {id_!r} has the group {groups[id_]!r} already")

    for _ in without_faults(parsed(file, note)):
        pass
    if lacking := [comment.id for comment in gold if comment.id not in groups]:
        raise DataInvalid(f"{file}: {len(lacking)} comments of the gold have no group, first {lacking[0]!r}")
    return groups
