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
        ["taxonomy.csv", "gold.jsonl", "pred.jsonl", "train.jsonl", "groups.jsonl", "voc.json", "seed.json"],
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


def test_every_figure_of_the_worked_example_is_what_the_command_prints(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [f"--{name}={folder / name}.jsonl" for name in ("gold", "pred", "train", "groups")]
    assert main(["eval", "voc", *files, f"--taxonomy={folder / 'taxonomy.csv'}", "--json"]) == 0
    printed = rounded(json.loads(capsys.readouterr().out))
    assert printed.pop("taxonomy").startswith("tx_")
    assert printed == json.loads(BLOCKS["voc.json"])


def test_the_study_s_scores_of_it_too(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [f"--{name}={folder / name}.jsonl" for name in ("gold", "pred")]
    assert main(["eval", "seed-compat", *files, "--json"]) == 0
    assert rounded(json.loads(capsys.readouterr().out)) == json.loads(BLOCKS["seed.json"])


def test_every_kind_of_fault_stands_in_the_document() -> None:
    from eval.scoring.predictions import FAULTS  # noqa: PLC0415

    assert [kind for kind in FAULTS if f"| `{kind}` |" not in DOCUMENT] == []
