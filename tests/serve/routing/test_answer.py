"""What the engine decoded becomes spans, labels and probabilities."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from itertools import pairwise, product
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve.engine.protocol import Alternative, Decoded, ScriptedEngine, Task
from serve.routing.answer import _where_cut, answer_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import load_settings
from serve.start import limits_of
from taxonomy.checkpoint.calibration import Calibration, Scale
from taxonomy.errors import CommentInvalid, CommentTooLong, EngineFailed
from taxonomy.language.answer import Part
from taxonomy.language.automaton import CLOSED, Walk
from taxonomy.language.chunks import chunks
from taxonomy.language.compiled import chunk_tokens, tokenized_answer
from taxonomy.tree import ReviewBy
from tests.support.strategies import comment

LIMITS = limits_of(load_settings({}))
THREE = "I bought it in May. The picture is blurry. It came late."
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
    assert confidence["team"] > confidence["L4"]
    assert segment.needs_review == (confidence["team"] < pair.taxonomy.review_below)


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


class Said(NamedTuple):
    """What an engine says where a chunk has ended: probabilities that it closes as residue, as a segment, goes on."""

    residue: float
    segment: float
    onward: float


def told(pair: Pair, comment: str, *said: Said) -> Decoded:
    """Greedy decisions, one for each chunk but forced ones, with all others; labels are the first that there are."""
    walk = pair.automaton.walk(task_of(pair, comment).chunk_tokens)
    (residue, segment), left = closings_of(pair), list(said)
    tokens, logprobs, alternatives = list[int](), list[float](), list[tuple[Alternative, ...]]()
    while not walk.is_done:
        among = dict.fromkeys(walk.allowed, 0.0) | {walk.allowed[0]: 1.0}
        if residue in among:
            among = {residue: left[0].residue, segment: left[0].segment}
            among |= dict.fromkeys(walk.onward, left[0].onward)
            left = left[1:]
        (token, best), *others = sorted(among.items(), key=lambda item: -item[1])
        tokens.append(token)
        logprobs.append(math.log(best))
        alternatives.append(tuple(Alternative(other, math.log(p)) for other, p in others if p))
        walk.decide(token)
    assert not left
    return Decoded(tuple(tokens), tuple(logprobs), alternatives=tuple(alternatives))


def closings_of(pair: Pair) -> tuple[int, int]:
    """The tokens that close as residue and as a segment."""
    by_closing = {edge.to == CLOSED: token for token, edge in pair.automaton.branches[0].items()}
    return by_closing[True], by_closing[False]


UNCALIBRATED: dict[str, tuple[list[Said], float]] = {
    "one chunk of three, that goes on says nothing": (
        [Said(0.6, 0.1, 0.3), Said(0.1, 0.9, 0), Said(0.1, 0.9, 0)],
        6 / 7,
    ),
    "likelier to go on than to be a segment": ([Said(0.5, 0.05, 0.45), Said(0, 1, 0), Said(0, 1, 0)], 10 / 11),
    "that it went on says nothing": ([Said(0.1, 0.1, 0.8), Said(0.6, 0.2, 0.2), Said(0, 1, 0)], 0.75),
    "neighbours are one, and hold none where neither does": (
        [Said(0.6, 0.2, 0.2), Said(0.4, 0.3, 0.3), Said(0, 1, 0)],
        0.75 * 4 / 7,
    ),
    "the last chunk cannot go on": ([Said(0, 0, 1), Said(0, 0, 1), Said(0.55, 0.45, 0)], 0.55),
}


@pytest.mark.parametrize("name", UNCALIBRATED)
def test_residue_is_as_sure_as_no_feedback_is_against_feedback(pair: Pair, name: str) -> None:
    said, expected = UNCALIBRATED[name]
    bare = replace(pair, calibration=None)
    (residue,) = answer_of(task_of(pair, THREE), told(pair, THREE, *said), bare).residue
    assert residue.confidence == pytest.approx(expected)
    assert residue.needs_review == (expected < pair.taxonomy.review_below)


def test_without_alternatives_residue_is_no_surer_than_the_decision(pair: Pair) -> None:
    decoded = told(pair, THREE, Said(0.6, 0.1, 0.3), Said(0, 1, 0), Said(0, 1, 0))
    bare = replace(pair, calibration=None)
    (residue,) = answer_of(task_of(pair, THREE), replace(decoded, alternatives=None), bare).residue
    assert residue.confidence == pytest.approx(0.6)


def test_what_alternatives_leave_open_counts_against_residue() -> None:
    """Several tokens may lead on, and the segment be the one that is not told of: it has 0.2 at most here."""
    walk = cast("Walk", SimpleNamespace(onward=(5, 6, 7)))
    assert math.exp(_where_cut(walk, 1, math.log(0.5), [Alternative(5, math.log(0.3))])) == pytest.approx(0.5 / 0.7)
    assert math.exp(_where_cut(walk, 1, math.log(0.5), [Alternative(5, math.log(0.1))])) == pytest.approx(0.5 / 0.6)


@pytest.mark.parametrize("sure", [0.51, 0.97])
def test_an_answer_that_says_nothing_needs_review_where_that_is_unsure(pair: Pair, sure: float) -> None:
    strict = replace(pair, calibration=None, taxonomy=replace(pair.taxonomy, review_below=0.9))
    answer = answer_of(task_of(pair, "It came late."), told(pair, "It came late.", Said(sure, 1 - sure, 0)), strict)
    assert not answer.segments
    assert answer.needs_review == answer.residue[0].needs_review == (sure < 0.9)


def test_residue_beside_segments_counts_too(pair: Pair) -> None:
    strict = replace(pair, calibration=None, taxonomy=replace(pair.taxonomy, review_below=0.9))
    decoded = told(pair, THREE, Said(0.6, 0.4, 0), Said(0, 1, 0), Said(0, 1, 0))
    answer = answer_of(task_of(pair, THREE), decoded, strict)
    assert not any(segment.needs_review for segment in answer.segments)
    assert answer.needs_review


def test_residue_is_calibrated_by_its_own_scale_and_threshold_or_stays_as_it_is(pair: Pair) -> None:
    scale = Scale(temperature=2, bias=0)
    of_segments = Calibration(
        scales=dict.fromkeys(["L1", "L2", "L3", "L4", "emotion"], scale),
        review_below=0.99,
        wanted_error=0.1,
        coverage=0.5,
        comments=100,
        segments=200,
    )
    of_both = Calibration(
        **of_segments.model_dump(exclude={"scales", "residue_review_below", "residue_coverage"}),
        scales=of_segments.scales | {"residue": scale},
        residue_review_below=0.7,
        residue_coverage=0.5,
    )
    task, decoded = task_of(pair, "It came late."), told(pair, "It came late.", Said(0.8, 0.2, 0))
    (bare,), (scaled,) = (
        answer_of(task, decoded, replace(pair, calibration=c)).residue for c in (of_segments, of_both)
    )
    assert [bare.confidence, scaled.confidence] == pytest.approx([0.8, 2 / 3])
    assert [bare.needs_review, scaled.needs_review] == [pair.taxonomy.review_below > 0.8, True]


def calibrated(**more: Any) -> Calibration:
    """With a scale for each level and the emotion that changes nothing."""
    scales = dict.fromkeys(["L1", "L2", "L3", "L4", "emotion"], Scale(temperature=1, bias=0)) | more.pop("scales", {})
    given = {"review_below": 0.5, "wanted_error": 0.1, "coverage": 0.5, "comments": 100, "segments": 200} | more
    return Calibration(scales=scales, **given)


HALF = {"scales": {"team": Scale(temperature=1, bias=0)}, "team_coverage": 0.5}
POLICIES: dict[str, tuple[ReviewBy, Calibration | None, tuple[float, float]]] = {
    "no calibration: the team, by the taxonomy's threshold": ("team", None, (0.9, 0.3)),
    "no calibration, a taxonomy that says by the leaf": ("leaf", None, (0.3, 0.9)),
    "a calibrated team": ("team", calibrated(team_review_below=0.8, **HALF), (0.8, 0.3)),
    "a calibrated team, and a taxonomy that says by the leaf": (
        "leaf",
        calibrated(team_review_below=0.8, **HALF),
        (0.3, 0.5),
    ),
    "a calibration from before there was one of the team": ("team", calibrated(review_below=0.7), (0.3, 0.7)),
}
"""What the taxonomy and the calibration say, and the team's and the leaf's least confidences that need no review."""


@pytest.mark.parametrize("name", POLICIES)
def test_one_of_team_and_leaf_decides_what_is_reviewed(pair: Pair, name: str) -> None:
    by, calibration, (team, leaf) = POLICIES[name]
    taxonomy = replace(pair.taxonomy, review_below=0.9, review_by=by)
    under = replace(pair, taxonomy=taxonomy, calibration=calibration)
    for of_team, of_leaf in product((0.3, 0.6, 0.75, 0.85, 0.95), repeat=2):
        confidence = {"L1": 0.99, "L4": of_leaf, "emotion": 0.99, "team": of_team}
        assert under.needs_review(confidence) == (of_team < team or of_leaf < leaf)
    assert taxonomy.version == replace(taxonomy, review_by="team").version, "its checkpoint may serve either way"


def test_an_emotion_that_is_unsure_is_no_business_of_the_teams(pair: Pair) -> None:
    confidence = {"L1": 0.99, "L4": 0.99, "emotion": 0.1, "team": 0.99}
    bare = replace(pair, calibration=None)
    assert not bare.needs_review(confidence)
    assert replace(bare, taxonomy=replace(bare.taxonomy, review_by="leaf")).needs_review(confidence)


async def test_a_segment_has_the_paths_that_were_possible_beside_its_own(pair: Pair) -> None:
    """At every decision the first label has 0.7, and what is left the others alike."""
    engine = ScriptedEngine(pair.automaton, lambda allowed: (allowed[-1], math.log(0.7)))
    task = task_of(pair, "It came late.")
    bare = replace(pair, calibration=None)
    (segment,) = answer_of(task, await engine.decode(task), bare).segments
    shares = [other.probability for other in segment.alternatives]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 5
    assert sum(shares) + segment.confidence["L4"] < 1
    for other in segment.alternatives:
        assert other.path != segment.part.path[: len(other.path)]
        teams = {leaf.team for leaf in pair.taxonomy.leaves if leaf.path[: len(other.path)] == other.path}
        assert other.team == (teams.pop() if len(teams) == 1 else None)


async def test_other_paths_are_calibrated_by_the_level_that_they_end_at(pair: Pair) -> None:
    engine = ScriptedEngine(pair.automaton, lambda allowed: (allowed[-1], math.log(0.7)))
    task = task_of(pair, "It came late.")
    scales = {f"L{level}": Scale(temperature=1, bias=-level) for level in (1, 2, 3, 4)}
    decoded = await engine.decode(task)
    (raw,) = answer_of(task, decoded, replace(pair, calibration=None)).segments
    (scaled,) = answer_of(task, decoded, replace(pair, calibration=calibrated(scales=scales))).segments
    own = {other.path: other.probability for other in raw.alternatives}
    expected = {path: scales[f"L{len(path)}"].of(probability) for path, probability in own.items()}
    assert {other.path: other.probability for other in scaled.alternatives} == pytest.approx(expected)
    found = [other.probability for other in scaled.alternatives]
    assert found == sorted(found, reverse=True)


def test_no_team_is_less_sure_than_its_leaf_and_without_a_scale_it_is_the_models_own() -> None:
    confidence = {"L1": 0.9, "L4": 0.8, "emotion": 0.9, "team": 0.95}
    lowered = {"scales": {"team": Scale(temperature=1, bias=-3)}, "team_review_below": 0.5, "team_coverage": 0.5}
    assert calibrated(**lowered).applied(confidence)["team"] == pytest.approx(0.8)
    assert calibrated().applied(confidence)["team"] == 0.95


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
    assert all(0 < residue.confidence <= 1 for residue in answer.residue)


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
    for name in calibration.scales:
        assert scaled.confidence[name] == pytest.approx(halved.of(raw.confidence[name]))
    assert scaled.confidence["team"] == raw.confidence["team"], "there is no scale for it"
    for threshold in (0.6, 0.999):
        sure = replace(pair, calibration=calibration.model_copy(update={"review_below": threshold}))
        (segment,) = answer_of(task_of(sure, TEXT), decoded, sure).segments
        assert segment.needs_review == (min(segment.confidence[name] for name in calibration.scales) < threshold)
