"""The corpus's card: what is in it, how train and test keep apart, and what a linear model makes of it."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from eval.scoring.baseline import LinearBaseline
from eval.scoring.scores import Scores, score
from taxonomy.comments import LabelledComment
from taxonomy.labels import EMOTIONS, LabelPath
from taxonomy.language.answer import Part
from train.corpus.generator import (
    DATA,
    SEED,
    TEST_SIZE,
    TRAIN_SIZE,
    Corpus,
    Phrasebook,
    fingerprint,
    load_phrasebook,
    variants,
)

_WORD: Final = re.compile(r"[^\W\d_]{3,}")
_STOP: Final = frozenset(
    {"and", "the", "for", "with", "not", "its", "from", "per", "too", "own", "out", "off", "one", "new"}
)
TAIL_BINS: Final = ((0, 0), (1, 5), (6, 20), (21, 100), (101, None))


_OTHER: Final = (
    "",
    "Beside it lies a corpus that reads like reviews, `train/corpus/data/reviews`: a taxonomy with room for verdicts,",
    "lifespan, overall quality and rivals, phrasings of several sentences, leaves as frequent as reviews talk of them.",
    "`corpus write` and `corpus card` take it by `--phrasings`; the bundled checkpoint does not know it.",
)


def card(folder: Path = DATA) -> str:
    """The card in Markdown of the corpus that a folder's phrasings make; trains the baseline."""
    book, is_bundled = load_phrasebook(folder), folder == DATA
    train = list(Corpus(book, "train").comments(TRAIN_SIZE))
    test = list(Corpus(book, "test").comments(TEST_SIZE))
    baseline = LinearBaseline()
    baseline.fit(train)
    return "\n".join(
        [
            "# The bundled corpus" if is_bundled else f"# The corpus of `{folder}`",
            "",
            "Made by `train/corpus/generator.py` from hand-written phrasings; nobody's real comments are in it.",
            f"`route-feedback corpus card FILE{'' if is_bundled else f' --phrasings {folder}'}` writes this page anew.",
            *(_OTHER if is_bundled else ()),
            "",
            *_contents(book, train, test),
            "",
            *_imbalance(book.paths, train, test),
            "",
            *_apart(book, test),
            "",
            *_baseline(score(test, baseline.predict(test))),
            "",
        ]
    )


def _contents(book: Phrasebook, train: Sequence[LabelledComment], test: Sequence[LabelledComment]) -> Iterable[str]:
    yield "| | train | test |"
    yield "|---|---|---|"
    rows: dict[str, Callable[[Sequence[LabelledComment]], object]] = {
        "comments": len,
        "segments": lambda comments: sum(len(c.segments) for c in comments),
        "leaves seen": lambda comments: len({s.path for c in comments for s in c.segments}),
        "characters a comment, median": lambda comments: round(statistics.median(len(c.comment) for c in comments)),
        "comments with residue": lambda comments: sum(any(p.is_residue for p in c.parts) for c in comments),
        "comments with two emotions or more": lambda comments: sum(
            len({s.emotion for s in c.segments}) > 1 for c in comments
        ),
        "fingerprint": fingerprint,
    }
    for name, measure in rows.items():
        yield f"| {name} | {measure(train)} | {measure(test)} |"
    for emotion in EMOTIONS:
        counts = [sum(s.emotion == emotion for c in comments for s in c.segments) for comments in (train, test)]
        yield f"| segments, {emotion} | {counts[0]} | {counts[1]} |"
    yield ""
    languages = ", ".join(f"{language} {share:.0%}" for language, share in book.shape.languages.items())
    yield f"Seed {SEED}. Languages: {languages} of comments. Phrasings for training: {_phrasings(book, 'train')};"
    yield f"for the test: {_phrasings(book, 'test')}."


def _phrasings(book: Phrasebook, split: Literal["train", "test"]) -> str:
    """How many, and of the median leaf by language."""
    by_leaf = list(book.phrases[split].values())
    each = ", ".join(
        f"{language} {statistics.median(len(by[language]) for by in by_leaf):.0f}" for language in book.shape.languages
    )
    return f"{sum(len(phrases) for by in by_leaf for phrases in by.values()):,} (a leaf's median: {each})"


