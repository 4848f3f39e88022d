"""The baseline learns, cuts by candidates, and keeps every character."""

from __future__ import annotations

from eval.scoring.baseline import LinearBaseline
from eval.scoring.scores import score
from train.corpus.generator import Corpus, load_phrasebook


def test_it_learns_what_it_is_shown_and_loses_no_text() -> None:
    comments = list(Corpus(load_phrasebook(), "train").comments(120))
    baseline = LinearBaseline()
    baseline.fit(comments)
    predicted = baseline.predict(comments)
    assert [p.comment for p in predicted] == [c.comment for c in comments]
    f1 = score(comments, predicted).leaf.f1
    assert f1 is not None
    assert f1 > 0.6, "on its own training comments"
