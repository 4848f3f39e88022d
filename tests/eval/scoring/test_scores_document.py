"""`docs/scores.md`, executed: its worked example scores as it says."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from route_feedback import main

DOCUMENT = Path("docs/scores.md").read_text(encoding="utf-8")
BLOCKS = dict(
    zip(
        [
            "taxonomy.csv",
            *("gold.jsonl", "pred.jsonl", "train.jsonl", "groups.jsonl", "voc.json"),
            *("alternatives.jsonl", "alternatives.json", "seed.json"),
        ],
        re.findall(r"```(?:csv|jsonl|json)\n(.*?)```", DOCUMENT, re.DOTALL),
        strict=True,
    )
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in BLOCKS.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def voc(folder: Path, gold: str, capsys: pytest.CaptureFixture[str], *more: str) -> Any:
    files = [f"--{name}={folder / name}.jsonl" for name in ("pred", "train", "groups")]
    given = [f"--gold={folder / gold}", *files, f"--taxonomy={folder / 'taxonomy.csv'}"]
    assert main(["eval", "voc", *given, "--json", *more]) == 0
    printed = rounded(json.loads(capsys.readouterr().out))
    assert printed.pop("taxonomy").startswith("tx_")
    return printed


def test_every_figure_of_the_worked_example_is_what_the_command_prints(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert voc(folder, "gold.jsonl", capsys) == json.loads(BLOCKS["voc.json"])


def test_other_right_paths_change_the_figures_that_the_document_says_and_only_where_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain, changed = json.loads(BLOCKS["voc.json"]), json.loads(BLOCKS["alternatives.json"])
    assert voc(folder, "alternatives.jsonl", capsys) == plain
    assert voc(folder, "alternatives.jsonl", capsys, "--alternatives") == plain | changed
    none = {"alternatives": {"segments": 0, "taken": 0}}
    assert voc(folder, "gold.jsonl", capsys, "--alternatives") == plain | none


def test_the_study_s_scores_of_it_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [f"--{name}={folder / name}.jsonl" for name in ("gold", "pred")]
    assert main(["eval", "seed-compat", *files, "--json"]) == 0
    assert rounded(json.loads(capsys.readouterr().out)) == json.loads(BLOCKS["seed.json"])


def test_every_kind_of_fault_stands_in_the_document() -> None:
    from eval.scoring.predictions import FAULTS  # noqa: PLC0415

    assert [kind for kind in FAULTS if f"| `{kind}` |" not in DOCUMENT] == []
