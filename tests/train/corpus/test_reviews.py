"""The corpus that reads like reviews covers its own taxonomy, with enough ways to say each thing."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from taxonomy.bundled import bundled_taxonomy
from taxonomy.diff import diff
from taxonomy.formats.registry import load_taxonomy
from taxonomy.jsonl import read_rows, without_faults
from taxonomy.labels import EMOTIONS
from taxonomy.tree import Taxonomy
from train.corpus.card import holds_any_word, share, shared_frames, shared_phrases
from train.corpus.generator import DATA, SHARE_OF_WEIGHT, Corpus, Phrasebook, load_phrasebook

REVIEWS = DATA / "reviews"
TRAIN = {"en": 12, "de": 6, "es": 4, "fr": 4}
TEST = {"en": 2, "de": 1, "es": 1, "fr": 1}


@pytest.fixture(scope="module")
def book() -> Phrasebook:
    return load_phrasebook(REVIEWS)


@pytest.fixture(scope="module")
def taxonomy() -> Taxonomy:
    return load_taxonomy(REVIEWS / "taxonomy.yaml")


def test_its_phrasings_are_of_exactly_its_1420_leaves(book: Phrasebook, taxonomy: Taxonomy) -> None:
    assert set(book.paths) == {leaf.path for leaf in taxonomy.leaves}
    assert len(book.paths) == 1420
    assert set(book.weights) == set(book.paths)
    assert set(book.weights.values()) == set(SHARE_OF_WEIGHT)


def test_every_leaf_of_the_bundled_taxonomy_has_a_place_in_its_own(taxonomy: Taxonomy) -> None:
    change = diff(bundled_taxonomy(), taxonomy)
    assert change.removed == ()
    assert len(change.added) == len(change.merged)


@pytest.mark.parametrize("language", TRAIN)
def test_the_median_leaf_is_said_in_many_ways(book: Phrasebook, language: str) -> None:
    assert median(len(by[language]) for by in book.phrases["train"].values()) >= TRAIN[language]
    assert median(len(by[language]) for by in book.phrases["test"].values()) >= TEST[language]
    assert min(len(by[language]) for by in book.phrases["test"].values()) >= 1


def test_no_leaf_is_said_in_fewer_than_eight_ways(book: Phrasebook) -> None:
    assert min(book.ways(path) for path in book.paths) >= 8


def test_train_and_test_share_no_phrasing_and_no_frame(book: Phrasebook) -> None:
    assert shared_phrases(book) == 0
    assert shared_frames(book) == 0


def test_frequent_topics_are_frequent_and_the_tail_is_long(book: Phrasebook) -> None:
    seen = Counter(s.path for c in Corpus(book, "train").comments(3000) for s in c.segments)
    common = [seen[path] for path, weight in book.weights.items() if weight == max(SHARE_OF_WEIGHT)]
    rare = [seen[path] for path, weight in book.weights.items() if weight == min(SHARE_OF_WEIGHT)]
    assert median(common) > 10 * max(1, median(rare))
    assert sum(count <= 2 for count in seen.values()) > 300


def test_customers_do_not_speak_in_labels(book: Phrasebook) -> None:
    comments = Corpus(book, "test").comments(400)
    assert share([part for c in comments for part in c.parts if not part.is_residue], holds_any_word) < 0.2


def test_comments_are_mostly_of_one_mood(book: Phrasebook) -> None:
    several = [c for c in Corpus(book, "train").comments(600) if len(c.segments) > 1]
    alike = sum(len({segment.emotion for segment in c.segments}) == 1 for c in several)
    assert alike > len(several) / 4


def test_labels_made_for_it_by_hand_are_its_own(taxonomy: Taxonomy) -> None:
    """Of comments that lie elsewhere: places, paths and emotions alone (see docs/corpus.md)."""
    for row in without_faults(read_rows(Path(__file__).parent / "data" / "review_like_labels.jsonl")):
        ends = 0
        for segment in row.value["segments"]:
            assert ends <= segment["start"] < segment["end"], row.value["id"]
            ends = segment["end"]
            assert all(tuple(path) in taxonomy for path in [segment["path"], *segment["alt"]]), row.value["id"]
            assert segment["emotion"] in EMOTIONS
