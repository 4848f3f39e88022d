"""The bundled corpus: comments about smart-home cameras, made by a seeded generator from a hand-written phrasebook.

`data/phrasebook.jsonl` holds, for each leaf, hand-written phrasings in four languages, those of the test split apart
from those of training; `data/frames.yaml` holds what customers wrap around an issue, split likewise. `data/reviews`
holds the same of a corpus that reads like reviews, with the taxonomy that it is labelled with.
Comment number i of a split depends on (seed, split, i) alone, so any number can be made, in any order.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from itertools import accumulate, product
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeVar

from taxonomy.comments import LabelledComment, labelled
from taxonomy.jsonl import read_rows, without_faults
from taxonomy.labels import LEVELS, Emotion, LabelPath
from taxonomy.language.answer import Part, joined_residue
from taxonomy.language.chunks import chunks
from train.corpus.frames import Frames, SplitFrames, load_frames
from train.corpus.held_out import is_held_out
from train.corpus.noise import noisy
from train.corpus.shape import Shape, load_shape

DATA: Final = Path(__file__).parent / "data"
TRAIN_SIZE: Final = 14_511
TEST_SIZE: Final = 861
SEED: Final = 20_26

Kind = TypeVar("Kind")
Split = Literal["train", "validation", "test"]
HELD_OUT: Final = 10
"""One in so many of training's phrasings is held out where a validation split is wanted."""
ZIPF_EXPONENT: Final = 1.4
ZIPF_OFFSET: Final = 8
SHARE_OF_WEIGHT: Final = {5: 20.0, 4: 8.0, 3: 3.0, 2: 1.0, 1: 0.4}
"""How often a leaf is written about, by the weight that its phrasings were given: from very often to hardly ever."""
_SIGNS: Final[dict[str, Emotion]] = {"-": "negative", "0": "neutral", "+": "positive"}
_ALTERNATIVES: Final = re.compile(r"\(([^()]*\|[^()]*)\)")
_SLOT: Final = re.compile(r"\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Phrase:
    """One hand-written way to express a leaf; `(a|b)` and `{slot}` in the text make variants."""

    text: str
    emotion: Emotion


@dataclass(frozen=True)
class Phrasebook:
    """Phrases by split, leaf and language, the frames around them, and how comments are put together.

    weights: of each leaf, a key of SHARE_OF_WEIGHT; none: a leaf is as frequent as it has phrasings, by Zipf's law.
    """

    phrases: dict[Split, dict[LabelPath, dict[str, tuple[Phrase, ...]]]]
    frames: Frames
    shape: Shape = field(default_factory=Shape)
    weights: dict[LabelPath, int] = field(default_factory=dict)

    def ways(self, path: LabelPath) -> int:
        """How many phrasings of a leaf there are for training, with those held out of it."""
        known = [self.phrases[split][path] for split in self.phrases if split != "test"]
        return sum(len(phrases) for by_language in known for phrases in by_language.values())

    @cached_property
    def paths(self) -> list[LabelPath]:
        return sorted(self.phrases["train"])


@cache
def load_phrasebook(folder: Path = DATA) -> Phrasebook:
    """A folder's phrasings and frames, the bundled corpus's unless told, read once."""
    phrases: dict[Split, dict[LabelPath, dict[str, tuple[Phrase, ...]]]] = {"train": {}, "test": {}}
    weights: dict[LabelPath, int] = {}
    for row in without_faults(read_rows(folder / "phrasebook.jsonl")):
        path = tuple(row.value[level] for level in LEVELS)
        if "weight" in row.value:
            weights[path] = row.value["weight"]
        for split, by_path in phrases.items():
            by_path[path] = {
                language: tuple(Phrase(text[2:], _SIGNS[text[0]]) for text in texts)
                for language, texts in row.value[split].items()
            }
    return Phrasebook(phrases, load_frames(folder / "frames.yaml"), load_shape(folder), weights)


def with_validation(book: Phrasebook) -> Phrasebook:
    """The same with a third split: phrasings held out of training, by a hash of their text, never a leaf's last one.

    A leaf has such phrasings in some languages or in none.
    """
    held: dict[LabelPath, dict[str, tuple[Phrase, ...]]] = {}
    rest: dict[LabelPath, dict[str, tuple[Phrase, ...]]] = {}
    for path, by_language in book.phrases["train"].items():
        held[path] = {language: _held_out(phrases) for language, phrases in by_language.items()}
        rest[path] = {
            language: tuple(phrase for phrase in phrases if phrase not in held[path][language])
            for language, phrases in by_language.items()
        }
    return replace(book, phrases={**book.phrases, "train": rest, "validation": held})


def _held_out(phrases: Sequence[Phrase]) -> tuple[Phrase, ...]:
    held = [phrase for phrase in phrases if is_held_out(phrase.text, HELD_OUT)]
    return tuple(held[: len(phrases) - 1])


class _GeneratedComment(NamedTuple):
    language: str
    parts: Sequence[Part]


class Corpus:
    """Comments of one split, by number.

    even: the share of leaves drawn evenly, rather than as often as customers write of them (0: the corpus as it is).
    """

    def __init__(self, book: Phrasebook, split: Split, seed: int = SEED, even: float = 0.0) -> None:
        self.book = book
        self.split: Split = split
        self.seed = seed
        self.even = even
        self.shape = book.shape
        # What customers write about often they say in many ways; the same leaves are frequent in both splits.
        ranked = list(book.paths)
        random.Random(f"{seed}/ranks").shuffle(ranked)
        ranked.sort(key=book.ways, reverse=True)
        self.ranked = ranked
        shares = [self._share(path, rank) for rank, path in enumerate(ranked)]
        self._cumulative = list(accumulate(shares))
        self._areas: dict[str, tuple[list[LabelPath], list[float]]] = {}
        for path, weight in zip(ranked, shares, strict=True):
            area = self._areas.setdefault(path[0], ([], []))
            area[0].append(path)
            area[1].append(weight)

    def _share(self, path: LabelPath, rank: int) -> float:
        weights = self.book.weights
        return SHARE_OF_WEIGHT[weights[path]] if weights else (rank + 1 + ZIPF_OFFSET) ** -ZIPF_EXPONENT

    def comments(self, count: int, start: int = 0) -> Iterator[LabelledComment]:
        """Comments number `start` to `start + count - 1`."""
        for index in range(start, start + count):
            yield self.comment(index)

    def comment(self, index: int) -> LabelledComment:
        """Comment number `index`; each of its segments ends on a candidate cut."""
        return labelled(self.name(index), self._generated(index).parts)

    def language(self, index: int) -> str:
        """What comment number `index` is written in, such as `de`."""
        return self._generated(index).language

    def name(self, index: int) -> str:
        """The id of comment number `index`."""
        return f"{self.split}-{index:06d}"

    def _generated(self, index: int) -> _GeneratedComment:
        for attempt in range(100):
            rng = random.Random(f"{self.seed}/{self.split}/{index}/{attempt}")
            language = _drawn(rng, self.shape.languages)
            parts = noisy(self._parts(rng, language), rng)
            if on_cuts(parts):
                return _GeneratedComment(language, parts)
        raise RuntimeError(f"comment {index} of {self.split}: noise moved every draw off the candidate cuts")

    def _parts(self, rng: random.Random, language: str) -> list[Part]:
        count = _drawn(rng, self.shape.segments)
        frames = self.book.frames.of(language)
        own, residue = frames.split(self.split), self.shape.residue
        drawn: list[Part] = []
        mood: Emotion | None = None
        for path in self._leaves(rng, count, language):
            drawn += self._residue(rng, own, language, residue.between if drawn else residue.first)
            drawn.append(self._segment(rng, path, language, own, mood))
            mood = mood or drawn[-1].emotion
        drawn += self._residue(rng, own, language, residue.last)
        return list(joined_residue(_laid_out(rng, drawn, frames.joins, self.shape.joined)))

    def _leaves(self, rng: random.Random, count: int, language: str) -> list[LabelPath]:
        leaves: list[LabelPath] = []
        while len(leaves) < count:
            if self.even and rng.random() < self.even:
                path = rng.choice(self.ranked)
            elif leaves and rng.random() < self.shape.area:
                area = self._areas[leaves[-1][0]]
                path = rng.choices(*area)[0]
            else:
                path = rng.choices(self.ranked, cum_weights=self._cumulative)[0]
            if path not in leaves and self.book.phrases[self.split][path][language]:
                leaves.append(path)
        return leaves

    def _residue(self, rng: random.Random, own: SplitFrames, language: str, chance: float) -> list[Part]:
        if rng.random() >= chance:
            return []
        return [Part(self._filled(rng, rng.choice(own.residue), language))]

    def _segment(
        self, rng: random.Random, path: LabelPath, language: str, own: SplitFrames, mood: Emotion | None
    ) -> Part:
        phrases = self.book.phrases[self.split][path][language]
        phrase = rng.choice(self._in_mood(rng, phrases, mood))
        text = self._filled(rng, phrase.text, language)
        if rng.random() < self.shape.opened:
            text = self._filled(rng, rng.choice(own.opener), language) + text
        elif self.shape.capital == 1 or rng.random() < self.shape.capital:
            text = text[0].upper() + text[1:]
        again = [other for other in phrases if other.emotion == phrase.emotion and other != phrase]
        if again and rng.random() < self.shape.twice:
            # One issue said in two ways is one segment: where it ends is a matter of topic, not of punctuation.
            said = self._filled(rng, rng.choice(again).text, language)
            text += rng.choice([", ", "; ", " - "] if text[-1].isalnum() else [" "]) + said
        if text[-1] not in ".!?" and rng.random() < self.shape.tailed:
            text += self._filled(rng, rng.choice(own.tail[phrase.emotion]), language)
        if rng.random() < 0.08:
            text += " " + rng.choice(self.book.frames.emoji[phrase.emotion])
        return Part(text, path, phrase.emotion)

    def _in_mood(self, rng: random.Random, phrases: Sequence[Phrase], mood: Emotion | None) -> Sequence[Phrase]:
        alike = [phrase for phrase in phrases if phrase.emotion == mood] if self.shape.mood else []
        return alike if alike and rng.random() < self.shape.mood else phrases

    def _filled(self, rng: random.Random, text: str, language: str) -> str:
        slots = self.book.frames.slots
        text = _ALTERNATIVES.sub(lambda match: rng.choice(match[1].split("|")), text)
        return _SLOT.sub(lambda match: rng.choice(slots.choices(match[1], language)), text)


def _drawn(rng: random.Random, weights: Mapping[Kind, float]) -> Kind:
    return rng.choices(list(weights), list(weights.values()))[0]


def variants(template: str) -> Iterator[str]:
    """Every text that the `(a|b)` of a template spell; slots stay."""
    pieces = _ALTERNATIVES.split(template)
    choices = [piece.split("|") if index % 2 else [piece] for index, piece in enumerate(pieces)]
    return map("".join, product(*choices))


def _laid_out(rng: random.Random, drawn: Sequence[Part], joins: Sequence[str], joined: float) -> Iterator[Part]:
    """Put an end and a space, a line break, or a comma and a conjunction between the parts."""
    joined_on = False
    for index, part in enumerate(drawn):
        text = part.content
        if joined_on:
            text = rng.choice(joins) + text[0].lower() + text[1:]
        last = index == len(drawn) - 1
        following = None if last else drawn[index + 1]
        joined_on = bool(following and following.path and part.path and text[-1].isalnum() and rng.random() < joined)
        yield Part(text + _ending(rng, text, last=last, joined_on=joined_on), part.path, part.emotion)


def _ending(rng: random.Random, text: str, *, last: bool, joined_on: bool) -> str:
    if joined_on:
        return rng.choice([", ", ", ", "; ", " - "])
    end = "" if not text[-1].isalnum() else rng.choices([".", "!", "...", "!!", ""], [70, 12, 4, 4, 10])[0]
    if last:
        return end
    if not end and text[-1].isalnum():
        return "\n"
    return end + rng.choices([" ", "\n", "  ", "\n\n"], [86, 9, 3, 2])[0]


def on_cuts(parts: Sequence[Part]) -> bool:
    """Whether each part ends on a candidate cut of the whole comment."""
    comment = "".join(part.content for part in parts)
    cuts = set(accumulate(len(chunk) for chunk in chunks(comment)))
    return cuts.issuperset(accumulate(len(part.content) for part in parts))


def fingerprint(comments: Iterable[LabelledComment]) -> str:
    """A hash of a data set's content, for manifests and cards."""
    digest = hashlib.sha256()
    for comment in comments:
        digest.update(repr((comment.id, comment.comment, comment.segments)).encode())
    return digest.hexdigest()[:16]
