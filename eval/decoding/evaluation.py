"""The YAML file that says what an evaluation asks of a checkpoint; unknown keys are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from eval.general.benchmarks import BENCHMARKS, NAMES, SUITE
from taxonomy.bundled import BUNDLED_TAXONOMY
from taxonomy.checkpoint.calibration import Probability
from taxonomy.yaml_files import read_model

BUNDLED_GOLD: Final = Path(__file__).parents[1] / "data" / "test.jsonl"
BUNDLED_LANGUAGES: Final = BUNDLED_GOLD.with_name("test_languages.jsonl")
"""The test split of the bundled corpus, and what each of its comments is written in."""
Count = Annotated[int, Field(gt=0)]


def _known(name: str) -> str:
    if name not in NAMES:
        raise ValueError(f"{name!r} is none of {', '.join(NAMES)}")
    return name


Task = Annotated[str, AfterValidator(_known)]


class General(BaseModel):
    """General benchmarks.

    data: a folder with mmlu/, arc/ and so on; without one, the hub. questions: a file of the general suite. tasks: by
    default those of the harness's that `data` has a folder for (all of them from the hub), and the suite where there
    are questions; where there is no more than questions, the suite alone. limit: the first so many questions of each
    of the harness's tasks (of MMLU: each subject). batch: at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path | None = None
    questions: Path | None = None
    tasks: tuple[Task, ...] = ()
    limit: Count | None = None
    batch: Count = 8

    @model_validator(mode="after")
    def _has_questions(self) -> Self:
        if SUITE in self.tasks and self.questions is None:
            raise ValueError("the task `suite` needs `questions`, a file of them")
        return self

    @property
    def chosen(self) -> tuple[str, ...]:
        """The tasks to be asked, each once, in our order."""
        usual = {*self._of_harness(), *([SUITE] if self.questions else ())}
        return tuple(name for name in NAMES if name in (self.tasks or usual))

    def _of_harness(self) -> list[str]:
        if self.data is None:
            return [] if self.questions else list(BENCHMARKS)
        return [name for name, benchmark in BENCHMARKS.items() if benchmark.has_data(self.data)]


class Evaluation(BaseModel):
    """What to decode and to score. Paths are relative to where the command runs.

    gold: labelled comments; the scores are named like the file. train: the training comments, for scores by a leaf's
    frequency. groups: a group of each comment, such as its language. calibration: other labelled comments, to calibrate
    on for the `wanted_error`; without them the checkpoint keeps the calibration that it has. general: without it no
    general benchmark is asked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    gold: Path = BUNDLED_GOLD
    taxonomy: Path = BUNDLED_TAXONOMY
    train: Path | None = None
    groups: Path | None = None
    calibration: Path | None = None
    wanted_error: Probability = 0.05
    general: General | None = None

    @property
    def chosen_groups(self) -> Path | None:
        """Of the bundled gold the languages, where nothing else is said."""
        return self.groups or (BUNDLED_LANGUAGES if self.gold == BUNDLED_GOLD else None)


def read_evaluation(file: Path) -> Evaluation:
    """Raises CallWrong naming file, line and key."""
    return read_model(file, Evaluation)
