"""Where customer comments come from: the bundled corpus's generator, or files. Each pass reads them anew."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice, repeat
from pathlib import Path as FilePath
from typing import Protocol

from taxonomy.bundled import bundled_taxonomy
from taxonomy.comments import LabelledComment, labelled
from taxonomy.errors import DataInvalid
from taxonomy.formats import load
from taxonomy.tree import Taxonomy
from train.check import Report, check
from train.corpus import Corpus, load_phrasebook, on_cuts
from train.examine import Examined, examined
from train.noise import words_left_out
from train.recipe import Labelled, Recipe, Reinforcement


class Comments(Protocol):
    """Comments in a fixed order, each of whose segments ends on a candidate cut."""

    @property
    def taxonomy(self) -> Taxonomy: ...
    def __iter__(self) -> Iterator[LabelledComment]: ...
    def __len__(self) -> int: ...


@dataclass(frozen=True)
class Generated:
    """The first `count` training comments of the bundled corpus's generator."""

    count: int
    even: float
    taxonomy: Taxonomy

    def __iter__(self) -> Iterator[LabelledComment]:
        return Corpus(load_phrasebook(), "train", even=self.even).comments(self.count)

    def __len__(self) -> int:
        return self.count


@dataclass(frozen=True)
class FromFiles:
    """The `count` rows of JSONL files that can be used, their segments moved to the nearest cuts."""

    files: tuple[FilePath, ...]
    count: int
    taxonomy: Taxonomy

    def __iter__(self) -> Iterator[LabelledComment]:
        rows = chain.from_iterable(examined(file, self.taxonomy) for file in self.files)
        return (row.comment for row in rows if isinstance(row, Examined))

    def __len__(self) -> int:
        return self.count


def comments_of(recipe: Recipe | Reinforcement, reports: dict[str, Report]) -> Comments:
    """The recipe's comments; files are checked first, and what is found is put under "comments".

    Raises CallWrong or TaxonomyInvalid (the taxonomy), DataInvalid (a row in error, or no rows), OSError.
    """
    corpus = recipe.corpus
    if not isinstance(corpus, Labelled):
        return Generated(corpus, recipe.even, bundled_taxonomy())
    files, taxonomy = tuple(map(FilePath, corpus.comments)), load(corpus.taxonomy)
    benchmarks = FilePath(recipe.benchmarks) if recipe.benchmarks else None
    test = [FilePath(file) for file in corpus.test]
    report = check(files, taxonomy, test=test, benchmarks=benchmarks, skip_invalid=corpus.skip_invalid)
    reports["comments"] = report
    if not report.comments:
        raise DataInvalid(f"{files[0]}: there is no comment in it that can be used")
    return FromFiles(files, report.comments, taxonomy)


def exposures(
    comments: Iterable[LabelledComment], total: int, word_dropout: float, seed: int
) -> Iterator[LabelledComment]:
    """`total` comments, from the first again after the last; every second time with words left out."""
    for index, comment in enumerate(islice(chain.from_iterable(repeat(comments)), total)):
        rng = random.Random(f"{seed}/{index}")
        thinned = word_dropout and rng.random() < 0.5  # noqa: PLR2004
        parts = words_left_out(comment.parts, word_dropout, rng) if thinned else comment.parts
        yield labelled(comment.id, parts) if on_cuts(parts) else comment