def _imbalance(
    leaves: Sequence[LabelPath], train: Sequence[LabelledComment], test: Sequence[LabelledComment]
) -> Iterable[str]:
    seen = Counter(s.path for c in train for s in c.segments)
    asked = Counter(s.path for c in test for s in c.segments)
    top = sum(count for _, count in seen.most_common(142)) / sum(seen.values())
    yield f"The most frequent tenth of the leaves holds {top:.0%} of the training segments."
    yield ""
    yield "| training segments of a leaf | leaves | test segments |"
    yield "|---|---|---|"
    for low, high in TAIL_BINS:
        chosen = [path for path in leaves if seen[path] >= low and (high is None or seen[path] <= high)]
        name = f"{low}" if low == high else (f"over {low - 1}" if high is None else f"{low} to {high}")
        yield f"| {name} | {len(chosen)} | {sum(asked[path] for path in chosen)} |"


def _apart(book: Phrasebook, test: Sequence[LabelledComment]) -> Iterable[str]:
    parts = [part for comment in test for part in comment.parts if not part.is_residue]
    yield f"Phrasings that a leaf has in both splits: {shared_phrases(book)}. Frames in both: {shared_frames(book)}."
    yield ""
    yield (
        f"Test segments that hold any word (three letters or more) of their own L4 label: "
        f"{share(parts, holds_any_word):.1%}; all words of it: {share(parts, holds_label):.1%}."
    )


def _baseline(scores: Scores) -> Iterable[str]:
    interval = "not scored" if scores.leaf_interval is None else "{:.4f} to {:.4f}".format(*scores.leaf_interval)
    yield "## Baseline"
    yield ""
    yield "Each candidate chunk classified alone (TF-IDF of words and character n-grams, linear classifier, residue a"
    yield "class too), neighbours of one label merged. Micro scores on aligned segments (character IoU of 0.5 or more)."
    yield ""
    yield "| | P | R | F1 |"
    yield "|---|---|---|---|"
    for name, tally in [*scores.levels.items(), ("spans", scores.span)]:
        yield f"| {name} | {tally.precision:.4f} | {tally.recall:.4f} | {tally.f1:.4f} |"
    yield ""
    yield f"Leaf F1 {scores.leaf.f1:.4f} (95% bootstrap over comments: {interval})."


def shared_phrases(book: Phrasebook) -> int:
    """Phrasings of one leaf and language that stand in both splits, all their variants counted."""
    return sum(
        len(_variants(p.text for p in phrases) & _variants(p.text for p in book.phrases["test"][path][language]))
        for path, languages in book.phrases["train"].items()
        for language, phrases in languages.items()
    )


def shared_frames(book: Phrasebook) -> int:
    """Openers, tails and residue sentences that stand in both splits, all their variants counted."""
    return sum(
        len(_variants(book.frames.of(language).train.texts) & _variants(book.frames.of(language).test.texts))
        for language in book.shape.languages
    )


def _variants(templates: Iterable[str]) -> set[str]:
    """Every text that the alternatives of the templates spell, without case."""
    return {variant.casefold() for template in templates for variant in variants(template)}


def share(parts: Sequence[Part], holds: Callable[[str, LabelPath], bool]) -> float:
    """The share of parts for which `holds(content, path)` is true."""
    return sum(holds(part.content, part.path) for part in parts) / len(parts)


def holds_any_word(content: str, path: LabelPath) -> bool:
    """The content has a word of the leaf's own name."""
    return bool(_words(path[-1]) & _words(content))


def holds_label(content: str, path: LabelPath) -> bool:
    """The content has every word of the leaf's own name."""
    return _words(path[-1]) <= _words(content)


def _words(text: str) -> set[str]:
    return {word for word in _WORD.findall(text.lower()) if word not in _STOP}
