"""The benchmarks count what they say: on systems of known speed, and on the real constraint."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from eval.bench.constraint import constraint, cut_to, invented
from eval.bench.limits import Limits, Weights, Work, limits, weights_of, works
from eval.bench.plot import plot
from eval.bench.scores import bench_scores, figures, worsened
from eval.bench.speed import REFERENCE, Cell, SpeedPlan, SpeedRow, _agreement, long_comments, measured_cells, ratios
from eval.bench.systems import OwnEngine, Reference, SystemAnswer, _is_canonical, natural_schema
from serve.routing.pair import Pair
from serve.routing.router import Router
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import CallWrong
from taxonomy.language.answer import Part, written
from taxonomy.language.chunks import chunks
from taxonomy.language.compiled import tokenized_answer
from taxonomy.language.forms import Form
from train.corpus.generator import Corpus, load_phrasebook

TEXTS = [comment.comment for comment in Corpus(load_phrasebook(), "test").comments(60)]


class Paced:
    """Answers after so many seconds, as many at once as asked; every `bad`-th answer is none."""

    def __init__(self, seconds: float, bad: int = 0) -> None:
        self.seconds, self.bad, self.asked, self.busy, self.most = seconds, bad, 0, 0, 0

    async def answer(self, comment: str) -> SystemAnswer:
        self.asked += 1
        number = self.asked
        self.busy += 1
        self.most = max(self.most, self.busy)
        try:
            await asyncio.sleep(self.seconds)
        finally:
            self.busy -= 1
        return SystemAnswer(None if self.bad and number % self.bad == 0 else (Part(comment),), steps=7)


async def test_rates_latencies_and_failures_are_those_of_the_systems() -> None:
    systems = {"vllm-grammar": Paced(0.05), "engine": Paced(0.01, bad=3)}
    said: list[str] = []
    counted: list[int] = []
    plan = SpeedPlan(systems=tuple(systems), concurrencies=(4,), seconds=0.3, repeats=2)
    measuring = measured_cells(
        systems, "m", {"short": TEXTS}, plan, said.append, count=lambda cell: counted.append(len(cell.rates))
    )
    cells = await measuring
    assert counted == [1, 1, 2, 2]
    rows = [cell.row() for cell in cells]
    assert [row.system for row in rows] == ["vllm-grammar", "engine"]
    assert [system.most for system in systems.values()] == [4, 4]
    assert [system.busy for system in systems.values()] == [0, 0]
    assert all(len(row.rounds) == 2 for row in rows)
    assert (rows[0].p50_ms or 0) >= 50
    assert rows[0].failed == 0 < rows[1].failed
    assert len(said) == 4
    (ratio,) = ratios(rows, "engine", "vllm-grammar")
    assert ratio.low
    assert ratio.median
    assert ratio.high
    assert ratio.low <= ratio.median <= ratio.high
    assert ratio.median > 1


def test_in_the_midst_of_a_round_the_ratio_is_of_the_rounds_that_both_have_had() -> None:
    cells = [Cell("verbatim", "m", "short", 8), Cell("marked", "m", "short", 8)]
    for cell, rates in zip(cells, ([10.0, 20.0], [30.0]), strict=True):
        cell.rates += rates
    (ratio,) = ratios([cell.row() for cell in cells], "marked", "verbatim")
    assert (ratio.low, ratio.median, ratio.high) == (3, 3, 3)


async def test_a_system_without_an_answer_in_the_time_has_no_latency_and_no_ratio() -> None:
    systems = {"vllm-json-schema": Paced(60), "engine": Paced(0.01)}
    plan = SpeedPlan(systems=tuple(systems), concurrencies=(2,), seconds=0.1, repeats=1)
    rows = [c.row() for c in await measured_cells(systems, "m", {"short": TEXTS}, plan, print, count=print)]
    assert (rows[0].requests_per_second, rows[0].p50_ms) == (0, None)
    (ratio,) = ratios(rows, "engine", "vllm-json-schema")
    assert ratio.median is None


async def test_answers_are_compared_one_by_one() -> None:
    found = await _agreement({REFERENCE: Paced(0), "engine": Paced(0, bad=10)}, TEXTS)
    assert (found.comments, found.identical, found.reference_steps_median) == (60, 54, 7)
    assert found.differing[0].own is None


async def test_the_own_engine_gives_the_parts_of_its_answer(scripted_router: Router) -> None:
    outcome = await OwnEngine(scripted_router).answer(TEXTS[0])
    assert outcome.parts
    assert "".join(part.content for part in outcome.parts) == TEXTS[0]


def test_an_answer_in_other_tokens_than_training_writes_is_told_apart(pair: Pair) -> None:
    comment = Corpus(load_phrasebook(), "test").comment(0)
    ids = tokenized_answer(chunks(comment.comment), comment.parts, pair.automaton, pair.tokens).tokens
    pieces = chunks(comment.comment)
    assert _is_canonical(pair, pieces, comment.parts, ids)
    letters = [token for character in written(comment.parts) for token in pair.tokens.text(character)]
    assert _is_canonical(pair, pieces, comment.parts, letters) is False
    assert _is_canonical(pair, pieces, comment.parts[:-1], ids) is None


def test_the_reference_reads_what_it_allows(pair: Pair) -> None:
    reference = Reference(pair)
    for comment in Corpus(load_phrasebook(), "test").comments(5):
        pieces = chunks(comment.comment)
        ids = tokenized_answer(pieces, comment.parts, pair.automaton, pair.tokens).tokens
        text = pair.tokens.tokenizer.backend_tokenizer.decode(ids[:-1], skip_special_tokens=False)
        assert reference.parts(text) == comment.parts
        assert reference.parts(text[:-1]) is None


def test_a_form_without_text_has_no_reference_to_be_compared_with(pair: Pair) -> None:
    automaton = replace(pair.automaton, form=Form.MARKED)
    with pytest.raises(CallWrong, match="are no text"):
        Reference(replace(pair, model=replace(pair.model, automaton=automaton)))


def test_the_natural_schema_has_a_branch_for_each_leaf_and_one_without_labels() -> None:
    schema = json.loads(natural_schema(bundled_taxonomy()))
    branches = schema["items"]["anyOf"]
    assert len(branches) == 1421
    assert branches[0]["required"] == ["content"]
    assert list(branches[1]["properties"]) == ["content", "L1", "L2", "L3", "L4", "emotion"]


def test_long_comments_are_short_ones_laid_together() -> None:
    long = long_comments(TEXTS, 1000)
    assert all(1000 <= len(text) < 2000 for text in long)
    assert " ".join(long) in " ".join(TEXTS)


@pytest.mark.parametrize("leaves", [100, 3000])
def test_invented_taxonomies_have_the_leaves_that_were_asked_for(leaves: int) -> None:
    assert len(invented(leaves).leaves) == leaves
    assert invented(leaves).version == invented(leaves).version


def test_the_constraint_is_measured_on_every_size(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eval.bench.constraint.LEAVES", (100, 1420))
    figures = constraint(TEXTS, pair.tokens.tokenizer, 3, lambda _: None)
    sizes = [(100, 200), (100, 2000), *((1420, characters) for characters in (50, 200, 500, 1000, 2000, 5000))]
    assert [(row.form, row.leaves, row.characters) for row in figures.rows] == [
        (form, *size) for form in Form for size in sizes
    ]
    assert all(row.compile_ms.n == 3 and row.decision_us.n >= 3 for row in figures.rows)
    assert len(cut_to(TEXTS, 777, 5)) == 777


def test_the_limit_is_reading_for_one_at_once_and_arithmetic_for_many() -> None:
    machine = Limits(weights_per_second=10e9, flops=400e9, threads=1, dtype="float32")
    weights = Weights(read=10_000_000, head=4_000_000)
    work = Work(steps=20, tokens=160)
    assert machine.rate(weights, work, 1) == pytest.approx(1 / (20 * 10e6 / 10e9))
    operations = 2 * (160 * 6e6 + 20 * 4e6)
    assert machine.rate(weights, work, 128) == pytest.approx(400e9 / operations)


def test_the_work_of_an_answer_is_its_decisions_and_all_its_tokens(pair: Pair) -> None:
    comment = Corpus(load_phrasebook(), "test").comment(0)
    deciding, spelling = works(pair, [(comment.comment, comment.parts)])
    assert 0 < deciding.steps < spelling.steps < deciding.tokens == spelling.tokens


def test_the_machine_is_measured_with_the_weights_of_the_model(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    # A CPU without bfloat16 instructions takes a second and more for the product that is large enough to measure with.
    monkeypatch.setattr("eval.bench.limits.SQUARE", 64)
    weights = weights_of(pair)
    assert 0 < weights.head < weights.read
    for dtype in ("float32", "bfloat16"):
        found = limits(Weights(read=1_000_000, head=1), dtype)
        assert (found.threads >= 1, found.dtype) == (True, dtype)
        assert min(found.weights_per_second, found.flops) > 0


def test_the_picture_shows_every_system(tmp_path: Path) -> None:
    rows = [
        SpeedRow(s, "m", c, n, 3.0, [2.0, 4.0], 50.0, 99.0, 0, None)
        for s in ("vllm-grammar", "engine")
        for c in ("short", "long")
        for n in (1, 8)
    ]
    plot(rows, tmp_path / "a.svg")
    plot(rows, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    plot(rows, tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def test_scoring_is_compared_with_a_loop_that_gives_the_same_figures() -> None:
    comments = list(Corpus(load_phrasebook(), "test").comments(40))
    figures = bench_scores(comments, count=120, rounds=2, say=lambda _: None)
    assert figures.equal
    assert figures.segments.gold == 3 * sum(len(comment.segments) for comment in comments)
    assert len(figures.seconds["naive"]) == 2
    assert figures.ratio.low <= figures.ratio.median <= figures.ratio.high


def test_predictions_for_the_benchmark_have_faults_of_every_kind() -> None:
    gold = list(Corpus(load_phrasebook(), "test").comments(60))
    scores = figures(gold, list(worsened(gold)))
    for rate in (scores.leaf.f1, scores.verbatim, scores.coverage, scores.emotion.recall):
        assert rate
        assert 0.2 < rate < 1
    assert scores.span_strict.f1
    assert scores.span.f1
    assert scores.span_strict.f1 < scores.span.f1 < 1
