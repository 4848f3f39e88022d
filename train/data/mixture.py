"""What a run is made of: customer comments as often as the recipe says, and replay on top, by supervised tokens.

A supervised token is one that the loss is taken at. Shares are of all supervised tokens of the run. Everything here
depends on the seed alone; a step is found by its number, so a run can begin at any.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer

from taxonomy.errors import DataInvalid
from train.data.store import Index, Rows

TOLERANCE: Final = 0.005
"""How far the realised share of a source may be from the one asked for, where no cap holds it down."""


class Allotment(NamedTuple):
    """A source's share of all supervised tokens, and the most that it may give."""

    share: float
    limit: float


def allotted(fixed: float, sources: Sequence[Allotment], total: float | None = None) -> list[float]:
    """Supervised tokens of each source beside `fixed` ones of the customers'; `total`: of the run, where those are 0.

    A source over its limit gives its limit; the others keep their shares of what the run then holds.
    """
    # The first to meet its limit as the run grows is the one with the smallest limit for its share.
    free = sorted(range(len(sources)), key=lambda i: sources[i].limit / sources[i].share, reverse=True)
    capped: set[int] = set()
    while True:
        held = fixed + sum(sources[i].limit for i in capped)
        whole = total if total and not capped else held / (1 - sum(sources[i].share for i in free))
        if not free or sources[free[-1]].share * whole <= sources[free[-1]].limit:
            return [s.limit if i in capped else s.share * whole for i, s in enumerate(sources)]
        capped.add(free.pop())


@dataclass(frozen=True, slots=True)
class Drawn:
    """A source of replay: its rows, those drawn in the order of their use, and how it came to them."""

    name: str
    rows: Rows
    picks: Index
    asked: float
    is_capped: bool

    @property
    def tokens(self) -> int:
        """Supervised tokens, in all passes."""
        return int(self.rows.learned.lengths_of(self.picks).sum())


class MixedSource(BaseModel):
    """What a source gives to a training. share: of its supervised tokens. rows: seen. of: as many as it has.

    asked, capped: of replay alone (else left out), the share that the recipe asks for and whether a cap was met.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens: int
    share: float
    rows: int
    of: int
    asked: float | None = None
    capped: bool | None = None

    @model_serializer(mode="wrap")
    def _stated(self, fields: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {name: value for name, value in fields(self).items() if value is not None}


class StepRows(NamedTuple):
    """The rows of one step: the comments', and each source's."""

    comments: Index
    replay: tuple[Index, ...]


@dataclass(frozen=True, slots=True)
class Mixture:
    """comments: their rows, which exposure `i` takes modulo their number. order: each step's exposures.

    bounds: of each source, where in its picks each step begins (one more than there are steps).
    """

    comments: Rows
    order: Sequence[Index]
    replay: tuple[Drawn, ...]
    bounds: tuple[Index, ...]

    def __len__(self) -> int:
        return len(self.order)

    def step(self, number: int) -> StepRows:
        """One step's rows."""
        replay = (
            drawn.picks[bound[number] : bound[number + 1]]
            for drawn, bound in zip(self.replay, self.bounds, strict=True)
        )
        return StepRows(self.order[number] % max(1, len(self.comments)), tuple(replay))

    def realised(self) -> dict[str, MixedSource]:
        """What each source gives to the run, by its name."""
        seen = np.concatenate(self.order) % max(1, len(self.comments)) if len(self.comments) else np.empty(0, np.int64)
        counts = {"comments": (int(self.comments.learned.lengths_of(seen).sum()), len(seen), len(self.comments))}
        counts |= {drawn.name: (drawn.tokens, len(drawn.picks), len(drawn.rows)) for drawn in self.replay}
        whole = max(1, sum(tokens for tokens, _, _ in counts.values()))
        drawn = {each.name: each for each in self.replay}
        return {
            name: MixedSource(
                tokens=tokens,
                share=tokens / whole,
                rows=used,
                of=there,
                asked=drawn[name].asked if name in drawn else None,
                capped=drawn[name].is_capped if name in drawn else None,
            )
            for name, (tokens, used, there) in counts.items()
        }


class ReplaySource(NamedTuple):
    """A source of replay before anything is drawn from it. passes, tokens: its caps."""

    name: str
    rows: Rows
    share: float
    passes: float
    tokens: int | None


