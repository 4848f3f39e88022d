"""`route-feedback eval voc`."""

from __future__ import annotations

from eval.commands.options import Gold, Groups, Predictions, TaxonomyFile, Train
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.command_line import Json, emit


def command(
    gold: Gold,
    pred: Predictions,
    taxonomy: TaxonomyFile = BUNDLED_TAXONOMY,
    train: Train = None,
    groups: Groups = None,
    json: Json = False,
) -> None:
    """Scores of a predictions file, as docs/scores.md defines them."""
    from eval.commands.score_table import score_table, single_scores
    from eval.scoring.breakdowns import read_frequencies, read_groups
    from eval.scoring.predictions import counted, described, read_gold, read_predictions
    from eval.scoring.scores import score
    from taxonomy.formats.registry import load_taxonomy

    tree, comments = load_taxonomy(taxonomy), read_gold(gold)
    predictions, faults = read_predictions(pred, comments, tree)
    seen = read_frequencies(train) if train else None
    scores = score(comments, predictions, tree, seen, read_groups(groups, comments) if groups else None)
    value = scores.as_json() | {"comments": len(comments), "taxonomy": tree.version, "input": counted(faults)}
    emit(value, score_table(scores), *single_scores(scores), *described(faults), as_json=json)
