"""How a corpus's comments are put together: how many issues, in which languages, how much is said around them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field

SHAPE: Final = "shape.yaml"
Chance = Annotated[float, Field(ge=0, le=1)]


class Residue(BaseModel):
    """The chance of a sentence that holds no issue: before the first issue, before each other, after the last."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    first: Chance = 0.22
    between: Chance = 0.1
    last: Chance = 0.2


class Shape(BaseModel):
    """The defaults are the bundled corpus's; another corpus has its own in `shape.yaml` beside its phrasings.

    languages, segments: weights of each language, of each number of issues a comment.
    area: the chance that an issue is of the same L1 as the one before. mood: that an issue's phrasing is as glad or
    cross as the comment's first. opened, tailed: that something stands before, after an issue. twice: that it is said
    in two ways. joined: that the next issue follows in the same sentence. capital: that an issue begins with a capital
    letter, however it was written down.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    languages: dict[str, float] = {"en": 0.4, "de": 0.24, "es": 0.18, "fr": 0.18}
    segments: dict[int, float] = {1: 0.30, 2: 0.29, 3: 0.20, 4: 0.12, 5: 0.06, 6: 0.03}
    residue: Residue = Residue()
    area: Chance = 0.25
    mood: Chance = 0.0
    opened: Chance = 0.22
    tailed: Chance = 0.2
    twice: Chance = 0.15
    joined: Chance = 0.2
    capital: Chance = 1.0


def load_shape(folder: Path) -> Shape:
    """That of a folder of phrasings. Raises OSError."""
    file = folder / SHAPE
    if not file.is_file():
        return Shape()
    return Shape.model_validate(yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader))
