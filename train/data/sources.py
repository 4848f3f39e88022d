"""The rows of each source of a run: encoded as they are read, and written to disk as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from eval.general.suite import Question
from taxonomy.errors import DataInvalid, RecipeInvalid
from taxonomy.jsonl import without_faults
from taxonomy.language.tokens import Tokens
from taxonomy.tree import Taxonomy
from train.corpus.suite import suite
from train.data.chats import Chat, ChatRows, chat_of, read_chats
from train.data.check import DataReport, check
from train.data.encode import TrainingRow
from train.data.mixture import Mixture, mixture
from train.data.store import Rows, stored
from train.data.texts import read_texts, text_rows
from train.recipe_parts import Replay, Texts


class StoredSource(NamedTuple):
    """A source's rows, how many of its rows in error were left out, and what was found in its files, if it has some."""

    rows: Rows
    skipped: int
    report: DataReport | None


class StoredTexts(NamedTuple):
    """The texts' rows as a mixture of their own; the others as of a StoredSource."""

    mixture: Mixture
    skipped: int
    report: DataReport


def within(rows: Iterable[TrainingRow], context: int) -> Iterator[TrainingRow]:
    """The rows as they come. Raises DataInvalid at one that the model's context has no room for."""
    for number, row in enumerate(rows, 1):
        if len(row.tokens) > context:
            raise DataInvalid(
                f"comment {number}: {len(row.tokens)} tokens with its answer, the context holds {context}"
            )
        yield row


def replayed_chats(source: Replay, seed: int, is_held_out: Callable[[Question], bool]) -> Iterator[Chat | DataInvalid]:
    """A source's chats: of the suite's generator without those that are held out, or of files. Raises OSError."""
    if source.suite:
        questions = suite("train", source.suite, seed, source.kinds or ())
        yield from (chat_of(each.question, each.answer) for each in questions if not is_held_out(each))
    for file in source.chats or ():
        yield from read_chats(Path(file))


def stored_replay(
    source: Replay,
    chats: Iterable[Chat | DataInvalid],
    encoder: ChatRows,
    folder: Path,
    *,
    taxonomy: Taxonomy,
    benchmarks: str | None,
) -> StoredSource:
    """A source of replay, examined first. Raises DataInvalid (a row in error that is not to be left out), OSError."""
    report = _examined(source.chats, source, taxonomy, benchmarks) if source.chats else None

    def encoded() -> Iterator[TrainingRow | DataInvalid]:
        for chat in chats:
            try:
                yield chat if isinstance(chat, DataInvalid) else encoder.of(chat)
            except DataInvalid as error:
                yield error

    rows = _Usable(encoded(), skip_invalid=source.skip_invalid)
    return StoredSource(stored(rows, folder), rows.skipped, report)


def stored_texts(
    source: Texts,
    tokens: Tokens,
    folder: Path,
    *,
    context: int,
    seed: int,
    taxonomy: Taxonomy,
    benchmarks: str | None,
) -> StoredTexts:
    """Texts as often as the recipe says. Raises RecipeInvalid (over the context), DataInvalid (none), OSError."""
    if source.length > context:
        raise RecipeInvalid(f"cpt.length: {source.length} tokens, the context holds {context}")
    report = _examined(source.texts, source, taxonomy, benchmarks)

    def encoded() -> Iterator[TrainingRow | DataInvalid]:
        for text in chain.from_iterable(read_texts(Path(file)) for file in source.texts):
            if isinstance(text, DataInvalid):
                yield text
            else:
                yield from text_rows(text, tokens, source.length)

    usable = _Usable(encoded(), skip_invalid=source.skip_invalid)
    rows = stored(usable, folder)
    if not len(rows):
        raise DataInvalid(f"{source.texts[0]}: there is no text in it that can be used")
    total = round(source.passes * len(rows))
    mixed = mixture(rows, [], exposures=total, per_epoch=len(rows), batch=source.batch, total=None, seed=seed)
    return StoredTexts(mixed, usable.skipped, report)


def _examined(files: Sequence[str], source: Replay | Texts, taxonomy: Taxonomy, benchmarks: str | None) -> DataReport:
    folder = Path(benchmarks) if benchmarks else None
    return check([*map(Path, files)], taxonomy, benchmarks=folder, skip_invalid=source.skip_invalid)


class _Usable:
    """Rows without those in error, which are raised, or left out and counted."""

    def __init__(self, rows: Iterable[TrainingRow | DataInvalid], *, skip_invalid: bool) -> None:
        self._rows, self._skip_invalid = rows, skip_invalid
        self.skipped = 0

    def __iter__(self) -> Iterator[TrainingRow]:
        for row in self._rows if self._skip_invalid else without_faults(self._rows):
            if isinstance(row, DataInvalid):
                self.skipped += 1
            else:
                yield row
