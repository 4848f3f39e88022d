"""What every arm begins from: a base made from scratch on general questions, or one that was made before."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from taxonomy.checkpoint.manifest import MANIFEST, read_manifest, verify
from taxonomy.errors import CallWrong
from train.experiment.arms import BASE
from train.recipe import Recipe, load_recipe
from train.run import run

BASE_RECIPE: Final = Path(__file__).parents[1] / "recipes" / "experiment-base.yaml"
BASES: Final = {name: Path(__file__).parent / "bases" / name for name in ("clinc", "voc")}
"""Those of the published results, by the part that they were made for. They lie in the repository, not in its wheel."""
BASE_SHARES: Final = {"suite": 0.31, "hard": 0.53, "gsm8k": 0.16}
"""Of the base's supervised tokens."""


def base_at(name: str) -> Path:
    """The folder of a base: a name in BASES, or a path."""
    return BASES.get(name, Path(name))


def begin_from(base: Path, folder: Path) -> None:
    """Have an experiment's folder begin from this base.

    Raises CheckpointInvalid where it is none, CallWrong where the folder has another.
    """
    manifest, own = read_manifest(base), folder / BASE
    verify(base, manifest)
    if not (own / MANIFEST).is_file():
        shutil.copytree(base, own, dirs_exist_ok=True)
    elif read_manifest(own).version != manifest.version:
        raise CallWrong(f"{own} is another base than {base}; give another folder")


def make_base(folder: Path, say: Callable[[str], None], *, with_gsm8k: bool) -> None:
    """Train it where an experiment's folder has none. Raises what training raises."""
    if (folder / BASE / MANIFEST).is_file():
        return
    say("the base")
    for left in (BASE, f"{BASE}.run"):
        shutil.rmtree(folder / left, ignore_errors=True)
    run(_recipe(folder, with_gsm8k=with_gsm8k), folder / BASE, say, resume=True)


def _recipe(folder: Path, *, with_gsm8k: bool) -> Recipe:
    stated = load_recipe(BASE_RECIPE).model_dump(exclude_unset=True)
    shares = {name: share for name, share in BASE_SHARES.items() if with_gsm8k or name != "gsm8k"}
    stated["replay"] = [
        {"name": name, "chats": [str(folder / f"{name}-train.jsonl")], "share": share / sum(shares.values())}
        for name, share in shares.items()
    ]
    return Recipe.model_validate(stated)
