"""A few real steps of GRPO on the bundled checkpoint, and checkpoints that it is no use for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from serve.settings import BUNDLED_CHECKPOINT
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.errors import ReinforcementRefused
from train.advice import known_of_reinforcement, warnings_of_reinforcement
from train.recipe import Recipe, Reinforcement, load_recipe
from train.reinforcement.grpo import DecisionsGRPO, arguments_of
from train.reinforcement.rft import Baseline, check_baseline, task_of
from train.reinforcement.rollout import decisions_of, sampled
from train.run import run

SMALL: dict[str, Any] = {"reinforce": str(BUNDLED_CHECKPOINT), "corpus": 60, "steps": 2, "batch": 2, "answers": 4}


def recipe(**changes: Any) -> Reinforcement:
    return Reinforcement.model_validate(SMALL | {"judged": 4, "learning_rate": 1e-4} | changes)


def test_steps_of_reinforcement_publish_another_checkpoint_and_the_same_one_again(tmp_path: Path) -> None:
    said: list[str] = []
    manifest = run(recipe(), tmp_path / "a", said.append)
    verify(tmp_path / "a", read_manifest(tmp_path / "a"))
    bundled = read_manifest(BUNDLED_CHECKPOINT)
    assert manifest.version != bundled.version
    assert manifest.base_model == bundled.version
    assert manifest.scores == {}
    assert manifest.training["baseline"]["answers"] == 16
    assert 0 < manifest.training["baseline"]["success"] < 0.95
    assert sum("mean reward" in line for line in said) == 3
    assert run(recipe(), tmp_path / "b", said.append).version == manifest.version


def test_an_adapter_is_reinforced_and_merged_and_held_near_to_the_checkpoint(tmp_path: Path) -> None:
    changes = {"adapter": {"rank": 4, "keep": True}, "kl": 0.05, "accumulate": 2, "learning_rate": 1e-3}
    manifest = run(recipe(**changes), tmp_path / "out", lambda _: None)
    verify(tmp_path / "out", read_manifest(tmp_path / "out"))
    assert set(manifest.training["adapter"]) >= {"adapter_config.json", "adapter_model.safetensors"}
    one, other = (load_file(folder / "model.safetensors") for folder in (BUNDLED_CHECKPOINT, tmp_path / "out"))
    assert one.keys() == other.keys()
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_the_policy_is_the_serving_one_and_what_is_forced_is_certain(tmp_path: Path) -> None:
    """Log-probabilities of TRL's loss: over what is allowed at decisions, 0 elsewhere, whatever the padding."""
    task = task_of(recipe())
    model = AutoModelForCausalLM.from_pretrained(BUNDLED_CHECKPOINT, dtype=torch.float32)
    arguments = arguments_of(tmp_path, steps=2, batch=2, answers=4, accumulate=1, learning_rate=1e-6, kl=0.0, seed=0)
    trainer = DecisionsGRPO(model, arguments, task.tokenizer, task.comments, task.automaton)
    asked = task.comments[:3]
    samples = sampled(model, asked, task.automaton)
    rows = [[*one.prompt, *sample.tokens] for one, sample in zip(asked, samples, strict=True)]
    left = max(len(one.prompt) for one in asked)
    longest = max(len(sample.tokens) for sample in samples)
    ids, mask = torch.zeros(2, len(rows), left + longest, dtype=torch.long)
    for i, (one, row) in enumerate(zip(asked, rows, strict=True)):
        start = left - len(one.prompt)
        ids[i, start : start + len(row)] = torch.tensor(row)
        mask[i, start : start + len(row)] = 1
    with torch.no_grad():
        logps, entropies, _ = trainer._get_per_token_logps_and_entropies(
            model, ids, mask, longest, batch_size=2, compute_entropy=True
        )
    for i, (one, row, sample) in enumerate(zip(asked, rows, samples, strict=True)):
        with torch.no_grad():
            logits = model(torch.tensor([row])).logits[0]
        expected = torch.zeros(longest)
        for at, allowed in decisions_of(one, sample.tokens, task.automaton):
            among = logits[len(one.prompt) + at - 1, list(allowed)].log_softmax(0)
            expected[at] = among[allowed.index(sample.tokens[at])]
        assert torch.allclose(logps[i], expected, atol=1e-4)
        forced = torch.ones(longest, dtype=torch.bool)
        forced[[at for at, _ in decisions_of(one, sample.tokens, task.automaton)]] = False
        assert entropies is not None
        assert (entropies[i][forced] == 0).all()


@pytest.mark.parametrize(
    ("before", "said"),
    [
        (
            Baseline(512, 0.0, 0.41),
            r"0\.0% of 512 answers are wholly right \(mean reward 0\.410\): there is no success",
        ),
        (Baseline(512, 0.96, 0.99), r"96\.0% of 512 answers are wholly right \(mean reward 0\.990\), over 95%"),
    ],
)
def test_what_cannot_help_is_refused_with_the_figure(before: Baseline, said: str) -> None:
    with pytest.raises(ReinforcementRefused, match=said):
        check_baseline(before)
    check_baseline(before._replace(success=0.5))


def test_a_checkpoint_that_knows_nothing_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    shape = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 4096}
    fresh = {"corpus": 8, "exposures": 1, "architecture": shape, "optimisation": {"batch": 8, "learning_rate": 1e-9}}
    run(Recipe.model_validate(fresh), tmp_path / "fresh", lambda _: None)
    with pytest.raises(ReinforcementRefused, match=r"0\.0% of 8 answers"):
        run(recipe(reinforce=str(tmp_path / "fresh"), judged=4, answers=2), tmp_path / "out", lambda _: None)
    assert not list((tmp_path / "out").iterdir())


def test_a_recipe_with_a_checkpoint_to_reinforce_is_one_of_reinforcement(tmp_path: Path) -> None:
    (tmp_path / "r.yaml").write_text("reinforce: runs/sft\nsteps: 9\n")
    assert load_recipe(tmp_path / "r.yaml") == Reinforcement(reinforce="runs/sft", steps=9)
    with pytest.raises(ValueError, match="must be a multiple"):
        recipe(accumulate=3)


def test_learning_rates_of_reinforcement_are_lower_and_an_adapters_ten_times_as_high() -> None:
    methods: list[tuple[dict[str, Any], float]] = [({}, 1e-6), ({"adapter": {}}, 1e-5)]
    for method, rate in methods:
        asked = Reinforcement.model_validate(SMALL | method)
        assert known_of_reinforcement(asked.adapter).learning_rate == rate
        assert warnings_of_reinforcement(None, asked.adapter, 8 * 10**9) == []
        (warning,) = warnings_of_reinforcement(1e-3, asked.adapter, 8 * 10**9)
        assert warning.startswith("learning rate 0.001: published runs of this size used")
