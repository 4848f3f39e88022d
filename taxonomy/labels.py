"""The words every room shares: levels, emotions, paths, and the identifiers of versions."""

from __future__ import annotations

from typing import Final, Literal, NewType

Emotion = Literal["positive", "neutral", "negative"]
EMOTIONS: Final[tuple[Emotion, ...]] = ("positive", "neutral", "negative")
LEVELS: Final[tuple[str, ...]] = ("L1", "L2", "L3", "L4")


def emotion_named(name: object) -> Emotion:
    """The emotion of that name. Raises ValueError with those there are."""
    for emotion in EMOTIONS:
        if emotion == name:
            return emotion
    raise ValueError(f"emotion is not one of {', '.join(EMOTIONS)}")


TEAM: Final = "team"
"""Beside the levels and the emotion, the name of the probability that a segment goes to the right team."""

LabelPath = tuple[str, ...]
"""Labels from L1 down; a leaf is its whole path."""

TaxonomyId = NewType("TaxonomyId", str)
CheckpointId = NewType("CheckpointId", str)
