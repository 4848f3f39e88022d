"""`route-feedback eval drift`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from taxonomy.command_line import Json, emit
from taxonomy.errors import CallWrong

if TYPE_CHECKING:
    from eval.judging.drift import ConfidenceDrift, Drift, LabelDrift


def command(
    reference: Annotated[Path, typer.Option(help="JSONL of answers from when all was well.")],
    traffic: Annotated[Path, typer.Option(help="JSONL of answers to look at.")],
    below: Annotated[float, typer.Option(help="Look for topics in segments less sure than this.")] = 0.5,
    json: Json = False,
) -> None:
    """What has changed in production traffic, without gold."""
    from eval.judging.drift import drift, read_traffic

    if not 0 <= below <= 1:
        raise CallWrong(f"--below {below} is no probability: give one from 0 to 1")
    found = drift(read_traffic(reference), read_traffic(traffic), below)
    emit(found, *_lines(found), as_json=json)


def _lines(found: Drift) -> Iterator[str]:
    yield "comments: {} then, {} now; segments: {}, {}".format(*found.comments, *found.segments)
    for name, labels in found.labels.items():
        yield from _level_lines(name, labels)
    yield _confidence_line("confidence", found.confidence)
    yield "residue: {:.2%} of characters then, {:.2%} now".format(*found.residue)
    yield _confidence_line("confidence of residue", found.residue_confidence)
    yield f"{found.unsure} unsure segments, {len(found.topics)} topics among them"
    for topic in found.topics:
        yield f"  {topic.segments} segments: {', '.join(topic.words)}"
        yield from (f"      {example}" for example in topic.examples)


def _confidence_line(of: str, sure: ConfidenceDrift | None) -> str:
    if sure is None:
        return f"{of}: not scored, one side has none"
    medians = f"median {sure.quartiles[0][1]:.4f} then, {sure.quartiles[1][1]:.4f} now"
    return f"{of}: {medians}; Kolmogorov-Smirnov {sure.ks:.4f}, p {sure.p:.4f}"


def _level_lines(name: str, labels: LabelDrift | None) -> Iterator[str]:
    if labels is None:
        yield f"{name}: not scored, one side has no segments"
        return
    verdict = "drifted" if labels.drifted else "within chance"
    psi = f"PSI {labels.psi:.4f} (by chance up to {labels.psi_by_chance_95:.4f})"
    yield f"{name}: {psi}: {verdict}; JSD {labels.jsd:.4f}"
    yield from (f"    {row.reference:7.2%} -> {row.now:7.2%}  {row.label}" for row in labels.moved)
