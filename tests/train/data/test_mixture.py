"""Shares of supervised tokens: what is asked for is what a run holds, or the reason is in the manifest."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.errors import DataInvalid
from train.data.encode import TrainingRow
from train.data.mixture import TOLERANCE, Allotment, Mixture, ReplaySource, allotted, mixture
from train.data.store import Rows, stored

shares = st.lists(st.floats(0.01, 0.3), min_size=1, max_size=3)


def made(count: int, longest: int = 30, seed: int = 0) -> Iterator[TrainingRow]:
    rng = np.random.default_rng(seed)
    for length in rng.integers(4, longest, count):
        learned = np.sort(rng.choice(np.arange(1, length), length // 3, replace=False)).astype(np.int32)
        yield TrainingRow(rng.integers(0, 100, length, np.int32), learned)


@pytest.fixture(scope="module")
def comments(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return stored(made(500), tmp_path_factory.mktemp("rows") / "comments")


@pytest.fixture(scope="module")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return stored(made(900, 60, seed=1), tmp_path_factory.mktemp("rows") / "chats")


def mixed(comments: Rows, sources: list[ReplaySource], exposures: int = 1000, seed: int = 0) -> Mixture:
    return mixture(comments, sources, exposures=exposures, per_epoch=len(comments), batch=16, total=None, seed=seed)


def test_rows_are_read_back_as_they_were_stored(tmp_path: Path) -> None:
    rows = list(made(50))
    allowed = tuple(np.arange(n, dtype=np.int32) for n in (3, 1, 2))
    rows.append(TrainingRow(np.arange(9, dtype=np.int32), np.array([2, 4, 8], np.int32), allowed))
    read = stored(iter(rows), tmp_path / "rows")
    assert len(read) == len(rows)
    for at, row in enumerate(rows):
        assert read[at].tokens.tolist() == row.tokens.tolist()
        assert read[at].learned.tolist() == row.learned.tolist()
        assert [told.tolist() for told in read[at].allowed] == [told.tolist() for told in row.allowed]


@given(shares, st.integers(1000, 100_000))
def test_without_caps_each_source_has_exactly_its_share(asked: list[float], fixed: int) -> None:
    given_ = allotted(fixed, [Allotment(share, float("inf")) for share in asked])
    whole = fixed + sum(given_)
    assert [tokens / whole for tokens in given_] == pytest.approx(asked)


@given(shares, st.lists(st.floats(0, 5000), min_size=3, max_size=3), st.integers(1000, 100_000))
def test_a_source_at_its_cap_gives_that_and_the_others_keep_their_shares(
    asked: list[float], limits: list[float], fixed: int
) -> None:
    wanted = [Allotment(share, limit) for share, limit in zip(asked, limits, strict=False)]
    given_ = allotted(fixed, wanted)
    whole = fixed + sum(given_)
    for tokens, want in zip(given_, wanted, strict=True):
        assert tokens <= want.limit + 1e-6
        assert tokens == pytest.approx(min(want.limit, want.share * whole))


@pytest.mark.parametrize("asked", [(0.1,), (0.02, 0.25), (0.3, 0.3, 0.3)])
def test_realised_shares_are_those_asked_for(comments: Rows, chats: Rows, asked: tuple[float, ...]) -> None:
    sources = [ReplaySource(f"s{i}", chats, share, 100, None) for i, share in enumerate(asked)]
    run = mixed(comments, sources)
    counts = Counter[str]()
    for number in range(len(run)):
        step = run.step(number)
        counts["comments"] += sum(len(comments[i].learned) for i in step.comments)
        for drawn, picks in zip(run.replay, step.replay, strict=True):
            counts[drawn.name] += sum(len(drawn.rows[i].learned) for i in picks)
    mix = run.realised()
    assert {name: entry.tokens for name, entry in mix.items()} == counts
    for i, share in enumerate(asked):
        assert counts[f"s{i}"] / counts.total() == pytest.approx(share, rel=TOLERANCE)
        assert mix[f"s{i}"].asked == share


def test_replay_comes_on_top_and_changes_no_step_of_the_comments(comments: Rows, chats: Rows) -> None:
    alone, beside = mixed(comments, []), mixed(comments, [ReplaySource("chats", chats, 0.25, 100, None)])
    assert len(alone) == len(beside)
    for number in range(len(alone)):
        assert alone.step(number).comments.tolist() == beside.step(number).comments.tolist()


def test_replay_is_spread_evenly_over_the_run(comments: Rows, chats: Rows) -> None:
    run = mixed(comments, [ReplaySource("chats", chats, 0.3, 100, None)])
    given_ = [sum(len(chats[i].learned) for i in run.step(number).replay[0]) for number in range(len(run))]
    due = np.arange(1, len(run) + 1) * sum(given_) / len(run)
    assert np.abs(np.cumsum(given_) - due).max() <= 2 * max(chats.learned.lengths)


def test_each_epoch_holds_every_comment_once(comments: Rows) -> None:
    run = mixed(comments, [], exposures=1250)
    seen = np.concatenate([run.step(number).comments for number in range(len(run))])
    for epoch in range(2):
        assert sorted(seen[epoch * 500 : (epoch + 1) * 500]) == list(range(500))
    assert len(set(seen[1000:])) == 250


def test_a_capped_source_says_so_and_one_that_cannot_give_its_share_is_refused(
    comments: Rows, chats: Rows, tmp_path: Path
) -> None:
    capped = mixed(
        comments, [ReplaySource("a", chats, 0.3, 0.1, None), ReplaySource("b", chats, 0.1, 9, 50)]
    ).realised()
    assert capped["a"].capped
    assert capped["a"].tokens == pytest.approx(chats.learned.lengths.sum() * 0.1, abs=2)
    assert capped["b"].tokens == pytest.approx(50, abs=2)
    long = TrainingRow(np.zeros(5001, np.int32), np.arange(1, 5001, dtype=np.int32))
    with pytest.raises(DataInvalid, match=r"replay long: asked for 10\.0%"):
        mixed(comments, [ReplaySource("long", stored([long], tmp_path / "long"), 0.1, 9, None)], exposures=300)
    with pytest.raises(DataInvalid, match="replay none: there are no rows"):
        mixed(comments, [ReplaySource("none", stored([], tmp_path / "none"), 0.1, 9, None)])


def test_without_comments_the_tokens_asked_for_are_shared_out(chats: Rows, tmp_path: Path) -> None:
    sources = [ReplaySource("a", chats, 0.75, 9, None), ReplaySource("b", chats, 0.25, 9, None)]
    none = stored([], tmp_path / "rows")
    run = mixture(none, sources, exposures=0, per_epoch=0, batch=16, total=8000, seed=0)
    mix = run.realised()
    assert sum(entry.tokens for entry in mix.values()) == pytest.approx(8000, rel=0.01)
    assert mix["a"].share == pytest.approx(0.75, abs=TOLERANCE)
    assert sum(len(picks) for n in range(len(run)) for picks in run.step(n).replay) == mix["a"].rows + mix["b"].rows


def test_a_run_depends_on_the_seed_alone_and_any_step_can_be_the_first(comments: Rows, chats: Rows) -> None:
    sources = [ReplaySource("chats", chats, 0.2, 100, None)]
    one, same, other = (mixed(comments, sources, seed=seed) for seed in (3, 3, 4))
    for number in reversed(range(len(one))):
        assert one.step(number).comments.tolist() == same.step(number).comments.tolist()
        assert one.step(number).replay[0].tolist() == same.step(number).replay[0].tolist()
    assert one.step(0).comments.tolist() != other.step(0).comments.tolist()


def test_what_storing_takes_in_memory_does_not_grow_with_the_rows(tmp_path: Path) -> None:
    peaks = []
    for count in (1000, 8000):
        tracemalloc.start()
        stored(made(count), tmp_path / str(count))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 8 * 8000, "eight bytes a row at most (the generator's own draw of the lengths)"
