"""`route-feedback eval calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from eval.commands.options import TaxonomyFile
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.command_line import Json, emit, table
from taxonomy.errors import CallWrong


def command(
    gold: Annotated[Path, typer.Option(help="JSONL of labelled comments; not those of the test.")],
    pred: Annotated[Path, typer.Option(help="JSONL of the service's answers or predictions.")],
    taxonomy: TaxonomyFile = BUNDLED_TAXONOMY,
    error: Annotated[float, typer.Option(help="Wanted share of wrong teams among unreviewed segments.")] = 0.05,
    record: Annotated[
        Path | None, typer.Option(help="The checkpoint directory whose manifest keeps the calibration.")
    ] = None,
    json: Json = False,
) -> None:
    """How far the probabilities can be trusted, and the threshold for review."""
    from eval.judging.calibrate import check_taxonomy, record_calibration
    from eval.judging.residue import calibrate_all
    from eval.scoring.predictions import described, read_gold, read_predictions
    from taxonomy.formats.registry import load_taxonomy

    if not 0 <= error <= 1:
        raise CallWrong(f"--error {error} is no share: give one from 0 to 1")
    comments = read_gold(gold)
    predictions, faults = read_predictions(pred, comments, None)
    tree = load_taxonomy(taxonomy)
    check_taxonomy(pred, tree)
    found = calibrate_all(comments, predictions, error, tree)
    if record:
        record_calibration(record, pred, found)
    emit(found, _table(found), _of_team(found), _of_leaf(found), _of_residue(found), *described(faults), as_json=json)


def _of_team(found: Calibration) -> str:
    if found.team_review_below is None or found.team_coverage is None:
        return "no confidence of a team: its probability stays the model's own, and the leaf decides what is reviewed"
    wrong = f"at most {found.wanted_error:.1%} of segments go to the wrong team from {found.team_review_below:.4f} on"
    return f"{wrong}: {found.team_coverage:.1%} of {found.segments} need no review"


def _of_leaf(found: Calibration) -> str:
    wrong = f"at most {found.wanted_error:.1%} have the wrong leaf or emotion from {found.review_below:.4f} on"
    return f"{wrong}: {found.coverage:.1%} of them would need no review, if the leaf decided"


def _of_residue(found: Calibration) -> str:
    if found.residue_review_below is None or found.residue_coverage is None:
        return "residue in too few comments, or without a confidence: its probability stays the model's own"
    held = f"at most {found.wanted_error:.1%} of residue holds feedback from {found.residue_review_below:.4f} on"
    return f"{held}: {found.residue_coverage:.1%} of it needs no review"


def _table(found: Calibration) -> Table:
    names = {"accuracy": "accuracy", "ece": "ECE", "ece_before": "before", "brier": "Brier", "brier_before": "before "}
    rows = [
        (
            name,
            scale.temperature,
            scale.upper_temperature or scale.temperature,
            scale.bias,
            *(found.figures.get(name, {}).get(figure) for figure in names),
        )
        for name, scale in found.scales.items()
    ]
    return table(["", "temperature", "near 1", "bias", *names.values()], rows, digits=4)
