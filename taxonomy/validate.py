"""Rows of any format -> a taxonomy, or every fault at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.labels import LEVELS, LabelPath
from taxonomy.tree import DEFAULT_REVIEW_BELOW, Leaf, Note, Taxonomy, taxonomy_of

MAX_LABEL = 200


@dataclass(frozen=True, slots=True)
class Row:
    """One node as a file wrote it: `team` and `workflow` are already inherited, `where` is its line or cell."""

    path: LabelPath
    where: str
    description: str = ""
    synonyms: tuple[str, ...] = ()
    team: str = ""
    workflow: str = ""


def taxonomy_from_rows(
    rows: Sequence[Row], faults: Sequence[Fault], source: str, review_below: float = DEFAULT_REVIEW_BELOW
) -> Taxonomy:
    """Check the rows against each other and build the taxonomy.

    `faults` are those the reader found already. Raises TaxonomyInvalid with all of them and all found here.
    """
    found = [*faults, *_text_faults(rows)]
    parents = {row.path[:depth] for row in rows for depth in range(1, len(row.path))}
    leaves = [row for row in rows if row.path not in parents]
    inner = [row for row in rows if row.path in parents]
    found += _repeat_faults(rows) + _sibling_faults(rows) + _depth_faults(leaves)
    if not leaves and not found:
        found.append(Fault(source, "there is no leaf in it", "add at least one path of labels"))
    if not 0 <= review_below <= 1:
        found.append(Fault(source, f"review_below is {review_below}", "give a probability from 0 to 1"))
    if found:
        raise TaxonomyInvalid(found)
    return taxonomy_of(
        (Leaf(row.path, row.description, row.synonyms, row.team, row.workflow) for row in leaves),
        {row.path: Note(row.description, row.synonyms) for row in inner if row.description or row.synonyms},
        review_below,
    )


def _text_faults(rows: Sequence[Row]) -> list[Fault]:
    faults = []
    for row in rows:
        named = [(LEVELS[depth], label) for depth, label in enumerate(row.path[:4])]
        named += [("description", row.description), ("team", row.team), ("workflow", row.workflow)]
        named += [("synonym", synonym) for synonym in row.synonyms]
        for name, text in named:
            if any(unicodedata.category(c) in {"Cc", "Cs"} for c in text):
                faults.append(Fault(row.where, f"{name} {text!r} holds a control character", "remove it"))
            if text != text.strip():
                faults.append(Fault(row.where, f"{name} {text!r} begins or ends with a space", "trim it"))
        faults += [
            Fault(row.where, f"synonym {synonym!r} is empty or holds '|'", "reword it")
            for synonym in row.synonyms
            if not synonym or "|" in synonym
        ]
        for name, text in named[: len(row.path)]:
            if not text.strip():
                faults.append(Fault(row.where, f"{name} is empty", "name it"))
            if len(text) > MAX_LABEL:
                faults.append(Fault(row.where, f"{name} has {len(text)} characters", f"use at most {MAX_LABEL}"))
    return faults


def _repeat_faults(rows: Sequence[Row]) -> list[Fault]:
    first: dict[LabelPath, str] = {}
    faults = []
    for row in rows:
        if row.path in first:
            path = " > ".join(row.path)
            faults.append(Fault(row.where, f"{path!r} stands already at {first[row.path]}", "remove or rename one"))
        first.setdefault(row.path, row.where)
    return faults


def _sibling_faults(rows: Sequence[Row]) -> list[Fault]:
    """Siblings that differ only in case or Unicode form look the same to a person and to a model."""
    first: dict[LabelPath, tuple[LabelPath, str]] = {}
    faults = []
    for row in rows:
        for depth in range(1, len(row.path) + 1):
            path = row.path[:depth]
            folded = (*path[:-1], unicodedata.normalize("NFKC", path[-1]).casefold())
            known, where = first.setdefault(folded, (path, row.where))
            if known != path:
                what = f"{path[-1]!r} differs from its sibling {known[-1]!r} ({where}) only in case or Unicode form"
                faults.append(Fault(row.where, what, "write both the same, or rename one"))
    return faults


def _depth_faults(leaves: Sequence[Row]) -> list[Fault]:
    depths = [len(row.path) for row in leaves]
    if not depths:
        return []
    usual = max(sorted(set(depths), reverse=True), key=depths.count)
    return [
        Fault(
            row.where,
            f"{' > '.join(row.path)!r} has {len(row.path)} level{'s' * (len(row.path) != 1)}, most leaves have {usual}",
            "give every leaf the same depth, 1 to 4",
        )
        for row in leaves
        if len(row.path) != usual or len(row.path) > len(LEVELS)
    ]
