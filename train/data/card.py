"""A data card: what `train check` found, for a person (Markdown) and for programs (JSON beside it)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pydantic_core import to_json

from taxonomy.files import write_text
from taxonomy.tree import Taxonomy
from train.data.check import DataReport, listed

_NAMED: Final = 20
"""How many of a kind the page names; the JSON names all."""


def write_card(report: DataReport, taxonomy: Taxonomy, files: Sequence[Path], card: Path) -> None:
    """Write `card` (Markdown) and the same with the ending `.json`. Raises OSError."""
    write_text("\n".join(_lines(report, taxonomy, files)) + "\n", card)
    text = to_json(report.full(taxonomy), indent=1).decode()
    write_text(text + "\n", card.with_suffix(".json"))


def summary(report: DataReport, taxonomy: Taxonomy) -> str:
    """One line a finding."""
    return "\n".join(f"{name}: {value}" for name, value in _figures(report, taxonomy))


def _figures(report: DataReport, taxonomy: Taxonomy) -> Iterator[tuple[str, str]]:
    exact = sum(duplicate.kind == "exact" for duplicate in report.duplicates)
    seen = sum(report.leaves[leaf.path] > 0 for leaf in taxonomy.leaves)
    yield "comments", str(report.comments)
    yield "chats", str(report.chats)
    yield "texts", str(report.texts)
    yield "rows in error, left out", str(len(report.invalid))
    yield "rows that repeat an earlier one", f"{exact} exactly, {len(report.duplicates) - exact} nearly"
    yield "test rows that repeat a row of the data", str(len(report.leaks))
    looked_for = f" ({listed(report.benchmarks)})" if report.benchmarks else ""
    yield "rows that hold a benchmark's question", f"{len(report.contaminated)}{looked_for}"
    yield "segment bounds moved to the nearest candidate cut", str(report.bounds_moved)
    yield "segments lost by that", str(len(report.segments_lost))
    yield "segments", str(report.leaves.total())
    yield "leaves with a segment", f"{seen} of {len(taxonomy.leaves)}"
    yield "languages", listed(dict(report.languages.most_common())) or "-"


def _lines(report: DataReport, taxonomy: Taxonomy, files: Sequence[Path]) -> Iterator[str]:
    yield "# Data card"
    yield ""
    yield f"Of {', '.join(file.name for file in files)}, against taxonomy {taxonomy.version}."
    yield ""
    yield "| | |"
    yield "|---|---|"
    for name, value in _figures(report, taxonomy):
        yield f"| {name} | {value} |"
    yield from _named("Rows in error", report.invalid)
    yield from _named("Repeated rows", report.duplicates)
    yield from _named("Test rows in the data", report.leaks)
    yield from _named("Benchmark questions in the data", report.contamination)
    yield from _named("Segments lost", report.segments_lost)
    yield ""
    yield "## Segments of each leaf"
    yield ""
    yield "| leaf | segments |"
    yield "|---|---|"
    for leaf in sorted(taxonomy.leaves, key=lambda leaf: (-report.leaves[leaf.path], leaf.path)):
        path = " > ".join(leaf.path).replace("|", "\\|")
        yield f"| {path} | {report.leaves[leaf.path]} |"


def _named(title: str, found: Sequence[object]) -> Iterator[str]:
    if found:
        yield from ("", f"## {title}", "")
        yield from (f"- {line}" for line in found[:_NAMED])
        if len(found) > _NAMED:
            yield f"- and {len(found) - _NAMED} more, in the JSON beside this page"
