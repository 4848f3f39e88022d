"""`route-feedback eval voc`."""

from __future__ import annotations

from typing import Annotated

import typer

from eval.commands.options import Gold, Groups, Predictions, TaxonomyFile, Train
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.command_line import Json, emit


def command(
    gold: Gold,
    pred: Predictions,
    taxonomy: TaxonomyFile = BUNDLED_TAXONOMY,
    train: Train = None,
    groups: Groups = None,
    alternatives: Annotated[
        bool, typer.Option("--alternatives", help="A gold segment's other right paths (alt) are right too.")
    ] = False,
    json: Json = False,
) -> None:
    """Scores of a predictions file, as docs/scores.md defines them."""
    from eval.commands.score_table import score_table, single_scores
    from eval.scoring.alternatives import as_taken
    from eval.scoring.breakdowns import read_frequencies, read_groups
    from eval.scoring.predictions import counted, described, read_gold, read_predictions
    from eval.scoring.scores import score
    from taxonomy.formats.registry import load_taxonomy

    tree, comments = load_taxonomy(taxonomy), read_gold(gold)
    predictions, faults = read_predictions(pred, comments, tree)
    seen = read_frequencies(train) if train else None
    of_group = read_groups(groups, comments) if groups else None
    taken = as_taken(comments, predictions) if alternatives else None
    scores = score(taken.comments if taken else comments, predictions, tree, seen, of_group)
    value = scores.as_json() | {"comments": len(comments), "taxonomy": tree.version, "input": counted(faults)}
    value |= {"alternatives": taken.counts} if taken else {}
    lines = [*single_scores(scores), *described(faults), *([str(taken.counts)] if taken else [])]
    emit(value, score_table(scores), *lines, as_json=json)
