"""What labelled data from elsewhere is read with, and what is to be said of the reading."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from taxonomy.labels import EMOTIONS, Emotion
from train.data.label_names import LabelNames

TEXT_NAMES: Final = ("comment", "text")


@dataclass
class LabelReading:
    """text, label: the fields that hold the comment and its label, where their names do not say so. emotion: of a
    segment that has none. notes: how often something was left out or filled in, for a person.
    """

    names: LabelNames
    text: str | None = None
    label: str | None = None
    emotion: Emotion = "neutral"
    notes: Counter[str] = field(default_factory=Counter)

    def emotion_or_default(self, given: str | None) -> Emotion:
        """Raises ValueError for what is none of the three."""
        if not given:
            self.notes[f"segments without an emotion, read as {self.emotion} (--emotion names another)"] += 1
            return self.emotion
        if (found := emotion_of(given)) is None:
            raise ValueError(f"emotion: {given!r} is not one of {', '.join(EMOTIONS)}")
        return found

    def text_field(self, names: Collection[str]) -> str:
        """Which of the fields holds the comment. Raises ValueError."""
        if self.text is not None:
            if self.text not in names:
                raise ValueError(f"there is no field {self.text!r}; there are {', '.join(sorted(names))}")
            return self.text
        found = [name for name in names if name.casefold() in TEXT_NAMES]
        if len(found) != 1:
            given = ", ".join(map(repr, sorted(found or names)))
            raise ValueError(f"which field is the comment? name one of {given} with --text")
        return found[0]


def emotion_of(name: str) -> Emotion | None:
    """The emotion of that name, in any case."""
    return next((emotion for emotion in EMOTIONS if emotion == name.strip().casefold()), None)
