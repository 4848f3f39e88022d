"""Scores for a person: a table of rates, and the figures that are no rates."""

from __future__ import annotations

from rich.table import Table

from eval.scoring.scores import Scores
from eval.scoring.tally import Rates, Tally
from taxonomy.command_line import table

RATES = ("P", "R", "F1")


def score_table(scores: Scores) -> Table:
    """Precision, recall and F1."""
    rows: dict[str, Rates | Tally] = {
        **scores.levels,
        "leaf": scores.leaf,
        "macro": scores.macro,
        "weighted": scores.weighted,
        "hierarchical": scores.hierarchical,
        "label set": scores.label_set,
        "span, strict": scores.span_strict,
        "span, partial": scores.span,
        **{f"{name} in training": tally for name, tally in (scores.tail or {}).items()},
        **{f"group {name}": tally for name, tally in (scores.groups or {}).items()},
        **{f"emotion, {name}": tally for name, tally in scores.emotions.items()},
    }
    return table(["", *RATES], [(name, row.precision, row.recall, row.f1) for name, row in rows.items()], digits=4)


def single_scores(scores: Scores) -> list[str]:
    """A line each."""
    interval = scores.leaf_interval
    lines = ["leaf F1, 95% bootstrap over comments: {:.4f} to {:.4f}".format(*interval)] if interval else []
    singles = {
        "coverage": scores.coverage,
        "verbatim": scores.verbatim,
        "emotion macro-F1": scores.emotion_macro_f1,
        "emotion accuracy": scores.emotion.recall,
        **({f"emotion accuracy, always {scores.always.emotion}": scores.always.accuracy} if scores.always else {}),
        "depth of the common ancestor": scores.lca_depth,
    } | {f"routed to {name}": tally.recall for name, tally in (scores.teams or {}).items()}
    return [*lines, *(f"{name}: {'-' if value is None else f'{value:.4f}'}" for name, value in singles.items())]
