"""What a checkpoint's probabilities are worth: for each level a map from the model's own to how often it is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from taxonomy.labels import LEVELS, TEAM, LabelPath

SURE: Final = 1e-6
"""Probabilities are kept this far from 0 and 1, whose logits are infinite."""
Probability = Annotated[float, Field(ge=0, le=1)]
RESIDUE: Final = "residue"
"""The scale of the probability that a stretch holds no feedback; a checkpoint may lack it."""


class Scale(BaseModel):
    """Of one level: ln(p) / temperature - ln(1 - p) / upper_temperature + bias is the logit of the new probability.

    Whatever else was possible, the map is of one probability, so it is one of two classes: right or not (beta
    calibration, Kull et al. 2017; with equal temperatures it is Platt's). The first temperature rules where p is small,
    the second where it is near 1; None: the same. The bias is for what no temperature can mend: a segment that is cut
    wrongly has no right label.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    temperature: Annotated[float, Field(gt=0)]
    upper_temperature: Annotated[float, Field(gt=0)] | None = None
    bias: float

    def of(self, probability: float) -> float:
        """The calibrated probability."""
        inside = min(max(probability, SURE), 1 - SURE)
        upper = self.upper_temperature or self.temperature
        logit = math.log(inside) / self.temperature - math.log1p(-inside) / upper + self.bias
        return 1 / (1 + math.exp(-logit)) if logit > -700 else 0.0  # noqa: PLR2004 (where exp overflows)


class Calibration(BaseModel):
    """The scales by level, "emotion", "team" and "residue"; a segment under what decides needs a person's eye.

    wanted_error: the share of wrong ones among what nobody reviews, for which each threshold was chosen.
    review_below, coverage: where the leaf decides; by the least sure of its levels and the emotion. coverage: the share
    of segments that were not under it. comments, segments: fitted on so many.
    figures: by level, what held-out folds gave: accuracy, ECE and Brier score, each before and after.
    team_review_below, team_coverage: the same where the team decides; wrong is another team's segment.
    residue_review_below, residue_coverage: the same of stretches without feedback; wrong is one that holds some. Either
    pair is None where there is no scale for it: then its probability is the model's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scales: dict[str, Scale]
    review_below: Probability
    wanted_error: Probability
    coverage: Probability
    comments: int
    segments: int
    figures: dict[str, dict[str, float]] = Field(default_factory=dict)
    team_review_below: Probability | None = None
    team_coverage: Probability | None = None
    residue_review_below: Probability | None = None
    residue_coverage: Probability | None = None

    @model_validator(mode="after")
    def _whole(self) -> Calibration:
        for name, threshold, coverage in (
            (TEAM, self.team_review_below, self.team_coverage),
            (RESIDUE, self.residue_review_below, self.residue_coverage),
        ):
            if len({threshold is not None, coverage is not None, name in self.scales}) > 1:
                raise ValueError(f"{name} has a scale, a threshold and a coverage, or none of them")
        return self

    def of_residue(self, probability: float) -> float:
        """The calibrated probability that a stretch holds no feedback."""
        return self.scales[RESIDUE].of(probability) if RESIDUE in self.scales else probability

    def applied(self, confidence: Mapping[str, float]) -> dict[str, float]:
        """Calibrated probabilities of L1 down, of the emotion and of the team.

        No level is surer than the one above it, and no leaf than its team, which keeps its own if it has no scale.
        """
        scaled = {name: self.scales[name].of(p) if name in self.scales else p for name, p in confidence.items()}
        above = 1.0
        for level in LEVELS:
            if level in scaled:
                above = scaled[level] = min(above, scaled[level])
        if TEAM in scaled and TEAM in self.scales:
            scaled[TEAM] = max(above, scaled[TEAM])
        return scaled

    def of_path(self, path: LabelPath, probability: float) -> float:
        """The calibrated probability of a path that was not taken, by the scale of the level that it ends at."""
        return self.scales[LEVELS[len(path) - 1]].of(probability)
