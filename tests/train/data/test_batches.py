"""What a forward pass is given: comments and replay in one step, packed or not, dealt out to processes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from taxonomy.bundled import bundled_taxonomy
from taxonomy.language.language import language_of
from taxonomy.language.tokens import Tokens
from tests.support.tokenizers import tokenizer_of_kind
from train.corpus.generator import Corpus, load_phrasebook
from train.corpus.suite import suite
from train.data.batches import Batch, Batches, collate
from train.data.chats import ChatRows, chat_of
from train.data.encode import TrainingRow, encode
from train.data.mixture import ReplaySource, mixture
from train.data.store import stored
from train.loop.sft import Anchor, fresh_model, logits_at, loss_of
from train.recipe_parts import Architecture, Loss

TOKENIZER = tokenizer_of_kind("bundled")
TOKENS = Tokens(TOKENIZER)
PAD = TOKENIZER.pad_token_id
SHAPE = Architecture(vocabulary=len(TOKENIZER), hidden=64, layers=2, intermediate=64, context=4096)
MODEL = fresh_model(SHAPE, len(TOKENIZER), PAD, TOKENIZER.eos_token_id, seed=0)
REPLAY = [ChatRows(TOKENIZER, TOKENS, 4096).of(chat_of(*question[1:])) for question in suite("train", 40, 0)]


def comments(loss: Loss, count: int = 8) -> list[TrainingRow]:
    taxonomy = bundled_taxonomy()
    labelled = Corpus(load_phrasebook(), "train").comments(count)
    return list(encode(labelled, language_of(TOKENIZER, taxonomy), loss))


@pytest.fixture(scope="module", params=["constrained", "decisions", "completion"])
def rows(request: pytest.FixtureRequest) -> list[TrainingRow]:
    return comments(request.param)


def whole(batch: Batch) -> Batch:
    return batch | {"total": torch.tensor(1.0)}


def summed(batch: Batch) -> float:
    return loss_of(MODEL, MODEL, whole(batch)).item()


@pytest.mark.parametrize("packing", [None, 600])
def test_a_mixed_step_has_the_loss_of_its_rows(rows: list[TrainingRow], packing: int | None) -> None:
    together = summed(collate(rows, REPLAY[:9], PAD, packing))
    alone = sum(summed(collate([row], [], PAD)) for row in rows) + sum(
        summed(collate([], [row], PAD)) for row in REPLAY[:9]
    )
    assert together == pytest.approx(alone, rel=1e-5)


def test_logits_are_computed_at_learned_tokens_only(rows: list[TrainingRow]) -> None:
    batch = collate(rows, REPLAY[:9], PAD)
    learned = sum(len(row.learned) for row in (*rows, *REPLAY[:9]))
    assert logits_at(MODEL, MODEL, batch).shape == (learned, len(TOKENIZER))
    assert learned < batch["tokens"].numel()


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_rows_do_not_see_each_other(attention: str) -> None:
    """One row changed from its first token to its last: the logits of the others stay, to the bit."""
    rows = comments("decisions", 5)
    other = fresh_model(SHAPE, len(TOKENIZER), PAD, TOKENIZER.eos_token_id, seed=0)
    other.set_attn_implementation(attention)
    before = collate(rows, REPLAY[:6], PAD, packing=4096)
    assert len(before["tokens"]) == 2, "the comments are one sequence, replay another"
    longest = int(np.argmax([len(row.tokens) for row in rows]))
    changed = TrainingRow((rows[longest].tokens + 7) % len(TOKENIZER), rows[longest].learned)
    after = collate([*rows[:longest], changed, *rows[longest + 1 :]], REPLAY[:6], PAD, packing=4096)
    # The longest row is packed first, so that all others of the comments come after it.
    first = len(rows[longest].learned)
    with torch.no_grad():
        one, two = (logits_at(other, other, batch) for batch in (before, after))
    assert not torch.equal(one[:first], two[:first])
    assert torch.equal(one[first:], two[first:])
    assert torch.isfinite(one).all()


def rows_of(lengths: list[int]) -> list[TrainingRow]:
    return [TrainingRow(np.arange(n, dtype=np.int32), np.array([n - 1], np.int32)) for n in lengths]


LENGTHS = st.lists(st.integers(2, 90), min_size=1, max_size=30)


@given(LENGTHS, LENGTHS, st.integers(10, 120))
@settings(deadline=None)
def test_packing_loses_no_row_and_overfills_no_sequence(ours: list[int], replay: list[int], packing: int) -> None:
    batch = collate(rows_of(ours), rows_of(replay), 0, packing)
    assert batch["tokens"].shape[1] <= max(packing, *ours, *replay)
    assert sorted(batch["targets"].tolist()) == sorted(n - 1 for n in (*ours, *replay))
    assert len(batch["tokens"]) <= len(ours) + len(replay)


def test_replay_fills_the_width_that_the_longest_comment_asks_for_and_sequences_are_of_like_width() -> None:
    batch = collate(rows_of([100, 96, 92]), rows_of([25] * 8), 0, packing=50)
    assert batch["tokens"].shape == (5, 100)
    assert int(batch["replay"][0]) == 3
    across = collate(rows_of([25] * 8), rows_of([100, 40, 30]), 0, packing=50)
    assert across["tokens"].shape == (4, 100), "comments fill what a longer chat asks for"
    level = collate(rows_of([30] * 5), [], 0, packing=128)
    assert level["tokens"].shape == (2, 90), "three and two, not four and one"


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[Batch]]:
    """One run's passes, by the number of parts that a step is dealt out to."""
    folder = tmp_path_factory.mktemp("rows")
    stored_comments = stored(comments("constrained", 20), folder / "comments")
    source = ReplaySource("suite", stored(REPLAY, folder / "suite"), 0.3, 99, None)
    mixed = mixture(stored_comments, [source], exposures=20, per_epoch=20, batch=8, total=None, seed=0)
    made = {}
    for world, accumulate in ((1, 1), (1, 2), (3, 1), (8, 2)):
        data = Batches(mixed, PAD, world=world, accumulate=accumulate)
        assert len(data) == len(mixed) * world * accumulate
        made[world * accumulate] = [data[item] for item in range(len(data))]
    return made


