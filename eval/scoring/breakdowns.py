"""What scores are broken down by: how often a leaf stands in the training comments, and the group of a comment."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from taxonomy.comments import LabelledComment, read_comments
from taxonomy.errors import DataInvalid
from taxonomy.files import numbered
from taxonomy.labels import LabelPath


def read_frequencies(file: Path) -> Counter[LabelPath]:
    """How many segments each leaf has in a file of labelled comments. Raises DataInvalid."""
    return Counter(segment.path for comment in read_comments(file) for segment in comment.segments)


def read_groups(file: Path, gold: Sequence[LabelledComment]) -> dict[str, str]:
    """The group of each gold comment. Raises DataInvalid for a bad line or a comment without a group."""
    groups: dict[str, str] = {}
    for number, line in numbered(file):
        try:
            row = json.loads(line)
            id_, group = row["id"], row["group"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataInvalid(f'{file}:{number}: not an object with "id" and "group"') from error
        if not isinstance(id_, str) or not isinstance(group, str) or groups.setdefault(id_, group) != group:
            raise DataInvalid(f"{file}:{number}: id and group are to be text, and each id has one group")
    if lacking := [comment.id for comment in gold if comment.id not in groups]:
        raise DataInvalid(f"{file}: {len(lacking)} comments of the gold have no group, first {lacking[0]!r}")
    return groups
