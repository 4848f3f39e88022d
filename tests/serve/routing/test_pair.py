"""Which models may serve: ours with a manifest, or any chat model with the taxonomy in its prompt."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.routing.loading import pair_of
from serve.routing.pair import Pair
from taxonomy.errors import CheckpointInvalid
from taxonomy.tree import Leaf, taxonomy_of
from tests.support.bases import small_base

SMALL = taxonomy_of([Leaf(("Delivery", "Late"), "after the day", team="logistics")])


def test_the_bundled_pair_is_named_by_its_content(pair: Pair) -> None:
    assert pair.checkpoint.startswith("ck_")
    assert pair.taxonomy.version.startswith("tx_")


def test_a_base_model_reads_the_taxonomy(tmp_path: Path) -> None:
    small_base(tmp_path)
    base = pair_of(str(tmp_path), SMALL, tmp_path / "cache")
    assert base.checkpoint == f"base:{tmp_path}"
    text = base.tokens.tokenizer.backend_tokenizer.decode(base.prompt.of("x"))
    assert "Delivery > Late: after the day" in text


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    small_base(tmp_path)
    (tmp_path / "chat_template.jinja").unlink()
    with pytest.raises(CheckpointInvalid, match="chat template"):
        pair_of(str(tmp_path), SMALL, tmp_path / "cache")


def test_a_folder_that_is_no_model_was_never_published(tmp_path: Path) -> None:
    with pytest.raises(CheckpointInvalid, match="never published"):
        pair_of(str(tmp_path), SMALL, tmp_path / "cache")
