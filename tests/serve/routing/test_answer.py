"""What the engine decoded becomes spans, labels and probabilities."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.engine.protocol import Decoded, ScriptedEngine, Task
from serve.routing.answer import answer_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import limits_of
from taxonomy.checkpoint.calibration import Calibration, Scale
from taxonomy.errors import CommentInvalid, CommentTooLong, EngineFailed
from taxonomy.language.answer import Part
from taxonomy.language.chunks import chunks
from taxonomy.language.compiled import chunk_tokens, tokenized_answer
from tests.support.strategies import comment

LIMITS = limits_of(load_settings({}))
TEXT = "I bought it in May. The picture is blurry, it came late."


def task_of(pair: Pair, comment: str) -> Task:
    pieces = chunks(comment)
    return Task("t", (), pieces, tuple(map(tuple, chunk_tokens(pieces, pair.tokens))))


def decoded_of(pair: Pair, comment: str, parts: list[Part], logprob: float = -0.5) -> Decoded:
    """An answer in which every decision has one log-probability."""
    tokens, decisions = tokenized_answer(chunks(comment), parts, pair.automaton, pair.tokens)
    return Decoded(tuple(tokens[d.at] for d in decisions), (logprob,) * len(decisions))


def test_spans_count_code_points_and_lay_end_to_end(pair: Pair) -> None:
    comment = "Hi 😀! Die Lieferung kam spät, 日本。"
    leaf = pair.taxonomy.leaves[5]
    pieces = chunks(comment)
    parts = [Part(pieces[0]), *(Part(piece, leaf.path, "negative") for piece in pieces[1:])]
    answer = answer_of(task_of(pair, comment), decoded_of(pair, comment, parts), pair)
    for segment in answer.segments:
        assert comment[segment.start : segment.end] == segment.part.content
        assert segment.leaf == leaf
    assert [r.content for r in answer.residue] == [pieces[0]]
    assert answer.segments[0].start == answer.residue[0].end


def test_a_level_has_the_probability_of_the_path_down_to_it(pair: Pair) -> None:
    leaf = next(leaf for leaf in pair.taxonomy.leaves if len(pair.taxonomy.children(leaf.path[:3])) > 1)
    decoded = decoded_of(pair, TEXT, [Part(TEXT, leaf.path, "negative")])
    (segment,) = answer_of(task_of(pair, TEXT), decoded, replace(pair, calibration=None)).segments
    confidence = segment.confidence
    levels = [confidence[name] for name in ("L1", "L2", "L3", "L4")]
    assert levels == sorted(levels, reverse=True)
    cuts = len(chunks(TEXT)) - 1
    decisions = len(decoded.tokens) - cuts - 1  # the last close: with labels or as residue
    assert math.isclose(math.log(levels[-1]) + math.log(confidence["emotion"]), -0.5 * decisions, rel_tol=1e-6)
    assert math.isclose(confidence["emotion"], math.exp(-0.5), rel_tol=1e-6)
    assert segment.needs_review == (min(confidence.values()) < pair.taxonomy.review_below)


def test_sure_decisions_need_no_review(pair: Pair) -> None:
    decoded = decoded_of(pair, TEXT, [Part(TEXT, pair.taxonomy.leaves[0].path, "neutral")], logprob=-1e-6)
    answer = answer_of(task_of(pair, TEXT), decoded, replace(pair, calibration=None))
    assert not answer.needs_review
    assert all(0.999 < p <= 1 for p in answer.segments[0].confidence.values())


def test_neighbouring_residue_becomes_one(pair: Pair) -> None:
    decoded = decoded_of(pair, TEXT, [Part(piece) for piece in chunks(TEXT)])
    answer = answer_of(task_of(pair, TEXT), decoded, pair)
    assert [r.content for r in answer.residue] == [TEXT]
    assert not answer.segments


@pytest.mark.parametrize("spoil", ["cut short", "too long", "no decision of ours"])
def test_what_is_no_answer_to_the_comment_is_an_engine_failure(pair: Pair, spoil: str) -> None:
    decoded = decoded_of(pair, TEXT, [Part(TEXT)])
    tokens = {
        "cut short": decoded.tokens[:-1],
        "too long": (*decoded.tokens, decoded.tokens[-1]),
        "no decision of ours": tuple(pair.tokens.text("sorry")),
    }[spoil]
    with pytest.raises(EngineFailed, match="the engine's answer"):
        answer_of(task_of(pair, TEXT), Decoded(tokens, (0.0,) * len(tokens)), pair)


@given(comment=comment, seed=st.integers(0, 10_000))
@settings(max_examples=60, deadline=None)
async def test_whatever_an_engine_chooses_lays_end_to_end(pair: Pair, comment: str, seed: int) -> None:
    rng = random.Random(seed)
    engine = ScriptedEngine(pair.automaton, lambda allowed: (rng.choice(allowed), -rng.random()))
    router = Router(pair, engine, LIMITS, context=32_768)
    if not comment.strip():
        with pytest.raises(CommentInvalid):
            await router.route(comment)
        return
    answer = await router.route(comment)
    spans = sorted(
        [(s.start, s.end, s.part.content) for s in answer.segments]
        + [(r.start, r.end, r.content) for r in answer.residue]
    )
    assert "".join(text for _, _, text in spans) == comment
    assert all(a[1] == b[0] for a, b in pairwise(spans))
    assert all(0 < p <= 1 for s in answer.segments for p in s.confidence.values())


@given(comment=comment.filter(lambda text: bool(text.strip())), seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
async def test_no_answer_is_longer_than_what_was_set_aside_for_it(pair: Pair, comment: str, seed: int) -> None:
    rng = random.Random(seed)
    lengths: list[int] = []

    class Measuring(ScriptedEngine):
        async def decode(self, task: Task) -> Decoded:
            decoded = await super().decode(task)
            walk = pair.automaton.walk(task.chunk_tokens)
            lengths.append(len(walk.forced) + sum(1 + len(walk.decide(token)) for token in decoded.tokens))
            return decoded

    engine = Measuring(pair.automaton, lambda allowed: (rng.choice(allowed), 0.0))
    router = Router(pair, engine, LIMITS, context=32_768)
    await router.route(comment)
    longest = sum(map(len, router.task(comment).chunk_tokens)) + len(chunks(comment)) * pair.automaton.longest_closing
    assert lengths[0] <= longest


async def test_a_comment_that_cannot_fit_is_refused_with_the_limit(pair: Pair, scripted: ScriptedEngine) -> None:
    router = Router(pair, scripted, LIMITS, context=200)
    with pytest.raises(CommentTooLong, match="the limit is 200"):
        await router.route(TEXT * 10)


def test_a_calibrated_checkpoint_answers_with_calibrated_probabilities_and_its_own_threshold(pair: Pair) -> None:
    halved = Scale(temperature=2, bias=0)
    calibration = Calibration(
        scales=dict.fromkeys(["L1", "L2", "L3", "L4", "emotion"], halved),
        review_below=0.6,
        wanted_error=0.1,
        coverage=0.5,
        comments=100,
        segments=200,
    )
    decoded = decoded_of(pair, TEXT, [Part(TEXT, pair.taxonomy.leaves[0].path, "neutral")], logprob=-0.05)
    (raw,) = answer_of(task_of(pair, TEXT), decoded, replace(pair, calibration=None)).segments
    (scaled,) = answer_of(task_of(pair, TEXT), decoded, replace(pair, calibration=calibration)).segments
    for name, probability in raw.confidence.items():
        assert scaled.confidence[name] == pytest.approx(halved.of(probability))
    for threshold in (0.6, 0.999):
        sure = replace(pair, calibration=calibration.model_copy(update={"review_below": threshold}))
        (segment,) = answer_of(task_of(sure, TEXT), decoded, sure).segments
        assert segment.needs_review == (min(segment.confidence.values()) < threshold)
