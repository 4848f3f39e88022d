"""What an answer is worth: its hierarchical F1 against the gold segments, as `eval` defines it."""

from __future__ import annotations

from eval.scoring.matched import Predicted, matched
from eval.scoring.scores import hierarchical
from taxonomy.comments import LabelledComment


def reward(gold: LabelledComment, predicted: Predicted) -> float:
    """0 to 1. No segment predicted where there is none is right: 1."""
    f1 = hierarchical(matched([gold], [predicted])).f1
    return 1.0 if f1 is None else f1
