"""What the experiment compares: arms, the domains that they learn, and the recipe of each run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from taxonomy.language.forms import Form
from train.recipe import Recipe, load_recipe
from train.recipe_parts import Loss

ARM_RECIPE: Final = Path(__file__).parents[1] / "recipes" / "experiment-arm.yaml"
BASE: Final = "base"
"""The folder of what every arm begins from, and the arm under whose name it is measured."""
GENERAL: Final = "general.jsonl"
"""The questions that replay is drawn from."""
ROWS_REPLAY: Final = 0.25
"""The study's mix: three quarters of the rows are comments, one quarter is general."""
SHARE_REPLAY: Final = 0.1
MORE_REPLAY: Final = 0.4
"""Of a loss at decisions only: about as many tokens of replay as SHARE_REPLAY is where every token is learned."""


class Arm(NamedTuple):
    """One way to fine-tune. share: of supervised tokens that is replay; in_rows: a quarter of the rows instead.

    form: of the answers.
    """

    loss: Loss
    share: float = 0.0
    in_rows: bool = False
    kl: float = 0.0
    form: Form = Form.VERBATIM


ARMS: Final[dict[str, Arm]] = {
    "completion": Arm("completion"),
    "completion, rows 75/25": Arm("completion", in_rows=True),
    "completion, replay": Arm("completion", SHARE_REPLAY),
    "decisions": Arm("decisions"),
    "decisions, replay": Arm("decisions", SHARE_REPLAY),
    "constrained": Arm("constrained"),
    "constrained, replay": Arm("constrained", SHARE_REPLAY),
    "constrained, more replay": Arm("constrained", MORE_REPLAY),
    "constrained, more replay, KL": Arm("constrained", MORE_REPLAY, kl=1.0),
    "marked": Arm("constrained", form=Form.MARKED),
}


@dataclass(frozen=True)
class Domain:
    """A task of customers: labelled comments to learn, others to be asked, how many are seen, and how many a step."""

    name: str
    taxonomy: Path
    train: Path
    test: Path
    exposures: int
    batch: int


@dataclass(frozen=True)
class ArmRun:
    """One training to be done: an arm, on a domain, with a seed. `folder` is the experiment's."""

    folder: Path
    domain: Domain
    arm: str
    seed: int

    @property
    def name(self) -> str:
        return f"{self.domain.name}-{list(ARMS).index(self.arm)}-{self.seed}"

    @property
    def key(self) -> tuple[str, str, int]:
        """As its result has it."""
        return self.domain.name, self.arm, self.seed


def recipe_of(run: ArmRun, rows_share: float) -> Recipe:
    """The arm's recipe. rows_share: the share of supervised tokens at which a quarter of the rows are replay."""
    arm = ARMS[run.arm]
    share = rows_share if arm.in_rows else arm.share
    # As in the study, replay by rows takes the place of comments; replay by share comes on top of all of them.
    seen = round(run.domain.exposures * (1 - ROWS_REPLAY)) if arm.in_rows else run.domain.exposures
    general = {"name": "general", "chats": [str(run.folder / GENERAL)], "share": share}
    changes = {
        "seed": run.seed,
        "base": str(run.folder / BASE),
        "corpus": {"comments": [str(run.domain.train)], "taxonomy": str(run.domain.taxonomy)},
        "loss": arm.loss,
        "form": arm.form,
        "replay": [general] if share else [],
        "replay_kl": arm.kl,
    }
    common = load_recipe(ARM_RECIPE).model_dump(exclude_unset=True)
    common["optimisation"] |= {"comments": seen, "batch": run.domain.batch}
    return Recipe.model_validate(common | changes)