@pytest.mark.parametrize("parts", [2, 3, 16])
def test_the_parts_of_a_step_are_the_step(step: dict[int, list[Batch]], parts: int) -> None:
    """More parts than rows too: the last step has four comments for sixteen parts."""
    for number, batch in enumerate(step[1]):
        dealt = step[parts][number * parts : (number + 1) * parts]
        assert sorted(torch.cat([part["targets"] for part in dealt]).tolist()) == sorted(batch["targets"].tolist())
        mean = sum(loss_of(MODEL, MODEL, part).item() for part in dealt) / parts
        assert mean == pytest.approx(loss_of(MODEL, MODEL, batch).item(), rel=1e-5)


def test_the_divergence_from_the_base_is_nothing_before_the_first_step_and_grows(rows: list[TrainingRow]) -> None:
    model = fresh_model(SHAPE, len(TOKENIZER), PAD, TOKENIZER.eos_token_id, seed=0)
    for packing in (None, 500):
        batch = whole(collate(rows, REPLAY[:9], PAD, packing))
        anchor = Anchor(model, 0.5)
        plain = loss_of(model, model, batch).item()
        assert loss_of(model, model, batch, anchor).item() == pytest.approx(plain, rel=1e-6)
        moved = fresh_model(SHAPE, len(TOKENIZER), PAD, TOKENIZER.eos_token_id, seed=1)
        held = loss_of(moved, moved, batch, anchor).item() - loss_of(moved, moved, batch).item()
        (learned, replay) = (logits_at(m, m, batch)[int(batch["replay"][1]) :].log_softmax(-1) for m in (moved, model))
        assert held == pytest.approx(0.5 * (replay.exp() * (replay - learned)).sum().item(), rel=1e-3)
        assert held > 0


def test_without_replay_in_a_pass_the_base_is_not_asked(rows: list[TrainingRow]) -> None:
    batch = whole(collate(rows, [], PAD))
    assert loss_of(MODEL, MODEL, batch, Anchor(MODEL, 1.0)).item() == summed(batch)
