"""The weights of each arm: the base's, trained ones, and points between the two."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerFast

from eval.scoring.predictions import read_gold
from taxonomy.checkpoint.manifest import MANIFEST, Manifest
from taxonomy.errors import DataInvalid
from taxonomy.files import appeared
from taxonomy.formats.registry import load_taxonomy
from train.base import base_model, base_tokenizer
from train.choosing.average import WeightedTensors, combined
from train.data.chats import read_chats
from train.data.customers import FromFiles
from train.experiment.arms import BASE
from train.experiment.corner.arms import MIXED, TAXONOMY, TRAINED, Corner, Run, recipe_of
from train.experiment.run import rows_share
from train.loop.saved import put, weights_of
from train.loop.session import Say
from train.models import starting_model
from train.recipe import Recipe
from train.replay.recipes import OWN
from train.run import run as train


def lacks(corner: Corner, run: Run) -> str | None:
    """Why an arm cannot be run here; None where it can."""
    if mixed := MIXED.get(run.arm):
        of = Run(mixed.of, run.seed)
        return None if (corner.folder / of.name / MANIFEST).is_file() else f"made of {of}, which is not trained here"
    needs_chats = TRAINED[run.arm].chats == "public" and not corner.chats
    return "learns public chats beside the comments: give --chats" if needs_chats else None


def base_weights(corner: Corner) -> Path:
    """The base in the precision of all arms, written once. Raises CheckpointInvalid."""
    folder = corner.folder / BASE
    if not folder.is_dir():
        base = corner.setting.base
        appeared(folder, lambda out: _save(base_model(base), base_tokenizer(base), corner, out))
    return folder


def recipe_for(corner: Corner, run: Run) -> Recipe:
    """With the share of chats that makes them a quarter of the rows, where the arm has them so."""
    return recipe_of(corner, run, _rows_share(corner) if TRAINED[run.arm].in_rows else 0.0)


def trained(corner: Corner, run: Run, say: Say) -> Manifest:
    """Published in the folder of its name; an unfinished training goes on. Raises what training raises."""
    out = corner.folder / run.name
    return train(recipe_for(corner, run), out, say, resume=True, cache=corner.folder / OWN)


@contextmanager
def mixed_weights(corner: Corner, run: Run, say: Say) -> Iterator[Path]:
    """In a folder that is gone afterwards: base + alpha * (arm - base).

    To the base belong the tokens of the answers' form, as training began with them.
    """
    arm = MIXED[run.arm]
    of = Run(arm.of, run.seed)
    folder = corner.folder / of.name
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = starting_model(recipe_of(corner, of).start, tokenizer, FromFiles((), 0, load_taxonomy(TAXONOMY)), say)
    tuned = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    parts = [
        WeightedTensors(BASE, weights_of(model), 1 - arm.alpha),
        WeightedTensors(str(of), weights_of(tuned), arm.alpha),
    ]
    put(combined(parts), model, torch.float32)
    with TemporaryDirectory(dir=corner.folder) as out:
        _save(model, tokenizer, corner, Path(out))
        yield Path(out)


def _save(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast, corner: Corner, out: Path) -> None:
    model.to(getattr(torch, corner.setting.precision)).save_pretrained(out)
    tokenizer.save_pretrained(out)


def _rows_share(corner: Corner) -> float:
    chats = [chat for file in corner.chats for chat in read_chats(file) if not isinstance(chat, DataInvalid)]
    return rows_share(base_tokenizer(corner.setting.base), load_taxonomy(TAXONOMY), read_gold(corner.train), chats)
