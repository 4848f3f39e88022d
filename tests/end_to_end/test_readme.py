"""The README, executed: its curl lines answer as it shows, its commands run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Live

README = Path("README.md").read_text(encoding="utf-8")
SHELL = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
CURLS = [block for block in SHELL if block.startswith("curl")]
SHOWN = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", README, re.DOTALL)]
COMMANDS = [line for block in SHELL for line in block.splitlines() if line.startswith(".venv/bin/route-feedback")]


def shell(line: str, folder: Path | None = None) -> str:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", line], capture_output=True, text=True, timeout=300, check=False, env=environment, cwd=folder
    )
    assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def without_figures(answer: dict[str, Any]) -> dict[str, Any]:
    """The answer but for what differs from machine to machine: its id, and the last digits of probabilities."""
    segments = [
        {name: value for name, value in segment.items() if name != "confidence"}
        | {"sure of": sorted(segment["confidence"])}
        for segment in answer["segments"]
    ]
    residue = [{name: value for name, value in part.items() if name != "confidence"} for part in answer["residue"]]
    return answer | {"id": "", "segments": segments, "residue": residue}


@pytest.mark.parametrize(("line", "shown"), list(zip(CURLS, SHOWN, strict=True)))
def test_each_curl_line_answers_as_shown(live: Live, line: str, shown: dict[str, Any]) -> None:
    answer = json.loads(shell(line.replace("http://127.0.0.1:8000", live.url)))
    assert without_figures(answer) == without_figures(shown)


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_runs(live: Live, line: str, tmp_path: Path) -> None:
    (tmp_path / "comments.jsonl").write_text('{"id": "1", "comment": "It came late."}\n')
    line = line.replace(".venv/bin/", "").replace("http://127.0.0.1:8000", live.url)
    shell(line, tmp_path)


def test_the_readme_shows_an_english_and_a_german_comment() -> None:
    assert len(CURLS) == len(SHOWN) == 2
    assert len(COMMANDS) >= 4
