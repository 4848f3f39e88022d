"""A tree of uneven depth from its file through the service's answers to the scores."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from eval.decoding.decoding import decoded
from eval.scoring.predictions import read_gold, read_predictions
from eval.scoring.scores import score
from serve.engine.protocol import Decoded, SingleModel, Task
from serve.routing.answer import answer_of
from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from serve.routing.router import Router
from serve.settings import Settings
from serve.start import limits_of
from taxonomy.comments import LabelledComment, labelled, write_comments
from taxonomy.formats.registry import load_taxonomy, save_taxonomy
from taxonomy.labels import LEVELS
from taxonomy.language.answer import Part
from taxonomy.language.chunks import chunks
from taxonomy.language.compiled import chunk_tokens, compiled, tokenized_answer
from taxonomy.tree import Taxonomy
from tests.support.apps import app_on
from tests.support.checkpoints import published, router_on, unpublished
from tests.support.strategies import answers, comment, taxonomies
from tests.support.uneven import TEXT, content_tree, labelled_over

TREE = content_tree()


class GoldEngine(SingleModel):
    """Decides as the comments are labelled."""

    is_alive = True
    kind = "gold/float32"

    def __init__(self, pair: Pair, gold: list[LabelledComment]) -> None:
        self._pair = pair
        self._gold = {each.comment: each for each in gold}

    async def decode(self, task: Task) -> Decoded:
        parts = self._gold["".join(task.chunks)].parts
        tokens, decisions = tokenized_answer(task.chunks, parts, self._pair.automaton, self._pair.tokens)
        return Decoded(tuple(tokens[d.at] for d in decisions), (-0.01,) * len(decisions))


@pytest.fixture(scope="module", params=["tree.yaml", "tree.csv"])
def uneven(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, settings: Settings) -> Pair:
    """A pair whose taxonomy comes from a file."""
    folder = tmp_path_factory.mktemp("uneven")
    file = folder / request.param
    save_taxonomy(TREE, file)
    taxonomy = load_taxonomy(file)
    assert taxonomy == TREE
    published(unpublished(folder / "checkpoint", 1), taxonomy=taxonomy.version, calibration=None)
    return pair_of(str(folder / "checkpoint"), taxonomy, settings.cache)


def test_the_tree_is_as_uneven_as_real_ones() -> None:
    depths = {depth: sum(len(leaf.path) == depth for leaf in TREE.leaves) for depth in range(1, 5)}
    assert len(TREE.leaves) > 200
    assert all(count >= 3 for count in depths.values()), depths


async def test_gold_over_it_is_decoded_without_a_violation_and_scores_one(
    uneven: Pair, settings: Settings, tmp_path: Path
) -> None:
    gold = labelled_over(uneven.taxonomy, 12)
    router = Router(uneven, GoldEngine(uneven, gold), limits_of(settings), context=32_768)
    served = await decoded(router, gold)
    assert served.violations == []
    write_comments(gold, tmp_path / "gold.jsonl")
    (tmp_path / "pred.jsonl").write_text("".join(json.dumps(line) + "\n" for line in served.lines))
    read = read_gold(tmp_path / "gold.jsonl")
    assert read == gold
    predictions, faults = read_predictions(tmp_path / "pred.jsonl", read, uneven.taxonomy)
    assert faults == {}
    scores = score(read, predictions, uneven.taxonomy)
    assert list(scores.levels) == list(LEVELS)
    assert {tally.f1 for tally in (*scores.levels.values(), scores.leaf, scores.hierarchical)} == {1.0}
    reached = [tally.gold for tally in scores.levels.values()]
    assert reached == sorted(reached, reverse=True)
    assert reached[0] > reached[3] > 0


async def test_whatever_a_model_decides_is_in_the_tree_and_scored(uneven: Pair, settings: Settings) -> None:
    gold, rng = labelled_over(uneven.taxonomy, 12), random.Random(0)
    served = await decoded(router_on(uneven, settings, lambda allowed: (rng.choice(allowed), -0.5)), gold)
    assert served.violations == []
    scores = score(gold, served.predictions, uneven.taxonomy)
    depths = {len(segment.path) for p in served.predictions for segment in p.segments}
    assert depths == {1, 2, 3, 4}
    assert sum(tally.predicted for tally in scores.levels.values()) == scores.hierarchical.predicted


def segments_of(client: TestClient) -> list[dict[str, Any]]:
    response = client.post("/v1/route", json={"comment": TEXT})
    assert response.status_code == 200
    segments: list[dict[str, Any]] = response.json()["segments"]
    return segments


def test_the_api_has_all_four_levels_and_null_below_the_leaf(uneven: Pair, settings: Settings) -> None:
    leaves = [next(leaf for leaf in TREE.leaves if len(leaf.path) == depth) for depth in (1, 2, 3, 4)]
    *pieces, rest = chunks(TEXT)
    gold = labelled("1", [*(Part(p, x.path, "neutral") for p, x in zip(pieces, leaves, strict=True)), Part(rest)])
    router = Router(uneven, GoldEngine(uneven, [gold]), limits_of(settings), context=32_768)
    with TestClient(app_on(router)) as client:
        segments = segments_of(client)
        schema = client.get("/openapi.json").json()["components"]["schemas"]["SegmentOut"]
    for depth, (segment, leaf) in enumerate(zip(segments, leaves, strict=True), 1):
        assert [segment[level] for level in LEVELS] == [*leaf.path, *[None] * (4 - depth)]
        assert segment["confidence"].keys() == {*LEVELS[:depth], "emotion", "team"}
        assert segment["team"] == leaf.team
        assert not segment["needs_review"]
        assert segment.keys() == set(schema["required"]) == schema["properties"].keys() - {"alternatives"}
    for level in ("L2", "L3", "L4"):
        assert {"type": "null"} in schema["properties"][level]["anyOf"]


@given(data=st.data(), taxonomy=taxonomies(), text=comment)
@tried(max_examples=40, deadline=None)
def test_every_answer_over_any_tree_is_the_comment_and_its_paths_are_leaves(
    pair: Pair, data: st.DataObject, taxonomy: Taxonomy, text: str
) -> None:
    model = replace(pair.model, automaton=compiled(taxonomy, pair.tokens))
    over = replace(pair, model=model, taxonomy=taxonomy, calibration=None)
    pieces = chunks(text)
    task = Task("t", (), pieces, tuple(map(tuple, chunk_tokens(pieces, pair.tokens))))
    walk = over.automaton.walk(task.chunk_tokens)
    chosen: list[int] = []
    while not walk.is_done:
        chosen.append(data.draw(st.sampled_from(walk.allowed)))
        walk.decide(chosen[-1])
    answer = answer_of(task, Decoded(tuple(chosen), (-0.5,) * len(chosen)), over)
    spans = sorted([*((s.start, s.end) for s in answer.segments), *((r.start, r.end) for r in answer.residue)])
    assert "".join(text[start:end] for start, end in spans) == text
    for segment in answer.segments:
        assert segment.leaf.path in taxonomy
        assert segment.confidence.keys() == {*LEVELS[: len(segment.leaf.path)], "emotion", "team"}
    # And what the tree allows, the automaton does.
    parts = data.draw(answers(text, taxonomy))
    tokens, decisions = tokenized_answer(pieces, parts, over.automaton, pair.tokens)
    again = answer_of(task, Decoded(tuple(tokens[d.at] for d in decisions), (0.0,) * len(decisions)), over)
    assert [(s.part.content, s.leaf.path) for s in again.segments] == [(p.content, p.path) for p in parts if p.path]
