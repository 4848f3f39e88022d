"""What a checkpoint's probabilities are worth: for each level a map from the model's own to how often it is right."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, model_validator

from taxonomy.labels import LEVELS

SURE: Final = 1e-6
"""Probabilities are kept this far from 0 and 1, whose logits are infinite."""
Probability = Annotated[float, Field(ge=0, le=1)]
RESIDUE: Final = "residue"
"""The scale of the probability that a stretch holds no feedback; a checkpoint may lack it."""


class Scale(BaseModel):
    """Of one level: ln(p) / temperature - ln(1 - p) / upper_temperature + bias is the logit of the new probability.

    Only the chosen path's probability is known, not its rivals', so the map is one of two classes: right or not (beta
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
    """The scales by level, "emotion" and "residue"; under `review_below` a segment needs a person's eye.

    wanted_error: the share of wrong ones among unreviewed segments that `review_below` was chosen for.
    coverage: the share of segments that were not under it. comments, segments: fitted on so many.
    figures: by level, what held-out folds gave: accuracy, ECE and Brier score, each before and after.
    residue_review_below, residue_coverage: the same of stretches without feedback; wrong is one that holds some. None
    where there is no scale for it: then its probability is the model's own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    scales: dict[str, Scale]
    review_below: Probability
    wanted_error: Probability
    coverage: Probability
    comments: int
    segments: int
    figures: dict[str, dict[str, float]] = Field(default_factory=dict)
    residue_review_below: Probability | None = None
    residue_coverage: Probability | None = None

    @model_validator(mode="after")
    def _whole(self) -> Calibration:
        beside = {self.residue_review_below is not None, self.residue_coverage is not None, RESIDUE in self.scales}
        if len(beside) > 1:
            raise ValueError("residue has a scale, a threshold and a coverage, or none of them")
        return self

    def of_residue(self, probability: float) -> float:
        """The calibrated probability that a stretch holds no feedback."""
        return self.scales[RESIDUE].of(probability) if RESIDUE in self.scales else probability

    def applied(self, confidence: Mapping[str, float]) -> dict[str, float]:
        """Calibrated probabilities of L1 down and of the emotion; no level is surer than the one above it."""
        scaled = {name: self.scales[name].of(probability) for name, probability in confidence.items()}
        above = 1.0
        for level in LEVELS:
            if level in scaled:
                above = scaled[level] = min(above, scaled[level])
        return scaled
