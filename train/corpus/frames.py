"""What customers wrap around an issue: hand-written openers, tails and residue, kept apart by split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict

from taxonomy.labels import Emotion


class _FramePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SplitFrames(_FramePart):
    """Of one language and split. opener: before an issue. tail: after it, by its emotion. residue: of no issue."""

    opener: list[str]
    tail: dict[Emotion, list[str]]
    residue: list[str]

    @property
    def texts(self) -> Iterator[str]:
        """All of them."""
        yield from self.opener
        for tails in self.tail.values():
            yield from tails
        yield from self.residue


class LanguageFrames(_FramePart):
    """joins: conjunctions between two issues, of both splits alike."""

    joins: list[str]
    train: SplitFrames
    test: SplitFrames

    def split(self, name: Literal["train", "validation", "test"]) -> SplitFrames:
        """Of what customers wrap around an issue there is no third set: validation has training's."""
        return self.test if name == "test" else self.train


class Slots(_FramePart):
    """What stands for `{model}`, `{n}`, `{price}` and `{month}` in a text; months by language."""

    model: list[str]
    n: list[str]
    price: list[str]
    month: dict[str, list[str]]

    def choices(self, slot: str, language: str) -> list[str]:
        """What may stand for a slot."""
        if slot == "month":
            return self.month[language]
        return {"model": self.model, "n": self.n, "price": self.price}[slot]


class Frames(_FramePart):
    """By language, and what all languages share."""

    en: LanguageFrames
    de: LanguageFrames
    es: LanguageFrames
    fr: LanguageFrames
    emoji: dict[Emotion, list[str]]
    slots: Slots

    def of(self, language: str) -> LanguageFrames:
        """Raises KeyError for a language that there is none of."""
        return {"en": self.en, "de": self.de, "es": self.es, "fr": self.fr}[language]


def load_frames(file: Path) -> Frames:
    """Raises OSError."""
    return Frames.model_validate(yaml.load(file.read_text(encoding="utf-8"), yaml.CSafeLoader))
