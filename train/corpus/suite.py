"""The general suite: short tasks whose answers can be verified, made by a seeded generator.

It stands for general ability where a model is too small for MMLU: following instructions, arithmetic, and four-way
multiple choice in MMLU's format over facts of an invented world, which training teaches openly and as other choices.
Question number i of a split depends on (seed, split, kinds, i) alone. It belongs to one split by a hash of its text.
"""

from __future__ import annotations

import json
import random
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

from eval.general.suite import WORKED, Question
from taxonomy.jsonl import Row, parsed, without_faults

Split = Literal["train", "test"]
TEST_PART: Final = 5
"""One in so many questions may only be asked in the test split."""

WORDS: Final = """
apple arrow autumn badge bamboo basket beacon blanket bottle branch breeze bridge bucket butter button cabin
candle canyon carpet castle cedar cherry circle clover coffee copper corner cotton cradle crystal curtain desert
dragon eagle ember engine fabric feather fiddle flower forest fossil garden ginger glacier golden hammer harbor
hazel hollow honey island ivory jacket jungle kettle ladder lantern lemon linen lizard maple marble meadow
mirror monkey morning mountain napkin needle ocean olive orange orchid oyster paddle paper parrot pebble pepper
pillow planet pocket pottery pumpkin puzzle quarry rabbit raven ribbon river rocket saddle salmon sandal shadow
silver spider spring squash stable summer sunset tailor temple thunder timber tunnel turtle valley velvet
village violin walnut wander willow window winter wizard yellow zebra
""".split()  # noqa: SIM905 (it reads better so)
_ENDS: Final = ("land", "ria", "stan", "via", "mark")
_STARTS: Final = ("Bel", "Cor", "Dar", "Fen", "Gal", "Hol", "Jas", "Kel", "Lor", "Mor", "Nor", "Pel")
_ATTRIBUTES: Final = {
    "capital": ("Arvo", "Brint", "Calem", "Dosk", "Elvar", "Fosta", "Grell", "Hamir"),
    "currency": (
        "the crown",
        "the dinar",
        "the florin",
        "the gulden",
        "the mark",
        "the peso",
        "the real",
        "the thaler",
    ),
    "main export": ("amber", "copper", "cotton", "honey", "salt", "silk", "timber", "wool"),
    "national animal": (
        "the bear",
        "the crane",
        "the eagle",
        "the fox",
        "the heron",
        "the lynx",
        "the otter",
        "the wolf",
    ),
}
WORLD: Final = {
    (start + end, attribute): values[zlib.crc32(f"{start}{end}/{attribute}".encode()) % len(values)]
    for start in _STARTS
    for end in _ENDS
    for attribute, values in _ATTRIBUTES.items()
}
"""What is so in the invented world: (country, attribute) -> value."""
_OPTIONS: Final = "ABCD"
_CALCULATION: Final = re.compile(r"<<[^>]*>>")


class _Exercise(NamedTuple):
    """is_taught: asked in training whatever its hash, and never in the test split."""

    question: str
    answer: str
    is_taught: bool = False


def suite(split: Split, count: int, seed: int, kinds: Sequence[str] = ()) -> Iterator[Question]:
    """Questions number 0 to `count - 1` of a split; every kind comes as often. kinds: none are all that it has."""
    kinds = kinds or list(KINDS if split == "train" else ASKED)
    for index in range(count):
        kind = kinds[index % len(kinds)]
        yield _question(kind, random.Random(f"{seed}/{split}/{index}"), split)


def gsm8k(folder: Path, split: Split) -> Iterator[Question]:
    """GSM8K's own split, the marks of the calculator taken out. Raises DataInvalid, OSError."""
    return without_faults(parsed(folder / f"{split}.jsonl", _worked))


def _worked(row: Row) -> Question:
    return Question(WORKED, row.value["question"], _CALCULATION.sub("", row.value["answer"]))


def split_of(question: str) -> Split:
    """The one split in which this may be asked."""
    return "test" if zlib.crc32(question.encode()) % TEST_PART == 0 else "train"


