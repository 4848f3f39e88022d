"""Rows -> the tensors of a forward pass; item i of the data is one pass of one process.

A step of the mixture is dealt out to `world` processes and `accumulate` passes of each: item i is part i modulo their
product of step i divided by it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.utils.data import Dataset

from train.data.encode import TrainingRow
from train.data.mixture import Mixture

Batch = dict[str, torch.Tensor]
Bin = list[TrainingRow]


class Batches(Dataset[Batch]):
    """The passes of a run in their final order."""

    def __init__(
        self, mixture: Mixture, pad: int, *, world: int = 1, accumulate: int = 1, packing: int | None = None
    ) -> None:
        self.mixture, self.pad, self.packing = mixture, pad, packing
        self.parts = world * accumulate

    def __len__(self) -> int:
        return len(self.mixture) * self.parts

    def __getitem__(self, item: int) -> Batch:
        number, part = divmod(item, self.parts)
        step = self.mixture.step(number)
        comments = [self.mixture.comments[i] for i in step.comments]
        replay = [drawn.rows[i] for drawn, picks in zip(self.mixture.replay, step.replay, strict=True) for i in picks]
        # Dealt in turn by length, so that the parts are of like size.
        mine, others = (sorted(rows, key=_length)[part :: self.parts] for rows in (comments, replay))
        batch = collate(mine, others, self.pad, self.packing) if mine or others else _nothing((comments or replay)[0])
        learned = sum(len(row.learned) for row in (*comments, *replay))
        return batch | {"total": torch.tensor(learned / self.parts)}

    def named(self, number: int) -> str:
        """The rows of a step, counted from 1 in their sources."""
        step = self.mixture.step(number)
        names = ("comments", *(drawn.name for drawn in self.mixture.replay))
        rows = zip(names, (step.comments, *step.replay), strict=True)
        return "; ".join(
            f"{name} {', '.join(str(i + 1) for i in sorted(chosen))}" for name, chosen in rows if len(chosen)
        )


def collate(
    comments: Sequence[TrainingRow], replay: Sequence[TrainingRow], pad: int, packing: int | None = None
) -> Batch:
    """One sequence a row, or, packed, a few rows end to end; the comments' sequences first, then replay's.

    tokens (sequences, width), `read` of them no padding; at: the flat positions before the learned tokens; targets:
    those tokens. positions: of each token in its own row, where rows are packed. allowed, allowed_of: tokens that may
    stand, and the learned token they belong to. replay: its first sequence, and the first learned token of it.
    """
    # All sequences are as wide as the widest: comments fill up what the longest row asks for, then replay what they do.
    longest = packing and max(packing, *map(_length, (*comments, *replay)))
    ours = _bins(comments, longest)
    bins = [*ours, *_bins(replay, longest and max(map(_width, ours), default=longest))]
    first = len(ours)
    width = max(map(_width, bins))
    # Padding stands on the right: under causal attention no token sees it, so no mask is needed.
    tokens = torch.full((len(bins), width), pad, dtype=torch.long)
    positions = torch.zeros_like(tokens)
    at, targets = [], []
    for i, rows in enumerate(bins):
        start = 0
        for row in rows:
            end = start + len(row.tokens)
            tokens[i, start:end] = torch.from_numpy(row.tokens.astype(np.int64))
            positions[i, start:end] = torch.arange(end - start)
            at.append(torch.from_numpy(row.learned.astype(np.int64)) - 1 + start + i * width)
            targets.append(torch.from_numpy(row.tokens[row.learned].astype(np.int64)))
            start = end
    batch = {"tokens": tokens, "at": torch.cat(at), "targets": torch.cat(targets)}
    batch["read"] = torch.tensor(sum(_length(row) for rows in bins for row in rows))
    batch["replay"] = torch.tensor([first, sum(len(row.learned) for rows in bins[:first] for row in rows)])
    if packing:
        # Where a row begins the positions begin anew: that is how every attention backend finds the boundaries.
        batch["positions"] = positions
    return batch | _allowed([row for rows in bins[:first] for row in rows])


def _allowed(comments: Sequence[TrainingRow]) -> Batch:
    allowed = [own for row in comments for own in row.allowed]
    if not allowed:
        return {}
    counts = torch.tensor([len(own) for own in allowed])
    return {
        "allowed": torch.from_numpy(np.concatenate(allowed).astype(np.int64)),
        "allowed_of": torch.arange(len(allowed)).repeat_interleave(counts),
    }


def _bins(rows: Sequence[TrainingRow], packing: int | None) -> list[Bin]:
    """As few sequences as first fit makes, the longest first, and of like width, as the widest decides what is padded.

    Where a row is longer than `packing` the others have as much room.
    """
    if not packing:
        return [[row] for row in rows]
    longest_first = sorted(rows, key=_length, reverse=True)
    room = max([packing, *map(_length, longest_first[:1])])
    fitted: list[Bin] = []
    for row in longest_first:
        _add(row, next((b for b in fitted if _width(b) + _length(row) <= room), None), fitted)
    level: list[Bin] = [[] for _ in fitted]
    for row in longest_first:
        _add(row, min(level, key=_width), level)
    return min(fitted, level, key=lambda bins: max(map(_width, bins), default=0))


def _add(row: TrainingRow, chosen: Bin | None, bins: list[Bin]) -> None:
    if chosen is None:
        bins.append([row])
    else:
        chosen.append(row)


def _nothing(row: TrainingRow) -> Batch:
    """A pass for a process that has no row in a step smaller than the world: it learns nothing, and keeps in step."""
    return collate([TrainingRow(row.tokens, row.learned[:0])], [], pad=0)


def _length(row: TrainingRow) -> int:
    return len(row.tokens)


def _width(rows: Bin) -> int:
    return sum(map(_length, rows))
