"""The language of answers: the grammar accepts exactly the MECE answers."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from taxonomy.bundled import bundled_taxonomy
from taxonomy.language.answer import Part, joined_residue, read, written
from taxonomy.language.chunks import chunks
from taxonomy.language.grammar import grammar, label_rules
from taxonomy.tree import Taxonomy
from tests.support.strategies import answers, comment, taxonomies
from train.corpus.generator import Corpus, load_phrasebook

BYTES = LLTokenizer("byte")


def accepts(comment: str, taxonomy: Taxonomy, answer: str) -> bool:
    """Whether the grammar of the comment accepts the answer, whole."""
    text = grammar(chunks(comment), label_rules(taxonomy)).definition
    matcher = LLMatcher(BYTES, LLMatcher.grammar_from_lark(text))
    assert not matcher.get_error(), matcher.get_error()
    tokens = BYTES.tokenize_bytes(answer.encode())
    return bool(matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting())


@given(data=st.data(), comment=comment, taxonomy=taxonomies())
@settings(max_examples=150, deadline=None)
def test_every_answer_is_accepted_read_back_and_lays_end_to_end(
    data: st.DataObject, comment: str, taxonomy: Taxonomy
) -> None:
    parts = data.draw(answers(comment, taxonomy))
    answer = written(parts)
    assert accepts(comment, taxonomy, answer)
    assert read(answer) == parts
    assert "".join(part.content for part in parts) == comment
    assert [entry["content"] for entry in json.loads(answer)] == [part.content for part in parts]


@given(data=st.data(), comment=comment, taxonomy=taxonomies())
@settings(max_examples=150, deadline=None)
def test_nothing_else_is_accepted(data: st.DataObject, comment: str, taxonomy: Taxonomy) -> None:
    """Any one-place change of an answer is refused, unless it happens to be another answer to the same comment."""
    answer = written(data.draw(answers(comment, taxonomy)))
    at = data.draw(st.integers(0, len(answer) - 1))
    changed = data.draw(
        st.sampled_from(
            [answer[:at] + answer[at + 1 :], answer[:at] + answer[at] + answer[at:], answer[:at] + " " + answer[at:]]
        )
    )
    assume(changed != answer)
    assert accepts(comment, taxonomy, changed) == is_answer(changed, comment, taxonomy)


def is_answer(text: str, comment: str, taxonomy: Taxonomy) -> bool:
    """The definition, without a grammar: one spelling, end to end, cut at candidates, paths of the taxonomy."""
    try:
        parts = read(text)
    except (ValueError, KeyError, TypeError):
        return False
    ends = [len("".join(chunks(comment)[: i + 1])) for i in range(len(chunks(comment)))]
    cuts, at = [], 0
    for part in parts:
        at += len(part.content)
        cuts.append(at)
    return (
        "".join(part.content for part in parts) == comment
        and set(cuts) <= set(ends)
        and all(part.is_residue or part.path in taxonomy for part in parts)
    )


def test_an_answer_is_refused_for_each_way_to_be_wrong() -> None:
    taxonomy = bundled_taxonomy()
    comment = "It came late, the app crashes."
    first, second = taxonomy.leaves[0].path, taxonomy.leaves[-1].path
    right = written([Part("It came late, ", first, "negative"), Part("the app crashes.", second, "negative")])
    assert accepts(comment, taxonomy, right)
    wrong = {
        "text dropped": written([Part("It came late, ", first, "negative")]),
        "text invented": right.replace("late", "very late"),
        "overlap": written([Part("It came late, ", first), Part(comment, second)]),
        "order": written([Part("the app crashes.", second), Part("It came late, ", first)]),
        "no candidate cut": written([Part("It came ", first), Part("late, the app crashes.", second)]),
        "path of two leaves": right.replace(first[3], second[3]),
        "unknown emotion": right.replace("negative", "angry"),
        "optional space": right.replace(",{", ", {"),
        "level left out": right.replace(f'"L4":"{first[3]}",', ""),
        "escaped otherwise": right.replace("crashes", "cr\\u0061shes"),
        "more after it": right + " ",
    }
    for way, answer in wrong.items():
        assert not accepts(comment, taxonomy, answer), way


def test_every_gold_answer_of_the_corpus_is_accepted() -> None:
    taxonomy = bundled_taxonomy()
    book = load_phrasebook()
    for split in ("train", "test"):
        for gold in Corpus(book, split).comments(60):
            assert accepts(gold.comment, taxonomy, written(gold.parts)), gold


@given(data=st.data(), comment=comment, taxonomy=taxonomies())
@settings(max_examples=30, deadline=None)
def test_neighbouring_residue_is_one(data: st.DataObject, comment: str, taxonomy: Taxonomy) -> None:
    parts = joined_residue(data.draw(answers(comment, taxonomy)))
    assert "".join(part.content for part in parts) == comment
    assert not any(a.is_residue and b.is_residue for a, b in pairwise(parts))
