"""CLINC150 (Larson et al. 2019) as labelled comments: an utterance is one segment, domain and intent are its path."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from taxonomy.comments import LabelledComment, labelled, write_comments
from taxonomy.errors import DataInvalid
from taxonomy.formats.registry import save_taxonomy
from taxonomy.language.answer import Part
from taxonomy.tree import Leaf, taxonomy_of


def write_clinc(source: Path, taxonomy: Path, train: Path, test: Path) -> None:
    """In-scope utterances of data_full.json and domains.json in `source`. Raises DataInvalid, OSError."""
    domains: dict[str, list[str]] = _read(source / "domains.json")
    of_intent = {intent: domain for domain, intents in domains.items() for intent in intents}
    save_taxonomy(taxonomy_of(Leaf((_label(of_intent[i]), _label(i))) for i in sorted(of_intent)), taxonomy)
    splits: dict[str, list[list[str]]] = _read(source / "data_full.json")
    for split, file in (("train", train), ("test", test)):
        write_comments(_comments(splits[split], split, of_intent), file)


def _comments(rows: Sequence[Sequence[str]], split: str, of_intent: dict[str, str]) -> Iterator[LabelledComment]:
    for number, (utterance, intent) in enumerate(rows):
        path = (_label(of_intent[intent]), _label(intent))
        yield labelled(f"{split}-{number}", [Part(utterance, path)])


def _label(name: str) -> str:
    return name.replace("_", " ")


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        raise DataInvalid(f"{file}: not JSON: {error}") from error
