"""Where customer comments come from: the bundled corpus's generator, or files. Each pass reads them anew."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, islice, repeat
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from taxonomy.bundled import bundled_taxonomy
from taxonomy.comments import LabelledComment, labelled
from taxonomy.errors import DataInvalid
from taxonomy.formats.registry import load_taxonomy
from taxonomy.language.answer import Part
from taxonomy.tree import Taxonomy
from train.corpus.generator import Corpus, load_phrasebook, on_cuts, with_validation
from train.corpus.held_out import is_held_out
from train.corpus.noise import words_left_out
from train.data.check import DataReport, check
from train.data.duplicates import normal
from train.data.examine import Examined, examined
from train.recipe_parts import Choosing, LabelledFiles

LEAST_ONE_IN: Final = 5


class Comments(Protocol):
    """Comments in a fixed order, each of whose segments ends on a candidate cut."""

    @property
    def taxonomy(self) -> Taxonomy: ...
    def __iter__(self) -> Iterator[LabelledComment]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Generated:
    """The first `count` comments of the bundled corpus's generator, made of training's phrasings.

    held_out: without those of the validation split.
    """

    count: int
    even: float
    taxonomy: Taxonomy
    held_out: bool = False

    def __iter__(self) -> Iterator[LabelledComment]:
        book = with_validation(load_phrasebook()) if self.held_out else load_phrasebook()
        return Corpus(book, "train", even=self.even).comments(self.count)

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True)
class FromFiles:
    """The `count` rows of JSONL files that can be used, their segments moved to the nearest cuts."""

    files: tuple[Path, ...]
    count: int
    taxonomy: Taxonomy

    def __iter__(self) -> Iterator[LabelledComment]:
        rows = chain.from_iterable(examined(file, self.taxonomy) for file in self.files)
        return (row.comment for row in rows if isinstance(row, Examined))

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True)
class HashSplit:
    """Of some comments, one in `one_in` by a hash of their text, which are held out; or all the others.

    What differs in case and white space alone lies on one side.
    """

    whole: Comments
    one_in: int
    held_out: bool

    @property
    def taxonomy(self) -> Taxonomy:
        return self.whole.taxonomy

    def __iter__(self) -> Iterator[LabelledComment]:
        return (comment for comment in self.whole if is_held_out(normal(comment.comment), self.one_in) == self.held_out)

    def __len__(self) -> int:
        return self._count

    @cached_property
    def _count(self) -> int:
        return sum(1 for _ in self)


@dataclass(frozen=True)
class WithScopes:
    """Before the comments each leaf's own words, a comment each: its scope and its synonyms, stated, so neutral."""

    whole: Comments

    @property
    def taxonomy(self) -> Taxonomy:
        return self.whole.taxonomy

    def __iter__(self) -> Iterator[LabelledComment]:
        return chain(self._scopes, self.whole)

    def __len__(self) -> int:
        return len(self._scopes) + len(self.whole)

    @cached_property
    def _scopes(self) -> list[LabelledComment]:
        stated = ((leaf.path, text) for leaf in self.taxonomy.leaves for text in (leaf.description, *leaf.synonyms))
        return [
            labelled(f"scope-{number:05d}", [Part(text[0].upper() + text[1:], path, "neutral")])
            for number, (path, text) in enumerate((path, text) for path, text in stated if text)
        ]


class CheckedComments(NamedTuple):
    """The comments, and what was found in their files; nothing of those that the generator makes."""

    comments: Comments
    report: DataReport | None


def comments_of(
    corpus: int | LabelledFiles, *, even: float = 0.0, benchmarks: str | None = None, choosing: Choosing | None = None
) -> CheckedComments:
    """A recipe's comments; files are checked first.

    even, benchmarks: as in a recipe. choosing: what it needs for its validation is held out. Raises CallWrong or
    TaxonomyInvalid (the taxonomy), DataInvalid (a row in error, or no rows), OSError.
    """
    if not isinstance(corpus, LabelledFiles):
        holds_out = choosing is not None and not choosing.validation
        return CheckedComments(Generated(corpus, even, bundled_taxonomy(), held_out=holds_out), None)
    taxonomy = load_taxonomy(corpus.taxonomy)
    report = check(
        [*map(Path, corpus.comments)],
        taxonomy,
        test=[*map(Path, (*corpus.test, *(choosing.validation if choosing else ())))],
        benchmarks=Path(benchmarks) if benchmarks else None,
        skip_invalid=corpus.skip_invalid,
    )
    if not report.comments:
        raise DataInvalid(f"{corpus.comments[0]}: there is no comment in it that can be used")
    whole = FromFiles((*map(Path, corpus.comments),), report.comments, taxonomy)
    if choosing is None or choosing.validation:
        return CheckedComments(whole, report)
    # About as many are held out as are to be decoded, and at most a fifth.
    one_in = max(LEAST_ONE_IN, len(whole) // choosing.comments)
    return CheckedComments(HashSplit(whole, one_in, held_out=False), report)


def exposures(
    comments: Iterable[LabelledComment], total: int, word_dropout: float, seed: int
) -> Iterator[LabelledComment]:
    """`total` comments, from the first again after the last; every second time with words left out."""
    for index, comment in enumerate(islice(chain.from_iterable(repeat(comments)), total)):
        rng = random.Random(f"{seed}/{index}")
        thinned = word_dropout and rng.random() < 0.5  # noqa: PLR2004
        parts = words_left_out(comment.parts, word_dropout, rng) if thinned else comment.parts
        yield labelled(comment.id, parts) if on_cuts(parts) else comment
