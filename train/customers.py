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
from train.corpus import Corpus, load_phrasebook, on_cuts
from train.examine import Examined, examined
from train.noise import words_left_out
from train.recipe import Labelled, Recipe


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


def comments_of(recipe: Recipe) -> Comments:
    """Raises CallWrong or TaxonomyInvalid (the taxonomy), DataInvalid (a row in error, or no rows), OSError."""
    if not isinstance(recipe.corpus, Labelled):
        return Generated(recipe.corpus, recipe.even, bundled_taxonomy())
    files, taxonomy = tuple(map(FilePath, recipe.corpus.comments)), load(recipe.corpus.taxonomy)
    count = 0
    for row in chain.from_iterable(examined(file, taxonomy) for file in files):
        if isinstance(row, Examined):
            count += 1
        elif not recipe.corpus.skip_invalid:
            raise row
    if not count:
        raise DataInvalid(f"{files[0]}: there is no comment in it that can be used")
    return FromFiles(files, count, taxonomy)


def exposures(
    comments: Iterable[LabelledComment], total: int, word_dropout: float, seed: int
) -> Iterator[LabelledComment]:
    """`total` comments, from the first again after the last; every second time with words left out."""
    for index, comment in enumerate(islice(chain.from_iterable(repeat(comments)), total)):
        rng = random.Random(f"{seed}/{index}")
        thinned = word_dropout and rng.random() < 0.5  # noqa: PLR2004
        parts = words_left_out(comment.parts, word_dropout, rng) if thinned else comment.parts
        yield labelled(comment.id, parts) if on_cuts(parts) else comment
