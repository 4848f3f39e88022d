"""`taxonomy validate` and `convert` say what they read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from taxonomy.commands import convert, validate
from taxonomy.formats.registry import load_taxonomy


def test_what_was_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "t.csv"
    file.write_text("L1;L2;team\nHeating;Noise;repairs\n;Leak;\n")
    assert validate.command(file) == 0
    version = load_taxonomy(file).version
    said = ["divided by a semicolon", "parents carried down in 1 row", "1 of 2 leaves have no team"]
    first = f"{file}: valid, 2 leaves, version {version}"
    assert capsys.readouterr().out.splitlines() == [first, *(f"  {line}" for line in said)]
    assert validate.command(file, json=True) == 0
    assert json.loads(capsys.readouterr().out) == {"valid": True, "version": version, "faults": [], "read": said}


def test_a_conversion_says_what_it_made_of_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source, target = tmp_path / "t.csv", tmp_path / "t.tsv"
    source.write_text("L1;L2\nHeating;Noise\n;Leak\n")
    convert.command(source, target)
    assert capsys.readouterr().out.splitlines()[1:] == ["  divided by a semicolon", "  parents carried down in 1 row"]
    assert load_taxonomy(target) == load_taxonomy(source)
