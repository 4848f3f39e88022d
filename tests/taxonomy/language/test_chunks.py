"""Candidate cuts: complete, bounded, in any language."""

from __future__ import annotations

import pytest
from hypothesis import given

from taxonomy.language.chunks import chunks
from tests.support.strategies import comment


@given(comment=comment)
def test_chunks_laid_end_to_end_are_the_comment(comment: str) -> None:
    assert "".join(chunks(comment)) == comment


@given(comment=comment)
def test_there_are_never_more_than_the_limit(comment: str) -> None:
    assert "".join(chunks(comment, 3)) == comment
    assert len(chunks(comment, 3)) <= 3


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("The picture is blurry. It came late.", ["The picture is blurry. ", "It came late."]),
        ("great picture, but the app crashes", ["great picture, ", "but the app crashes"]),
        ("costs 49,99 € and 1.5 W", ["costs 49,99 € and 1.5 W"]),
        ("bad... really? yes", ["bad... ", "really? ", "yes"]),
        ("love it 😍 hate the app 😡", ["love it 😍 ", "hate the app 😡"]),
        ("画像がぼやける。届くのが遅い、残念", ["画像がぼやける。", "届くのが遅い、", "残念"]),
        ("الصورة ضبابية، والتوصيل متأخر.", ["الصورة ضبابية، ", "والتوصيل متأخر."]),
        ("one - two – three", ["one - ", "two – ", "three"]),
        ("first line\nsecond line\n\n", ["first line\n", "second line\n\n"]),
        ("😡😡😡", ["😡😡😡"]),
        ("...", ["..."]),
        ("", []),
    ],
)
def test_cuts_stand_where_a_reader_would_expect_them(comment: str, expected: list[str]) -> None:
    assert list(chunks(comment)) == expected


def test_ten_thousand_newlines_are_one_chunk() -> None:
    assert len(chunks("\n" * 10_000)) == 1


def test_over_the_limit_sentences_stay_whole() -> None:
    text = "One, two, three. Four, five, six. "
    assert list(chunks(text, 3)) == ["One, two, three. ", "Four, five, six. "]
