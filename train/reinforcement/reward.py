"""What an answer is worth: its hierarchical F1 against the gold segments, as `eval` defines it."""

from __future__ import annotations

from eval.scoring.matched import Predicted, matched
from eval.scoring.scores import hierarchical
from taxonomy.comments import LabelledComment


def reward(gold: LabelledComment, said: Predicted) -> float:
    """0 to 1. Nothing said of a comment of which there is nothing to say is right: 1."""
    f1 = hierarchical(matched([gold], [said])).f1
    return 1.0 if f1 is None else f1