def mixture(
    comments: Rows,
    sources: Sequence[ReplaySource],
    *,
    exposures: int,
    per_epoch: int,
    batch: int,
    total: int | None,
    seed: int,
) -> Mixture:
    """`exposures` comments seen, `per_epoch` of them before the first comes again, and the sources on top.

    total: supervised tokens of the run, where there are no exposures. Raises DataInvalid where a source has no rows,
    or cannot give its share within TOLERANCE.
    """
    order = ordered(comments, exposures, per_epoch, batch, seed)
    fixed = int(sum(comments.learned.lengths_of(step % len(comments)).sum() for step in order))
    allotments = [Allotment(source.share, _limit(source)) for source in sources]
    targets = allotted(fixed, allotments, total)
    replay = tuple(
        Drawn(source.name, source.rows, _picks(source, target, seed), source.share, is_capped=target >= allotment.limit)
        for source, target, allotment in zip(sources, targets, allotments, strict=True)
    )
    if not order:
        used = sum(len(drawn.picks) for drawn in replay)
        order = [np.empty(0, np.int64)] * -(-used // batch)
    mixed = Mixture(comments, order, replay, tuple(_bounds(drawn, len(order)) for drawn in replay))
    _check(mixed)
    return mixed


def ordered(comments: Rows, exposures: int, per_epoch: int, batch: int, seed: int) -> list[Index]:
    """The exposures of each step. Each epoch is in an order of its own, so none sees a comment twice."""
    order: list[Index] = []
    for epoch, start in enumerate(range(0, exposures, per_epoch or 1)):
        numbers = np.arange(start, min(start + per_epoch, exposures))
        lengths = comments.tokens.lengths_of(numbers % len(comments))
        order += [start + step for step in batches(lengths, batch, seed + epoch)]
    return order


def batches(lengths: Index, size: int, seed: int) -> list[Index]:
    """Indices of rows in batches of like length (little padding), in an order that depends on the seed alone."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    pool = size * 64
    made: list[Index] = []
    for start in range(0, len(order), pool):
        near = order[start : start + pool]
        near = near[np.argsort(lengths[near], kind="stable")]
        made += [near[at : at + size] for at in range(0, len(near), size)]
    return [made[i] for i in rng.permutation(len(made))]


def _limit(source: ReplaySource) -> float:
    if not len(source.rows):
        raise DataInvalid(f"replay {source.name}: there are no rows in it")
    by_passes = source.passes * float(source.rows.learned.lengths.sum())
    return by_passes if source.tokens is None else min(by_passes, source.tokens)


def _picks(source: ReplaySource, target: float, seed: int) -> Index:
    """Rows, pass by pass, each pass in an order of its own, whose supervised tokens come nearest to the target."""
    lengths = source.rows.learned.lengths
    passes = int(target // lengths.sum()) + 1
    name = zlib.crc32(source.name.encode())
    order = np.concatenate(
        [np.random.default_rng([seed, name, number]).permutation(len(lengths)) for number in range(passes)]
    )
    sums = lengths[order].cumsum()
    used = int(np.searchsorted(sums, target, side="right"))
    missing = target - (sums[used - 1] if used else 0)
    # The last row is the one of the pass's rest that fits best.
    rest = order[used:]
    best = int(np.abs(lengths[rest] - missing).argmin())
    last = rest[best : best + 1] if lengths[rest[best]] < 2 * missing else rest[:0]
    return np.concatenate([order[:used], last])


def _bounds(drawn: Drawn, steps: int) -> Index:
    """Where in the picks each step begins, so that at any step the source has given its due in tokens."""
    lengths = drawn.rows.learned.lengths_of(drawn.picks)
    step_of = (lengths.cumsum() - lengths) * steps // max(1, lengths.sum())
    return np.searchsorted(step_of, np.arange(steps + 1)).astype(np.int64)


def _check(mixed: Mixture) -> None:
    mix = mixed.realised()
    for drawn in mixed.replay:
        share = mix[drawn.name].share
        if not drawn.is_capped and abs(share - drawn.asked) > TOLERANCE:
            raise DataInvalid(
                f"replay {drawn.name}: asked for {drawn.asked:.1%} of the supervised tokens, its rows give {share:.1%};"
                " they are too long for so little data"
            )
