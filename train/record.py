"""What a run is: its recipe, data, base and processes. One that goes on has to be the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from taxonomy.errors import CallWrong
from taxonomy.files import write_text
from train.recipe_parts import Precision

RECORD: Final = "run.json"
_MISSING: Final = "nothing"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """recipe: as JSON. rows: of each source, a hash of its encoded rows. base: a hash of the first step's weights.

    precision: where the recipe leaves it open the machine decides, and on another one the run would be another.
    """

    recipe: dict[str, Any]
    rows: dict[str, str]
    base: str
    precision: Precision | None
    processes: int


def hashes_of_rows(folder: Path) -> dict[str, str]:
    """Of a folder in which each source's encoded rows have a folder."""
    return {source.name: _hash_of(source) for source in sorted(folder.iterdir()) if source.is_dir()}


def hash_of_weights(model: torch.nn.Module) -> str:
    """Of all of them as they are now."""
    hashes = [int(torch.hash_tensor(weights).view(torch.int64)) for weights in model.state_dict().values()]
    return hashlib.sha256(repr(hashes).encode()).hexdigest()[:16]


def keep(folder: Path, record: RunRecord) -> None:
    """Write down what the run in this folder is. Raises OSError."""
    write_text(json.dumps(asdict(record), indent=1) + "\n", folder / RECORD)


def check_same(folder: Path, record: RunRecord) -> None:
    """Raises CallWrong where the run in this folder is another, naming all that differs."""
    before = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    if differing := differences(before, asdict(record)):
        raise CallWrong(
            f"{folder} holds another run: {'; '.join(differing)}. Go on with what it began with, or give another --out"
        )


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """One line for each key that has another value, or is in one of them only."""
    one, other = dict(_flat(before)), dict(_flat(now))
    return [
        f"{key} was {json.dumps(one[key]) if key in one else _MISSING}, "
        f"now it is {json.dumps(other[key]) if key in other else _MISSING}"
        for key in sorted(one.keys() | other.keys())
        if key not in one or key not in other or one[key] != other[key]
    ]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _hash_of(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()[:16]
