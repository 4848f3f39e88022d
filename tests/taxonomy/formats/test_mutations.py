"""A share of the study of mutated files; all of it: `python -m tests.taxonomy.formats.mutations`."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from taxonomy.tree import taxonomy_of
from tests.taxonomy.formats import mutations
from tests.taxonomy.formats.mutations import FORMATS, good, outcome, study, written

COUNT = int(os.environ.get("MUTATED_FILES", "100"))


@pytest.mark.parametrize("ending", FORMATS)
def test_a_mutated_file_is_read_whole_or_has_a_fault(tmp_path: Path, ending: str) -> None:
    outcomes = study(ending, COUNT, seed=0, folder=tmp_path)
    assert set(outcomes) == {"read", "fault"}, outcomes


@pytest.mark.parametrize("ending", FORMATS)
def test_the_study_sees_a_leaf_that_is_lost(tmp_path: Path, ending: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taxonomy, rng = good(random.Random(3)), random.Random(0)
    file = tmp_path / f"t{ending}"
    file.write_bytes(written(taxonomy, ending, rng, tmp_path))
    assert outcome(file, ending).kind == "read"
    without_one = taxonomy_of(taxonomy.leaves[1:])
    monkeypatch.setattr(mutations, "load_taxonomy", lambda _: without_one)
    assert outcome(file, ending).kind == "lost"
