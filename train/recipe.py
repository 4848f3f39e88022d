"""A recipe: everything that decides a training run, in one YAML file. Unknown keys are refused."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taxonomy.errors import CallWrong, RecipeInvalid

Count = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Architecture(_Strict):
    """A Qwen3 decoder made from scratch. `hidden` is a multiple of `head`."""

    vocabulary: Count = 8192
    hidden: Count = 320
    layers: Count = 4
    intermediate: Count = 960
    head: Count = 64
    context: Count = 32_768


class Optimisation(_Strict):
    """Learning rate (peak), its warm-up share, and the batch; `comments` is how many comments are seen in all."""

    comments: Count
    batch: Count = 32
    learning_rate: Annotated[float, Field(gt=0)] = 1.5e-3
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    word_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of words left out of every second comment, anew each time it is seen: against learning by heart."""


class Recipe(_Strict):
    """One run on the bundled corpus's generator.

    corpus: how many training comments exist; where `optimisation.comments` is larger, they are seen several times.
    even: the share of leaves that are drawn evenly, so that rare ones are learned too (0: as often as in the corpus).
    word_vectors: begin with embeddings in which words and labels that go together lie together.
    loss: `constrained` (softmax over the tokens that the serving grammar allows, at decisions), `decisions`
    (cross-entropy over the whole vocabulary, at decisions) or `completion` (on every token of the answer).
    continue_from: a checkpoint's directory to go on from; its architecture and tokenizer stay.
    """

    seed: int = 0
    corpus: Count = 14_511
    even: Annotated[float, Field(ge=0, le=1)] = 0.0
    architecture: Architecture = Architecture()
    optimisation: Optimisation
    word_vectors: bool = False
    loss: Literal["constrained", "decisions", "completion"] = "decisions"
    continue_from: str | None = None
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """What the weights are saved in; the training itself is float32."""


class Share(_Strict):
    """One checkpoint's part in an average; the weights need not add up to one."""

    checkpoint: str
    weight: Annotated[float, Field(gt=0)]


class Average(_Strict):
    """No training: the mean of checkpoints that began as one."""

    average: Annotated[list[Share], Field(min_length=2)]


def load_recipe(file: FilePath) -> Recipe | Average:
    """Raises CallWrong (no such file) or RecipeInvalid naming the key."""
    if not file.is_file():
        raise CallWrong(f"there is no recipe {file}")
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        kind = Average if isinstance(content, dict) and "average" in content else Recipe
        return kind.model_validate(content)
    except yaml.YAMLError as error:
        raise RecipeInvalid(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'the file'}: {e['msg']}" for e in error.errors())
        raise RecipeInvalid(f"{file}: {faults}") from error
