"""Data examined before it is trained on: errors, duplicates, leaks, contamination, cuts, labels, languages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from py3langid.langid import MODEL_FILE, LanguageIdentifier

from taxonomy.errors import CallWrong, DataInvalid
from taxonomy.jsonl import first_row, without_faults
from taxonomy.labels import LabelPath
from taxonomy.tree import Taxonomy
from train.data.chat_formats import is_chat
from train.data.chats import Chat, read_chats
from train.data.contamination import Benchmarks, Overlap, questions
from train.data.duplicates import Duplicate, SeenTexts
from train.data.examine import Examined, examined
from train.data.texts import Text, read_texts

UsableRow = Examined | Chat | Text
"""A row that can be used."""

SURE: Final = 0.8
"""A language that the detector holds for less likely is written as `und`, ISO 639's code for undetermined."""


@dataclass(frozen=True, slots=True)
class FullReport:
    """Every count and every name, as they are written in JSON. benchmarks, leaves: 0 too."""

    comments: int
    chats: int
    texts: int
    invalid: list[str]
    duplicates: list[Duplicate]
    leaks: list[Duplicate]
    contamination: list[Overlap]
    benchmarks: dict[str, int]
    bounds_moved: int
    segments_lost: list[str]
    languages: dict[str, int]
    leaves: dict[str, int]


@dataclass
class DataReport:
    """What was found. duplicates: rows that repeat an earlier one. leaks: test rows that repeat a row of the data.

    contamination: questions of benchmarks in the rows, the first of each benchmark that a row holds. benchmarks: those
    that were looked for, with how many rows hold one. segments_lost: those that no candidate cut leaves any text.
    """

    comments: int = 0
    chats: int = 0
    texts: int = 0
    invalid: list[str] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    leaks: list[Duplicate] = field(default_factory=list)
    contamination: list[Overlap] = field(default_factory=list)
    benchmarks: Counter[str] = field(default_factory=Counter)
    bounds_moved: int = 0
    segments_lost: list[str] = field(default_factory=list)
    leaves: Counter[LabelPath] = field(default_factory=Counter)
    languages: Counter[str] = field(default_factory=Counter)

    @property
    def contaminated(self) -> list[Overlap]:
        """Of each row that holds a question, the first."""
        return [*{overlap.where: overlap for overlap in reversed(self.contamination)}.values()][::-1]

    def counts(self) -> dict[str, int]:
        """How many of each, for a manifest."""
        return {
            "comments": self.comments,
            "chats": self.chats,
            "texts": self.texts,
            "invalid": len(self.invalid),
            "duplicates": len(self.duplicates),
            "leaks": len(self.leaks),
            "contamination": len(self.contaminated),
            "bounds_moved": self.bounds_moved,
            "segments_lost": len(self.segments_lost),
        }

    def findings(self) -> list[str]:
        """A line for each kind of thing that a person should look at before training, with the first that was found."""
        found: dict[str, Sequence[object]] = {
            "rows in error, left out": self.invalid,
            "rows that repeat an earlier one": self.duplicates,
            "test rows that repeat a row of the data": self.leaks,
            f"rows that hold a benchmark's question ({listed(+self.benchmarks)})": self.contaminated,
            "segments that no candidate cut leaves any text": self.segments_lost,
        }
        return [f"{len(rows)} {what}, first {rows[0]}" for what, rows in found.items() if rows]

    def full(self, taxonomy: Taxonomy) -> FullReport:
        """All of it, against the taxonomy that the comments are labelled by."""
        return FullReport(
            comments=self.comments,
            chats=self.chats,
            texts=self.texts,
            invalid=self.invalid,
            duplicates=self.duplicates,
            leaks=self.leaks,
            contamination=self.contamination,
            benchmarks=dict(self.benchmarks),
            bounds_moved=self.bounds_moved,
            segments_lost=self.segments_lost,
            languages=dict(self.languages.most_common()),
            leaves={" > ".join(leaf.path): self.leaves[leaf.path] for leaf in taxonomy.leaves},
        )


def listed(counts: Mapping[str, int]) -> str:
    """Each name with its count, in their order."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def check(
    files: Sequence[Path],
    taxonomy: Taxonomy,
    *,
    test: Sequence[Path] = (),
    benchmarks: Path | None = None,
    skip_invalid: bool = False,
    watch: Callable[[Iterable[UsableRow | DataInvalid]], Iterable[UsableRow | DataInvalid]] = iter,
) -> DataReport:
    """Examine labelled comments, chats and plain texts alike; what a file holds its first row says.

    The texts' hashes are kept, so memory grows with the data, by about a KiB a row. watch: wraps the rows, for
    progress. Raises DataInvalid (all rows in error; with `skip_invalid` for a file that cannot be read on), CallWrong,
    OSError.
    """
    report, seen = DataReport(), SeenTexts()
    known = Benchmarks(questions(benchmarks) if benchmarks else ())
    report.benchmarks.update(dict.fromkeys(known.names, 0))
    detector = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    for row in _usable(watch(_rows(files, taxonomy)), report, skip_invalid=skip_invalid):
        text = _text(row)
        if duplicate := seen.add(row.where, text):
            report.duplicates.append(duplicate)
        overlaps = known.overlaps(row.where, text)
        report.contamination += overlaps
        report.benchmarks.update(overlap.benchmark for overlap in overlaps)
        if isinstance(row, Examined):
            _count(report, row, detector)
        elif isinstance(row, Chat):
            report.chats += 1
        else:
            report.texts += 1
    for row in _usable(watch(_rows(test, taxonomy)), report, skip_invalid=skip_invalid):
        if leak := seen.duplicate(row.where, _text(row)):
            report.leaks.append(leak)
    return report


def _rows(files: Sequence[Path], taxonomy: Taxonomy) -> Iterator[UsableRow | DataInvalid]:
    for file in files:
        if not file.is_file():
            raise CallWrong(f"there is no data file {file}")
        yield from _read(file, taxonomy)


def _usable(rows: Iterable[UsableRow | DataInvalid], report: DataReport, *, skip_invalid: bool) -> Iterator[UsableRow]:
    if not skip_invalid:
        usable: Iterator[UsableRow] = without_faults(rows)
        yield from usable
        return
    for row in rows:
        if isinstance(row, DataInvalid):
            report.invalid.append(str(row))
        else:
            yield row


def _read(file: Path, taxonomy: Taxonomy) -> Iterator[UsableRow | DataInvalid]:
    if file.suffix == ".txt":
        return read_texts(file)
    first = first_row(file)
    if is_chat(first):
        return read_chats(file)
    return read_texts(file) if "text" in first else examined(file, taxonomy)


def _count(report: DataReport, row: Examined, detector: LanguageIdentifier) -> None:
    report.comments += 1
    report.bounds_moved += row.moved
    report.segments_lost += [f"{row.where}: {' > '.join(span.path)}" for span in row.lost]
    report.leaves.update(span.path for span in row.comment.segments)
    language, likely = (row.language, 1.0) if row.language else detector.classify(row.comment.comment)
    report.languages[language if likely >= SURE else "und"] += 1


def _text(row: UsableRow) -> str:
    if isinstance(row, Examined):
        return row.comment.comment
    if isinstance(row, Text):
        return row.text
    return "\n".join(message.content for message in row.messages if message.role != "system")
