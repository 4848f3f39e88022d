"""What hurried customers do to their text: typos, casing, accents left out, marks repeated or missing."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Sequence

from taxonomy.language.answer import Part

_NEIGHBOURS = dict(zip("qwertyuiopasdfghjklzxcvbnm", "wertyuiopoasdfghjkkzxcvbn", strict=False))
_WORD_AND_SPACE = re.compile(r"\s*\S+\s*")
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "Ä": "Ae", "Ö": "Oe", "Ü": "Ue"})


def noisy(parts: Sequence[Part], rng: random.Random) -> list[Part]:
    """The same parts as a hurried hand would have typed them; labels and order stay."""
    texts = [part.content for part in parts]
    if rng.random() < 0.14:
        texts = [text.lower() for text in texts]
    elif rng.random() < 0.03:
        texts = [text.upper() for text in texts]
    if rng.random() < 0.12:
        texts = [_without_accents(text) for text in texts]
    rate = rng.choices([0.0, 0.004, 0.012], [55, 30, 15])[0]
    texts = [_mistyped(text, rate, rng) for text in texts]
    return [Part(text, part.path, part.emotion) for text, part in zip(texts, parts, strict=True)]


def words_left_out(parts: Sequence[Part], rate: float, rng: random.Random) -> list[Part]:
    """The same parts with words missing here and there; each part keeps its last word, so that its end stays."""
    return [Part(_thinned(part.content, rate, rng), part.path, part.emotion) for part in parts]


def _thinned(text: str, rate: float, rng: random.Random) -> str:
    *words, last = _WORD_AND_SPACE.findall(text) or [text]
    return "".join([*(word for word in words if rng.random() >= rate), last])


def _without_accents(text: str) -> str:
    plain = unicodedata.normalize("NFD", text.translate(_UMLAUTS))
    return "".join(c for c in plain if not unicodedata.combining(c))


def _mistyped(text: str, rate: float, rng: random.Random) -> str:
    out: list[str] = []
    for char in text:
        if not char.isalpha() or rng.random() >= rate:
            out.append(char)
            continue
        slip = rng.randrange(4)
        if slip == 0:
            continue
        if slip == 1:
            out += [char, char]
        elif slip == 2 and out and out[-1].isalpha():
            out.insert(-1, char)
        else:
            out.append(_NEIGHBOURS.get(char, char))
    return "".join(out)
