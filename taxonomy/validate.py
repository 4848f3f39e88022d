"""Rows of any format -> a taxonomy, or every fault at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from taxonomy.errors import Fault, TaxonomyInvalid
from taxonomy.labels import LEVELS, LabelPath
from taxonomy.names import difference, fault_of_name, fault_of_text, is_blank, looks
from taxonomy.tree import DEFAULT_REVIEW_BELOW, REVIEW_BY, Leaf, Note, Taxonomy, taxonomy_of

_Look = tuple[LabelPath, int, str]
"""Above whom it stands, which of the two ways of looking the same, and how it looks."""
MAX_LABEL: Final = 200
MAX_TEXT: Final = 10_000
"""Characters of a description or of any other text: a scope is a line, and a workbook's cell ends at 32,767."""


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
    rows: Sequence[Row],
    faults: Sequence[Fault],
    source: str,
    review_below: float = DEFAULT_REVIEW_BELOW,
    review_by: str = REVIEW_BY[0],
) -> Taxonomy:
    """Check the rows against each other and build the taxonomy.

    A row whose path others go on from describes an inner node; the rest are leaves, at levels 1 to 4. `faults` are
    those the reader found already. Raises TaxonomyInvalid with all of them and all found here.
    """
    found = [*faults, *_depth_faults(rows)]
    rows = [row for row in rows if len(row.path) <= len(LEVELS)]
    found += _text_faults(rows) + _repeat_faults(rows) + _label_faults(rows) + _unit_faults(rows)
    if not rows and not found:
        found.append(Fault(source, "there is no leaf in it", "add at least one path of labels"))
    if not 0 <= review_below <= 1:
        found.append(Fault(source, f"review_below is {review_below}", "give a probability from 0 to 1"))
    decides = next((name for name in REVIEW_BY if name == review_by), REVIEW_BY[0])
    if decides != review_by:
        found.append(Fault(source, f"review_by is {review_by!r}", f"give {' or '.join(REVIEW_BY)}"))
    if found:
        raise TaxonomyInvalid(found)
    parents = {row.path[:depth] for row in rows for depth in range(1, len(row.path))}
    leaves = [row for row in rows if row.path not in parents]
    inner = [row for row in rows if row.path in parents]
    return taxonomy_of(
        (Leaf(row.path, row.description, row.synonyms, row.team, row.workflow) for row in leaves),
        {row.path: Note(row.description, row.synonyms) for row in inner if row.description or row.synonyms},
        review_below,
        decides,
    )


def _depth_faults(rows: Sequence[Row]) -> list[Fault]:
    most = len(LEVELS)
    return [
        Fault(row.where, f"{' > '.join(row.path)!r} has {len(row.path)} labels", f"give each path at most {most}")
        for row in rows
        if len(row.path) > most
    ]


def _text_faults(rows: Sequence[Row]) -> list[Fault]:
    """Of each text once, at its first place: an inner node's label stands in every row below it."""
    faults = []
    seen: set[tuple[str, str]] = set()
    for row in rows:
        for name, text in _texts(row):
            if (name, text) not in seen:
                seen.add((name, text))
                faults += [Fault(row.where, what, remedy) for what, remedy in _faults_of(name, text)]
    return faults


def _texts(row: Row) -> Iterable[tuple[str, str]]:
    yield from zip(LEVELS, row.path, strict=False)
    yield from (("synonym", synonym) for synonym in row.synonyms)
    yield from ((name, text) for name in ("description", "team", "workflow") if (text := getattr(row, name)))


def _faults_of(name: str, text: str) -> Iterable[tuple[str, str]]:
    """What is wrong and what to do, a pair each."""
    limit = _limit(name)
    if len(text) > limit:
        yield f"{name} has {len(text):,} characters", f"use at most {limit:,}"
        return
    if is_blank(text):
        yield (
            (f"{name} is empty", "name it")
            if name in LEVELS
            else (f"{name} holds nothing that can be seen", "remove it")
        )
        return
    if fault := fault_of_text(text) if name == "description" else fault_of_name(text):
        yield f"{name} {_short(text)} {fault}", "remove it"
    if text != text.strip():
        yield f"{name} {_short(text)} begins or ends with a space", "trim it"
    if name == "synonym" and "|" in text:
        yield f"{name} {_short(text)} holds '|'", "reword it"


def _limit(name: str) -> int:
    return MAX_LABEL if name in LEVELS else MAX_TEXT


def _short(text: str) -> str:
    return repr(text if len(text) <= MAX_LABEL else f"{text[:MAX_LABEL]}...")


def _repeat_faults(rows: Sequence[Row]) -> list[Fault]:
    first: dict[LabelPath, str] = {}
    faults = []
    for row in rows:
        if row.path in first:
            path = " > ".join(row.path)
            faults.append(Fault(row.where, f"{path!r} stands already at {first[row.path]}", "remove or rename one"))
        first.setdefault(row.path, row.where)
    return faults


def _label_faults(rows: Sequence[Row]) -> list[Fault]:
    """Siblings that look the same to a person."""
    faults = []
    alike: dict[_Look, tuple[str, str]] = {}
    seen: set[LabelPath] = set()
    for row in rows:
        for depth in range(1, len(row.path) + 1):
            path = row.path[:depth]
            if path not in seen:
                seen.add(path)
                if len(path[-1]) > MAX_LABEL:
                    continue
                keys = [(path[:-1], way, look) for way, look in enumerate(looks(path[-1]))]
                if fault := _alike(path[-1], "its sibling", row.where, keys, alike):
                    faults.append(fault)
    return faults


def _unit_faults(rows: Sequence[Row]) -> list[Fault]:
    """Teams that look the same, and workflows: one of the two would get the other's work."""
    faults = []
    for field in ("team", "workflow"):
        alike: dict[_Look, tuple[str, str]] = {}
        seen = {""}
        for row in rows:
            text = getattr(row, field)
            if text not in seen and len(text) <= MAX_TEXT:
                seen.add(text)
                keys: list[_Look] = [((), way, look) for way, look in enumerate(looks(text))]
                if fault := _alike(text, f"the {field}", row.where, keys, alike):
                    faults.append(fault)
    return faults


def _alike(
    name: str, other: str, where: str, keys: Sequence[_Look], known: dict[_Look, tuple[str, str]]
) -> Fault | None:
    """The fault of a name that looks like a known one; `known` has names by how they look, and where they stand."""
    found = next((known[key] for key in keys if key in known), None)
    for key in keys:
        known.setdefault(key, (name, where))
    if not found:
        return None
    text, at = found
    what = f"{name!r} differs from {other} {text!r} ({at}) {difference(name, text)}"
    return Fault(where, what, "write both the same, or rename one")
