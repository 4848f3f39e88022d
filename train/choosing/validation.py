"""What candidates are scored on: comments and general questions that the run does not learn from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from eval.general.suite import Question, read_questions
from taxonomy.comments import LabelledComment
from taxonomy.errors import DataInvalid
from taxonomy.tree import Taxonomy
from train.corpus.generator import Corpus, fingerprint, load_phrasebook, with_validation
from train.corpus.held_out import is_held_out
from train.corpus.suite import ASKED, suite
from train.data.customers import Comments, HashSplit
from train.data.examine import Examined, examined
from train.recipe_parts import Choosing
from train.report.choice import ValidationRecord

ONE_IN: Final = 10
"""One in so many of the suite's questions, by a hash of their text, is asked and not learned."""

T = TypeVar("T")


class Validation(NamedTuple):
    """The comments that are decoded, and the questions that are asked (none: the general axis is not scored)."""

    comments: list[LabelledComment]
    questions: list[Question]

    def record(self) -> ValidationRecord:
        """As a manifest has it."""
        return ValidationRecord(
            comments=len(self.comments), fingerprint=fingerprint(self.comments), questions=len(self.questions)
        )


def validation(choosing: Choosing, trained: Comments, suite_seed: int | None) -> Validation:
    """As much as the recipe asks, or as there is. Raises DataInvalid where no segment is labelled, OSError.

    trained: the comments that are learned. suite_seed: of the suite that the run replays; none where it replays none.
    """
    comments = _comments(choosing, trained)
    if not any(comment.segments for comment in comments):
        raise DataInvalid("choose: no validation comment has a labelled segment, so nothing could be scored")
    return Validation(comments, _questions(choosing, suite_seed))


def is_asked(question: Question) -> bool:
    """Whether a question of the suite is held out, where any are. What teaches facts is always learned."""
    return question.kind in ASKED and is_held_out(question.question, ONE_IN)


def _comments(choosing: Choosing, trained: Comments) -> list[LabelledComment]:
    if choosing.validation:
        rows = chain.from_iterable(_read(Path(file), trained.taxonomy) for file in choosing.validation)
        return _spread(list(rows), choosing.comments)
    if isinstance(trained, HashSplit):
        return _spread(list(HashSplit(trained.whole, trained.one_in, held_out=True)), choosing.comments)
    return list(Corpus(with_validation(load_phrasebook()), "validation").comments(choosing.comments))


def _read(file: Path, taxonomy: Taxonomy) -> Iterator[LabelledComment]:
    for row in examined(file, taxonomy):
        if not isinstance(row, Examined):
            raise row
        yield row.comment


def _questions(choosing: Choosing, suite_seed: int | None) -> list[Question]:
    if choosing.general:
        files = (read_questions(Path(file)) for file in choosing.general)
        return _spread(list(chain.from_iterable(files)), choosing.questions)
    if suite_seed is None:
        return []
    # Twice as many as will do: some kinds are never asked, and some questions come twice.
    drawn = suite("train", 2 * ONE_IN * choosing.questions, suite_seed)
    unlike = dict.fromkeys(question for question in drawn if is_asked(question))
    return list(islice(unlike, choosing.questions))


def _spread(rows: Sequence[T], count: int) -> list[T]:
    """At most so many, at even distances."""
    return [rows[i * len(rows) // count] for i in range(count)] if len(rows) > count else list(rows)
