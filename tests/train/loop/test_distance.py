"""The divergence from the base is none at the beginning, grows as the model moves, and is the textbook's."""

from __future__ import annotations

import pytest
import torch
from transformers import TrainerState

from taxonomy.bundled import bundled_taxonomy
from taxonomy.language.language import language_of
from tests.support.tokenizers import tokenizer_of_kind
from train.corpus.generator import Corpus, load_phrasebook
from train.data.batches import collate
from train.data.encode import encode
from train.loop.distance import POINTS, BaseDistance
from train.loop.sft import fresh_model
from train.loop.steps import KL
from train.recipe_parts import Architecture


@pytest.fixture(scope="module")
def watched() -> BaseDistance:
    tokenizer = tokenizer_of_kind("bundled")
    taxonomy = bundled_taxonomy()
    comments = Corpus(load_phrasebook(), "train").comments(3)
    rows = list(encode(comments, language_of(tokenizer, taxonomy), "constrained"))
    shape = Architecture(vocabulary=len(tokenizer), hidden=64, layers=1, intermediate=64, context=4096)
    model = fresh_model(shape, len(tokenizer), tokenizer.pad_token_id, tokenizer.eos_token_id, seed=0).train()
    return BaseDistance(model, collate(rows, [], tokenizer.eos_token_id), steps=2 * POINTS)


def test_it_is_none_before_the_first_step_and_grows_with_the_way_from_the_base(watched: BaseDistance) -> None:
    model = watched._model
    assert watched.measured() == pytest.approx(0, abs=1e-6)
    begun = model(input_ids=watched._probe["tokens"]).logits.flatten(0, 1)[watched._probe["at"]]
    distances = []
    for _ in range(2):
        with torch.no_grad():
            generator = torch.Generator().manual_seed(1)
            for weight in model.parameters():
                weight.add_(0.01 * torch.randn(weight.shape, generator=generator))
        distances.append(watched.measured())
    assert 0 < distances[0] < distances[1]
    assert model.training, "the model is left as it was"
    now = model(input_ids=watched._probe["tokens"]).logits.flatten(0, 1)[watched._probe["at"]]
    own, base = (torch.distributions.Categorical(logits=logits) for logits in (now, begun))
    assert distances[1] == pytest.approx(torch.distributions.kl_divergence(own, base).mean().item(), rel=1e-3)


@pytest.mark.parametrize(("step", "there"), [(1, False), (2, True), (99, False), (100, True)])
def test_it_stands_among_the_figures_of_some_steps(watched: BaseDistance, step: int, *, there: bool) -> None:
    logs: dict[str, float] = {"loss": 1.0}
    watched.on_log(None, TrainerState(global_step=step, max_steps=100), None, logs)
    assert (KL in logs) == there


def test_what_is_logged_at_the_end_of_a_run_is_left_alone(watched: BaseDistance) -> None:
    logs: dict[str, float] = {"train_runtime": 1.0}
    watched.on_log(None, TrainerState(global_step=100, max_steps=100), None, logs)
    assert KL not in logs
