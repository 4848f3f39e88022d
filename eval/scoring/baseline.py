"""What a language model has to beat: TF-IDF and a linear classifier on the candidate chunks.

Each chunk of a comment is classified alone ("no feedback" is a class too); neighbours with one label are merged.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline

from taxonomy.comments import LabelledComment, labelled
from taxonomy.labels import Emotion, LabelPath
from taxonomy.language.answer import Part
from taxonomy.language.chunks import chunks

NO_FEEDBACK: LabelPath = ()


class _LabelledChunk(NamedTuple):
    text: str
    path: LabelPath
    emotion: Emotion


class LinearBaseline:
    """Two linear classifiers over word and character n-grams: one for the leaf, one for the emotion."""

    def __init__(self, seed: int = 0) -> None:
        self._leaf = _classifier(seed)
        self._emotion = _classifier(seed)
        self._paths: list[LabelPath] = []

    def fit(self, comments: Iterable[LabelledComment]) -> None:
        """Learn from the chunks of labelled comments."""
        rows = [row for comment in comments for row in _labelled_chunks(comment)]
        self._paths = sorted({row.path for row in rows})
        number = {path: index for index, path in enumerate(self._paths)}
        texts = [row.text for row in rows]
        self._leaf.fit(texts, [number[row.path] for row in rows])
        self._emotion.fit(texts, [row.emotion for row in rows])

    def predict(self, comments: Sequence[LabelledComment]) -> list[LabelledComment]:
        """The same comments with predicted segments."""
        cut = [chunks(comment.comment) for comment in comments]
        texts = [chunk for pieces in cut for chunk in pieces]
        paths = iter([self._paths[index] for index in self._leaf.predict(texts)])
        emotions = iter(self._emotion.predict(texts))
        return [
            labelled(comment.id, _merged([_LabelledChunk(chunk, next(paths), next(emotions)) for chunk in pieces]))
            for comment, pieces in zip(comments, cut, strict=True)
        ]


def _classifier(seed: int) -> Pipeline:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode")
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(3, 5), sublinear_tf=True, max_features=200_000)
    linear = SGDClassifier(loss="modified_huber", alpha=1e-5, random_state=seed, n_jobs=-1)
    return make_pipeline(FeatureUnion([("words", words), ("characters", characters)]), linear)


def _labelled_chunks(comment: LabelledComment) -> Iterable[_LabelledChunk]:
    for part in comment.parts:
        rest = part.content
        for chunk in chunks(rest):
            yield _LabelledChunk(chunk, part.path, part.emotion)


def _merged(rows: Sequence[_LabelledChunk]) -> Iterable[Part]:
    for path, group in groupby(rows, key=lambda row: row.path):
        run = list(group)
        emotions = [row.emotion for row in run]
        yield Part("".join(row.text for row in run), path, max(emotions, key=emotions.count))
