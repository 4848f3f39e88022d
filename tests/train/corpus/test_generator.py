"""The bundled taxonomy, phrasebook and corpus are what the card says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from taxonomy.bundled import bundled_taxonomy
from taxonomy.comments import LabelledComment, read_comments, write_comments
from taxonomy.language.chunks import chunks
from train.corpus.card import holds_any_word, holds_label, share, shared_frames, shared_phrases
from train.corpus.generator import TEST_SIZE, Corpus, Phrasebook, load_phrasebook

TEAMS = {"logistics", "finance", "development", "customer service"}


@pytest.fixture(scope="module")
def book() -> Phrasebook:
    return load_phrasebook()


@pytest.fixture(scope="module")
def test_split(book: Phrasebook) -> list[LabelledComment]:
    return list(Corpus(book, "test").comments(TEST_SIZE))


def test_the_taxonomy_has_1420_described_leaves_of_four_levels() -> None:
    taxonomy = bundled_taxonomy()
    assert len(taxonomy.leaves) == 1420
    assert taxonomy.depth == 4
    assert all(leaf.description and leaf.team and leaf.workflow for leaf in taxonomy.leaves)
    assert {leaf.team for leaf in taxonomy.leaves} >= TEAMS
    descriptions = Counter(leaf.description.casefold() for leaf in taxonomy.leaves)
    assert max(descriptions.values()) == 1, "no two leaves have one scope"


def test_the_phrasebook_covers_exactly_the_taxonomy(book: Phrasebook) -> None:
    assert set(book.paths) == {leaf.path for leaf in bundled_taxonomy().leaves}
    for split in ("train", "test"):
        for path, languages in book.phrases[split].items():
            assert all(languages[language] for language in ("en", "de", "es", "fr")), (split, path)


def test_train_and_test_share_no_phrasing_and_no_frame(book: Phrasebook) -> None:
    assert shared_phrases(book) == 0
    assert shared_frames(book) == 0


def test_under_a_fifth_of_test_segments_hold_their_labels_words(test_split: list[LabelledComment]) -> None:
    parts = [part for comment in test_split for part in comment.parts if not part.is_residue]
    assert share(parts, holds_any_word) < 0.2
    assert share(parts, holds_label) < 0.05


def test_a_comment_depends_on_its_number_alone(book: Phrasebook) -> None:
    corpus = Corpus(book, "train")
    assert list(corpus.comments(20)) == list(Corpus(book, "train").comments(20))
    assert list(corpus.comments(5, start=15)) == list(corpus.comments(20))[15:]
    assert Corpus(book, "train", seed=1).comment(0) != corpus.comment(0)


def test_comments_have_one_to_six_segments_residue_and_mixed_emotions(test_split: list[LabelledComment]) -> None:
    counts = Counter(len(comment.segments) for comment in test_split)
    assert set(counts) == {1, 2, 3, 4, 5, 6}
    assert any(part.is_residue for comment in test_split for part in comment.parts)
    assert sum(len({s.emotion for s in comment.segments}) > 1 for comment in test_split) > TEST_SIZE / 5
    assert all(comment.parts[0].content for comment in test_split)


def test_the_labels_have_a_long_tail(book: Phrasebook) -> None:
    seen = Counter(s.path for c in Corpus(book, "train").comments(3000) for s in c.segments)
    top = sum(count for _, count in seen.most_common(142)) / sum(seen.values())
    assert top > 0.6
    assert sum(count <= 2 for count in seen.values()) > 300


def test_every_segment_ends_on_a_candidate_cut(test_split: list[LabelledComment]) -> None:
    for comment in test_split:
        cuts = {len("".join(chunks(comment.comment)[: i + 1])) for i in range(len(chunks(comment.comment)))}
        assert {segment.end for segment in comment.segments} <= cuts


def test_comments_survive_their_file(tmp_path: Path, test_split: list[LabelledComment]) -> None:
    write_comments(test_split, tmp_path / "c.jsonl")
    assert [c.comment for c in read_comments(tmp_path / "c.jsonl")] == [c.comment for c in test_split]
    assert list(read_comments(tmp_path / "c.jsonl")) == test_split
