"""The pair that answers together: a checkpoint and a taxonomy, with all that is made from both once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from serve.engine.model import Model
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.labels import TEAM, CheckpointId
from taxonomy.language.automaton import Automaton
from taxonomy.language.language import Language
from taxonomy.language.posterior import LeavesBelow
from taxonomy.language.prompt import Prompt
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy


@dataclass(frozen=True)
class Pair:
    """One checkpoint with one taxonomy; an answer is made by one pair and names it.

    model: what the engine decides by; `compile_s` seconds were spent on its automaton, compiling it or reading it.
    calibration: None where the checkpoint has none; then probabilities are the model's own.
    """

    model: Model
    taxonomy: Taxonomy
    tokens: Tokens
    prompt: Prompt
    compile_s: float
    calibration: Calibration | None = None

    @property
    def checkpoint(self) -> CheckpointId:
        return self.model.checkpoint

    @property
    def automaton(self) -> Automaton:
        return self.model.automaton

    @cached_property
    def longest_closing(self) -> int:
        """The automaton's, which takes a walk through the whole of it."""
        return self.automaton.longest_closing

    @property
    def language(self) -> Language:
        return Language(self.tokens, self.prompt, self.automaton)

    @cached_property
    def leaves_below(self) -> LeavesBelow:
        """Where each of the automaton's decisions on labels leads."""
        return LeavesBelow(self.automaton, self.taxonomy)

    def needs_review(self, confidence: Mapping[str, float]) -> bool:
        """Whether a segment needs a person's eye: by its team, unless the taxonomy says by its leaf.

        A calibration from before there was one of the team knows a threshold for the leaf alone, which then decides.
        """
        found = self.calibration
        if self.taxonomy.review_by == "leaf" or (found and found.team_review_below is None):
            below = found.review_below if found else self.taxonomy.review_below
            return min(probability for name, probability in confidence.items() if name != TEAM) < below
        own = found.team_review_below if found else None
        return confidence[TEAM] < (self.taxonomy.review_below if own is None else own)

    @property
    def residue_review_below(self) -> float:
        """Residue less sure than this to hold no feedback needs a person's eye."""
        own = self.calibration.residue_review_below if self.calibration else None
        return self.taxonomy.review_below if own is None else own
