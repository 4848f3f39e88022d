"""`route-feedback eval report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from eval.commands.options import Gold, Groups, Predictions, TaxonomyFile, Train
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.command_line import Json, emit
from taxonomy.errors import CallWrong


def command(
    gold: Gold,
    pred: Predictions,
    out: Annotated[Path, typer.Option(help="A folder for report.html, report.md, report.json.")],
    taxonomy: TaxonomyFile = BUNDLED_TAXONOMY,
    baseline_pred: Annotated[
        Path | None, typer.Option(help="Predictions of another checkpoint, to stand beside.")
    ] = None,
    checkpoint: Annotated[Path | None, typer.Option(help="Its directory: general scores, the gate's decision.")] = None,
    baseline: Annotated[Path | None, typer.Option(help="The other checkpoint's directory.")] = None,
    train: Train = None,
    groups: Groups = None,
    json: Json = False,
) -> None:
    """One self-contained HTML file of all of it, and the same in Markdown and JSON."""
    from eval.report.files import write_report
    from eval.report.report import Side, report
    from eval.scoring.breakdowns import read_frequencies, read_groups
    from eval.scoring.predictions import read_gold, read_predictions
    from taxonomy.checkpoint.manifest import read_manifest
    from taxonomy.formats.registry import load_taxonomy

    if baseline and not baseline_pred:
        raise CallWrong("--baseline is a checkpoint's directory; give its predictions too, with --baseline-pred")
    comments, tree = read_gold(gold), load_taxonomy(taxonomy)
    sides = [
        Side(name, read_predictions(file, comments, tree), read_manifest(folder) if folder else None)
        for name, file, folder in [("candidate", pred, checkpoint), ("baseline", baseline_pred, baseline)]
        if file
    ]
    seen = read_frequencies(train) if train else None
    found = report(comments, sides, tree, seen, read_groups(groups, comments) if groups else None)
    written = write_report(found, out)
    emit({"files": [str(file) for file in written]}, *map(str, written), as_json=json)
