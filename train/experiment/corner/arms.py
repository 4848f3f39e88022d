"""What `train corner` compares: its arms, what all of a folder's results share, and the recipe of each training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from train.corpus.generator import DATA
from train.experiment.arms import MORE_REPLAY, ROWS_REPLAY
from train.recipe import Recipe, load_recipe
from train.recipe_parts import Precision

ARM_RECIPE: Final = Path(__file__).parents[2] / "recipes" / "corner-arm.yaml"
REVIEWS: Final = DATA / "reviews"
TAXONOMY: Final = REVIEWS / "taxonomy.yaml"
OWN_CHATS: Final = 1_000
"""That the base makes of itself: more than an arm of 4,000 comments takes."""
ALPHAS: Final = (0.5, 0.7)


class TrainedArm(NamedTuple):
    """A training. changes: what its recipe says otherwise than all arms'.

    chats: public ones, or the base's own, beside the comments. in_rows: a quarter of the rows, in the place of
    comments; else a share of the supervised tokens, on top.
    """

    changes: Mapping[str, Any] = {}
    chats: Literal["public", "own"] | None = None
    in_rows: bool = False


class MixedArm(NamedTuple):
    """Nothing is trained: base + alpha * (arm - base)."""

    of: str
    alpha: float


_STUDY: Final = {"loss": "completion", "form": "verbatim"}
_KL: Final = {"replay_kl": 1.0}
_LORA: Final = {"adapter": {"rank": 32}, "optimisation": {"learning_rate": 5e-4}}
TRAINED: Final[dict[str, TrainedArm]] = {
    "completion": TrainedArm(_STUDY),
    "completion, rows 75/25": TrainedArm(_STUDY, "public", in_rows=True),
    "constrained": TrainedArm(),
    "constrained, self-replay": TrainedArm({}, "own"),
    "constrained, public chats": TrainedArm({}, "public"),
    "constrained, public chats, KL": TrainedArm(_KL, "public"),
    "constrained, LoRA": TrainedArm(_LORA),
    "constrained, LoRA, public chats, KL": TrainedArm({**_LORA, **_KL}, "public"),
}
MIXED: Final = {
    f"{name}, alpha {alpha:g}": MixedArm(name, alpha)
    for name in TRAINED
    if name.startswith("constrained")
    for alpha in ALPHAS
}
ARMS: Final[dict[str, TrainedArm | MixedArm]] = {**TRAINED, **MIXED}


class Setting(BaseModel):
    """What all results of a folder share. comments: an arm's. limit: questions of each task, none: all of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    base: str
    comments: int
    test_comments: int
    tasks: tuple[str, ...]
    limit: int | None
    precision: Precision


@dataclass(frozen=True)
class Corner:
    """An experiment. data: the folder of the general tasks. chats: files of public ones. batch: questions at once."""

    folder: Path
    setting: Setting
    data: Path
    chats: tuple[Path, ...] = ()
    batch: int = 8

    @property
    def train(self) -> Path:
        return self.folder / "train.jsonl"

    @property
    def test(self) -> Path:
        return self.folder / "test.jsonl"


class Run(NamedTuple):
    """An arm with a seed."""

    arm: str
    seed: int

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{re.sub(r'[^A-Za-z0-9.]+', '-', self.arm)}-{self.seed}"

    def __str__(self) -> str:
        return f"{self.arm}, seed {self.seed}"


def recipe_of(corner: Corner, run: Run, rows_share: float = 0.0) -> Recipe:
    """A trained arm's. rows_share: the share of supervised tokens at which a quarter of the rows are chats."""
    arm, setting = TRAINED[run.arm], corner.setting
    changes = dict(arm.changes)
    common = load_recipe(ARM_RECIPE).model_dump(exclude_unset=True)
    # As in the study, chats by rows take the place of comments; chats by share come on top of all of them.
    seen = round(setting.comments * (1 - ROWS_REPLAY)) if arm.in_rows else setting.comments
    own = {"comments": seen, "precision": setting.precision}
    optimisation = common.pop("optimisation") | changes.pop("optimisation", {}) | own
    given = {
        "seed": run.seed,
        "base": setting.base,
        "corpus": {"comments": [str(corner.train)], "taxonomy": str(TAXONOMY), "test": [str(corner.test)]},
        "replay": _replay(arm, corner, rows_share if arm.in_rows else MORE_REPLAY),
        "benchmarks": str(corner.data) if _has_questions(corner.data) else None,
        "dtype": setting.precision,
        "optimisation": optimisation,
    }
    return Recipe.model_validate(common | given | changes)


def _replay(arm: TrainedArm, corner: Corner, share: float) -> list[dict[str, Any]]:
    if arm.chats is None:
        return []
    origin = {"self": OWN_CHATS} if arm.chats == "own" else {"chats": [str(file) for file in corner.chats]}
    return [{"name": arm.chats, **origin, "share": share, "skip_invalid": True}]


def _has_questions(data: Path) -> bool:
    """Whether the recipe can look for them in what is learned."""
    return any(data.glob("mmlu/test/*.csv")) or any(data.glob("ifeval/*.jsonl"))
