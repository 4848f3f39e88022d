"""Continued pre-training: plain text, all of it learned, before the comments."""

from __future__ import annotations

import json
import signal
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from taxonomy.bundled import bundled_taxonomy
from taxonomy.checkpoint.manifest import read_manifest, verify
from taxonomy.errors import DataInvalid, RecipeInvalid, TrainingStopped
from taxonomy.language.prompt import PromptStyle
from taxonomy.language.tokens import Tokens
from tests.support.tokenizers import tokenizer_of_kind
from tests.support.training_processes import Signal
from train.data.check import check
from train.data.texts import Text, read_texts, text_rows
from train.plan import plan
from train.recipe import Recipe
from train.run import run

TOKENIZER = tokenizer_of_kind("bundled")
TOKENS = Tokens(TOKENIZER)
SHAPE = {"vocabulary": 600, "hidden": 64, "layers": 1, "intermediate": 64, "context": 2048}
TINY: dict[str, Any] = {"corpus": 40, "exposures": 1.5, "architecture": SHAPE, "optimisation": {"batch": 8}}
MANUAL = "Hold the button for five seconds until the light blinks blue. Then open the app.\n\nThe camera restarts. " * 9


def quiet(_: str) -> None:
    """Nobody reads along."""


@pytest.fixture
def texts(tmp_path: Path) -> list[str]:
    (tmp_path / "manual.txt").write_text(MANUAL, encoding="utf-8")
    rows = [{"text": f"Note {n}: the lens of the camera number {n} is cleaned with a dry cloth."} for n in range(20)]
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return [str(tmp_path / "manual.txt"), str(tmp_path / "notes.jsonl")]


@given(st.text(min_size=1, max_size=300), st.integers(8, 60))
def test_every_token_of_a_text_is_learned_once(text: str, length: int) -> None:
    rows = list(text_rows(Text(text), TOKENS, length))
    assert all(len(row.tokens) <= length for row in rows)
    learned = [int(token) for row in rows for token in row.tokens[row.learned]]
    assert learned == [*TOKENS.text(text), TOKENS.eos]
    for before, after in pairwise(rows):
        assert before.tokens[-1] == after.tokens[0]


def test_a_special_token_written_in_a_text_is_only_text() -> None:
    (row,) = text_rows(Text("a<|im_end|>b"), TOKENS, 60)
    assert np.flatnonzero(row.tokens == TOKENS.eos).tolist() == [0, len(row.tokens) - 1]


@pytest.mark.parametrize("row", ["{", "[]", '{"text": 3}', '{"text": " "}', '{"words": "a"}'])
def test_a_row_in_error_is_named_and_the_others_are_read(tmp_path: Path, row: str) -> None:
    file = tmp_path / "notes.jsonl"
    file.write_text(f'{{"text": "one", "source": "here"}}\n{row}\n{{"text": "two"}}\n')
    one, bad, two = read_texts(file)
    assert (one, two) == (Text("one", f"{file}:1"), Text("two", f"{file}:3"))
    assert isinstance(bad, DataInvalid)
    assert str(bad).startswith(f"{file}:2: ")


def test_texts_are_learned_before_the_comments_with_a_rate_and_length_of_their_own(
    texts: list[str], tmp_path: Path
) -> None:
    cpt = {"texts": texts, "passes": 2, "length": 64, "batch": 4, "learning_rate": 5e-4}
    said: list[str] = []
    asked = Recipe.model_validate(TINY | {"cpt": cpt, "packing": 512})
    manifest = run(asked, tmp_path / "out", said.append)
    verify(tmp_path / "out", read_manifest(tmp_path / "out"))
    stages = [line for line in said if "steps of" in line]
    assert [line.split(", ")[-2] for line in stages] == ["learning rate 0.0005", "learning rate 0.0015"]
    entry = manifest.data["cpt"]
    assert entry["rows"] == 2 * entry["of"]
    assert manifest.training["cpt"]["steps"] == -(-entry["of"] // 4) * 2
    assert manifest.data["checked"]["cpt"]["texts"] == 21
    assert manifest.prompt_style is PromptStyle.LEARNED
    plain = run(Recipe.model_validate(TINY), tmp_path / "plain", quiet)
    assert plain.version != manifest.version
    planned = plan(asked.data, asked.start, asked.training, quiet)
    assert planned.cpt is not None
    assert (planned.cpt.steps, planned.cpt.tokens) == (manifest.training["cpt"]["steps"], entry["tokens"])


@pytest.mark.parametrize("step", [2, 7])
def test_a_run_that_was_stopped_in_either_stage_goes_on_to_the_same_weights(
    texts: list[str], tmp_path: Path, step: int
) -> None:
    """The stage of the texts has fewer than seven steps, that of the comments eight."""
    changes = {"cpt": {"texts": texts[1:], "length": 64, "batch": 4}}
    asked = Recipe.model_validate(TINY | {"optimisation": {"batch": 8, "accumulate": 1}, "exposures": 1.5} | changes)
    with pytest.raises(TrainingStopped, match=f"after step {step} of"):
        run(asked, tmp_path / "out", quiet, callbacks=[Signal(step, signal.SIGTERM)])
    whole = run(asked, tmp_path / "whole", quiet)
    assert whole.training["cpt"]["steps"] < 7 <= whole.training["steps"]
    assert run(asked, tmp_path / "out", quiet, resume=True).version == whole.version


def test_a_run_may_be_of_texts_alone(texts: list[str], tmp_path: Path) -> None:
    changes = {"exposures": 0, "cpt": {"texts": texts, "length": 64}}
    manifest = run(Recipe.model_validate(TINY | changes), tmp_path / "out", quiet)
    assert manifest.prompt_style is PromptStyle.IN_CONTEXT
    assert manifest.data["mix"]["comments"]["tokens"] == 0
    assert manifest.training["cpt"]["loss"] > 0
    assert "steps" not in manifest.training


def test_texts_in_error_stop_a_run_unless_it_is_to_go_on(texts: list[str], tmp_path: Path) -> None:
    with Path(texts[1]).open("a") as file:
        file.write("{\n")
    changes: dict[str, Any] = {"exposures": 0, "cpt": {"texts": texts}}
    with pytest.raises(DataInvalid, match=r"notes.jsonl:21: "):
        run(Recipe.model_validate(TINY | changes), tmp_path / "out", quiet)
    changes["cpt"]["skip_invalid"] = True
    manifest = run(Recipe.model_validate(TINY | changes), tmp_path / "out", quiet)
    assert manifest.data["skipped"]["cpt"] == 1
    changes["cpt"]["length"] = 4096
    with pytest.raises(RecipeInvalid, match=r"cpt\.length: 4096 tokens, the context holds 2048"):
        run(Recipe.model_validate(TINY | changes), tmp_path / "again", quiet)


def test_texts_are_examined_like_all_data(texts: list[str], tmp_path: Path) -> None:
    (tmp_path / "again.txt").write_text(MANUAL.upper(), encoding="utf-8")
    report = check([Path(texts[0]), tmp_path / "again.txt"], bundled_taxonomy())
    assert report.texts == 2
    (duplicate,) = report.duplicates
    assert duplicate.kind == "exact"
