"""Candidates are points between the base and what a run saved; the chosen one is what the model then holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import TrainerControl, TrainerState

from eval.decoding.decoder import Decoder
from eval.general.suite import Question
from taxonomy.bundled import bundled_taxonomy
from taxonomy.errors import CallWrong, RecipeInvalid
from taxonomy.language.language import language_of
from tests.support.tokenizers import tokenizer_of_kind
from train.choosing.average import WeightedTensors, combined
from train.choosing.candidates import BASE, Candidate, CandidateScorer, candidates, choose, saved_steps
from train.choosing.validation import Validation
from train.corpus.generator import Corpus, load_phrasebook
from train.loop.saved import SavedWeights, Tensors, put, read_weights, weights_of
from train.loop.sft import fresh_model
from train.recipe_parts import Architecture, Choosing
from train.report.choice import CandidateRecord, ChoiceRecord, Estimate, ValidationRecord

CHOOSINGS = st.builds(
    Choosing, last=st.integers(1, 5), every=st.none() | st.integers(1, 9), alphas=st.sampled_from([[1.0], [0.5, 1.0]])
)


def tensors(*values: float) -> Tensors:
    return {"a": torch.tensor(values[:1], dtype=torch.float32), "b": torch.tensor(values[1:], dtype=torch.float32)}


@settings(deadline=None)
@given(CHOOSINGS, st.integers(37, 400))
def test_a_candidates_shares_add_up_to_one_and_are_of_saved_steps_or_the_base(choosing: Choosing, steps: int) -> None:
    saved = saved_steps(choosing, steps)
    assert saved[-1] == steps
    assert len(saved) == choosing.last
    made = candidates(choosing, steps)
    assert len({one.name for one in made}) == len(made)
    for one in made:
        assert sum(one.shares.values()) == pytest.approx(1)
        assert one.shares.keys() <= {BASE, *saved}


def test_three_saved_weights_are_a_twentieth_of_the_run_apart() -> None:
    assert saved_steps(Choosing(last=3), 500) == [450, 475, 500]
    assert [one.name for one in candidates(Choosing(last=3, alphas=[0.5, 1]), 500)] == [
        "last, alpha 0.5",
        "last",
        "mean of 3, alpha 0.5",
        "mean of 3",
    ]


def test_a_run_that_is_too_short_for_its_averages_is_refused() -> None:
    with pytest.raises(RecipeInvalid, match="3 saved weights, 10 steps apart, do not fit into a run of 20 steps"):
        saved_steps(Choosing(last=3, every=10), 20)


def test_alpha_is_the_way_from_the_base_to_the_mean() -> None:
    weights = {BASE: tensors(1, 2), 4: tensors(3, -2), 8: tensors(5, 0)}
    parts = (WeightedTensors("", weights[step], share) for step, share in Candidate((4, 8), 0.25).shares.items())
    moved = combined(parts)
    assert moved["a"].item() == pytest.approx(1 + 0.25 * (4 - 1))
    assert moved["b"].item() == pytest.approx(2 + 0.25 * (-1 - 2))
    last = combined(WeightedTensors("", weights[step], share) for step, share in Candidate((8,)).shares.items())
    assert torch.equal(last["a"], weights[8]["a"])


def test_weights_of_another_shape_are_refused_by_name() -> None:
    with pytest.raises(CallWrong, match=r"step 8 has other tensors than base"):
        combined([WeightedTensors("base", tensors(1, 2), 0.5), WeightedTensors("step 8", {"a": torch.zeros(2)}, 0.5)])


@pytest.fixture(scope="module")
def scorer() -> CandidateScorer:
    """A fresh model that knows nothing, and very little to score it on."""
    tokenizer = tokenizer_of_kind("bundled")
    taxonomy = bundled_taxonomy()
    shape = Architecture(vocabulary=len(tokenizer), hidden=64, layers=1, intermediate=64, context=4096)
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, seed=0)
    comments = list(Corpus(load_phrasebook(), "train").comments(3))
    questions = [Question("sort", "Sort alphabetically: pear fig", "fig pear")]
    decoder = Decoder(model, language_of(tokenizer, taxonomy))
    return CandidateScorer(decoder, tokenizer, Validation(comments, questions))


def test_the_model_is_left_with_the_chosen_weights_and_every_figure_is_recorded(
    scorer: CandidateScorer, tmp_path: Path
) -> None:
    model = scorer.decoder.model
    initial = weights_of(model)
    saver = SavedWeights(model, [2, 4], tmp_path / "saved")
    for step in range(1, 5):
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.01 * step)
        saver.on_step_end(None, TrainerState(global_step=step, max_steps=4), TrainerControl())
    assert {file.name for file in (tmp_path / "saved").iterdir()} == {"2.safetensors", "4.safetensors"}

    def weights(step: int) -> Tensors:
        return initial if step == BASE else read_weights(tmp_path / "saved", step)

    choosing = Choosing(last=2, every=2, alphas=[0.5, 1.0])
    said: list[str] = []
    record = choose(choosing, 4, weights, scorer, torch.bfloat16, has_base=True, say=said.append)

    assert [one.name for one in record.candidates] == [one.name for one in candidates(choosing, 4)]
    assert record.base
    general = [record.base.general, *(one.general for one in record.candidates)]
    assert all(estimate and estimate.interval_95[1] > 0 for estimate in general)
    assert record.validation.comments == 3
    assert said[0].startswith("base: leaf F1 ")
    assert said[-1].startswith(f"chosen: {record.chosen} (")
    best = next(one for one in record.candidates if one.name == record.chosen)
    expected = combined(WeightedTensors("", weights(step), share) for step, share in best.shares.items())
    for name, weight in model.named_parameters():
        assert torch.equal(weight, expected[name].to(torch.bfloat16).float()), name
    put(initial, model, torch.float32)


def test_the_record_in_a_manifest_names_steps_and_intervals_as_json_does_and_is_read_back() -> None:
    estimate = Estimate(value=0.5, interval_95=(0.4, 0.6))
    best = CandidateRecord(shares={0: 0.25, 8: 0.75}, name="last", leaf_f1=estimate, general=None, on_front=True)
    validation = ValidationRecord(comments=3, fingerprint="0", questions=0)
    record = ChoiceRecord(chosen="last", reason="highest", validation=validation, base=None, candidates=[best])
    stated = record.model_dump(mode="json")
    assert stated["candidates"] == [
        {
            "shares": {"0": 0.25, "8": 0.75},
            "name": "last",
            "leaf_f1": {"value": 0.5, "interval_95": [0.4, 0.6]},
            "general": None,
            "on_front": True,
        }
    ]
    assert ChoiceRecord.model_validate(stated) == record