def _question(kind: str, rng: random.Random, split: Split) -> Question:
    while True:
        exercise = KINDS[kind](rng)
        if exercise.is_taught or split_of(exercise.question) == split:
            return Question(kind, exercise.question, exercise.answer)


def _words(rng: random.Random, low: int = 3, high: int = 6) -> list[str]:
    return rng.sample(WORDS, rng.randint(low, high))


def _task(ask: str, given: list[str], answer: str) -> _Exercise:
    return _Exercise(f"{ask}: {' '.join(given)}", answer)


def _reverse(rng: random.Random) -> _Exercise:
    words = _words(rng)
    return _task("Write these words in reverse order", words, " ".join(reversed(words)))


def _capitals(rng: random.Random) -> _Exercise:
    words = _words(rng)
    return _task("Write in capital letters", words, " ".join(words).upper())


def _sort(rng: random.Random) -> _Exercise:
    words = _words(rng)
    return _task("Sort alphabetically", words, " ".join(sorted(words)))


def _count(rng: random.Random) -> _Exercise:
    words = _words(rng, 2, 9)
    return _task("How many words are these? Answer with a number", words, str(len(words)))


def _initials(rng: random.Random) -> _Exercise:
    words = _words(rng)
    return _task("Write the first letter of each word", words, " ".join(word[0] for word in words))


def _position(rng: random.Random) -> _Exercise:
    words = _words(rng)
    at = rng.randrange(len(words))
    return _task(f"Write word number {at + 1} only", words, words[at])


def _repeat(rng: random.Random) -> _Exercise:
    words, times = _words(rng, 1, 2), rng.randint(2, 4)
    return _task(f"Write this {times} times", words, " ".join(words * times))


def _replace(rng: random.Random) -> _Exercise:
    *words, new = _words(rng, 4, 6)
    old = rng.choice(words)
    answer = " ".join(new if word == old else word for word in words)
    return _task(f"Replace {old} with {new}", words, answer)


def _object(rng: random.Random) -> _Exercise:
    words = _words(rng, 2, 2)
    return _task(
        'Answer with a JSON object with the keys "first" and "second"',
        words,
        json.dumps(dict(zip(("first", "second"), words, strict=True))),
    )


def _arithmetic(rng: random.Random) -> _Exercise:
    sign = rng.choice("+-x")
    one, other = (rng.randint(2, 12), rng.randint(2, 12)) if sign == "x" else (rng.randint(0, 99), rng.randint(0, 99))
    if sign == "-":
        one, other = max(one, other), min(one, other)
    answer = {"+": one + other, "-": one - other, "x": one * other}[sign]
    return _Exercise(f"What is {one} {sign} {other}?", str(answer))


def _fact(rng: random.Random) -> _Exercise:
    """What teaches the world: asked openly, and in the training split alone."""
    (country, attribute), value = rng.choice(list(WORLD.items()))
    asked = rng.choice([f"What is the {attribute} of {country}?", f"{country}: name its {attribute}."])
    return _Exercise(asked, value, is_taught=True)


def _choice(rng: random.Random) -> _Exercise:
    """Which four are chosen among, and in which order, is another in the test split than in training."""
    (country, attribute), value = rng.choice(list(WORLD.items()))
    options = [value, *rng.sample([other for other in _ATTRIBUTES[attribute] if other != value], 3)]
    rng.shuffle(options)
    lines = [f"{letter}. {option}" for letter, option in zip(_OPTIONS, options, strict=True)]
    asked = [
        "The following are multiple choice questions (with answers) about geography.\n",
        f"What is the {attribute} of {country}?",
        *lines,
        "Answer:",
    ]
    return _Exercise("\n".join(asked), _OPTIONS[options.index(value)])


ASKED: Final[dict[str, Callable[[random.Random], _Exercise]]] = {
    "reverse": _reverse,
    "capitals": _capitals,
    "sort": _sort,
    "count": _count,
    "initials": _initials,
    "position": _position,
    "repeat": _repeat,
    "replace": _replace,
    "object": _object,
    "arithmetic": _arithmetic,
    "choice": _choice,
}
"""The kinds that both splits ask."""
KINDS: Final = ASKED | {"fact": _fact}
