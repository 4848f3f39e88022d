"""A recipe: everything that decides a training run, in one YAML file. Unknown keys are refused."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from serve.routing.packaged import is_packaged
from taxonomy.errors import CallWrong, RecipeInvalid
from taxonomy.language.forms import Form
from taxonomy.yaml_files import read_document
from train.recipe_parts import (
    Adapter,
    Architecture,
    Choosing,
    Count,
    DataPart,
    LabelledFiles,
    Loss,
    Optimisation,
    Precision,
    RecipePart,
    Replay,
    StartPart,
    Texts,
    TrainingPart,
)


class Recipe(RecipePart):
    """One run: customer comments as often as it says, and replay on top.

    corpus: a number of comments of the bundled corpus's generator, or labelled comments of your own.
    even: the generator's share of leaves drawn evenly, so that rare ones are learned too (0: as in the corpus).
    scopes: each leaf's scope and synonyms are comments too, seen as often as the others.
    exposures: how often each comment is seen; 0: never, then `tokens` says how much replay, unless `cpt` stands alone.
    cpt: plain text to learn before all else. adapter: what is learned in place of the whole base.
    word_vectors: begin with embeddings in which words and labels that go together lie together.
    loss: `constrained` (softmax over the tokens that the service allows, at decisions), `decisions`
    (cross-entropy over the whole vocabulary, at decisions) or `completion` (every token of the answer). form: theirs.
    base: a Hugging Face directory, a GGUF file, a packaged base or a hub id to go on from. continue_from: the directory
    of a checkpoint to go on from; its architecture and tokenizer stay. Neither: a fresh model of the `architecture`.
    trained_on: the taxonomy file of the checkpoint in `continue_from`, where it is not the one that is learned now.
    replay_kl: weight of the divergence from the base at replay's tokens, beside their cross-entropy.
    benchmarks: a folder of general benchmarks, as `eval general` reads it, whose questions are looked for in the data.
    packing: rows laid end to end in sequences of up to so many tokens; none: one row a sequence.
    choose: which weights of the run are published; none: its last.
    publish: `whole` weights, or the `delta`: what the adapter learned over a packaged base, which the service adds up.
    """

    seed: int = 0
    corpus: Count | LabelledFiles = 14_511
    even: Annotated[float, Field(ge=0, le=1)] = 0.0
    scopes: bool = False
    exposures: Annotated[float, Field(ge=0)] | None = None
    architecture: Architecture = Architecture()
    base: str | None = None
    continue_from: str | None = None
    trained_on: str | None = None
    adapter: Adapter | None = None
    cpt: Texts | None = None
    optimisation: Optimisation = Optimisation()
    word_vectors: bool = False
    loss: Loss = "constrained"
    form: Form = Form.VERBATIM
    replay: list[Replay] = Field(default=[])
    replay_kl: Annotated[float, Field(ge=0)] = 0.0
    tokens: Count | None = None
    benchmarks: str | None = None
    packing: Count | None = None
    choose: Choosing | None = None
    publish: Literal["whole", "delta"] = "whole"
    dtype: Precision = "bfloat16"
    """What the weights are saved in; they are trained in float32, their products in `optimisation.precision`."""

    @property
    def is_fresh(self) -> bool:
        """Whether the model is made from scratch."""
        return self.base is None and self.continue_from is None

    @property
    def is_cpt_alone(self) -> bool:
        """Whether the run ends with its texts: neither comments nor replay follow."""
        return self.cpt is not None and self.exposures == 0 and not self.replay

    @property
    def start(self) -> StartPart:
        return StartPart(
            self.architecture, self.base, self.continue_from, self.trained_on, self.form, self.word_vectors, self.seed
        )

    @property
    def data(self) -> DataPart:
        return DataPart(
            corpus=self.corpus,
            even=self.even,
            scopes=self.scopes,
            benchmarks=self.benchmarks,
            comments=self.optimisation.comments,
            exposures=self.exposures,
            word_dropout=self.optimisation.word_dropout,
            loss=self.loss,
            form=self.form,
            batch=self.optimisation.batch,
            replay=self.replay,
            tokens=self.tokens,
            cpt=self.cpt,
            choose=self.choose,
            seed=self.seed,
        )

    @property
    def training(self) -> TrainingPart:
        return TrainingPart(
            optimisation=self.optimisation,
            adapter=self.adapter,
            cpt=self.cpt,
            packing=self.packing,
            replay_kl=self.replay_kl,
            is_fresh=self.is_fresh,
            is_cpt_alone=self.is_cpt_alone,
            seed=self.seed,
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        shares = sum(source.share for source in self.replay)
        names = [source.name for source in self.replay]
        is_delta = self.publish == "delta"
        faults = {
            "give `exposures` or `optimisation.comments`, one of them": (self.exposures is None)
            == (self.optimisation.comments is None),
            "give `base` or `continue_from`, not both": self.base is not None and self.continue_from is not None,
            "`trained_on` is of the checkpoint in `continue_from`": self.trained_on is not None
            and not self.continue_from,
            "`adapter.keep` has no place for the tokens of `marked`": self.form is Form.MARKED
            and self.adapter is not None
            and self.adapter.keep,
            "`base` brings its own architecture": self.base is not None and "architecture" in self.model_fields_set,
            "without comments the `form` cannot be learned": self.exposures == 0 and self.form is not Form.VERBATIM,
            "`word_vectors` are for a fresh model": self.word_vectors and not self.is_fresh,
            "`even` is for the bundled corpus's generator": self.even > 0 and isinstance(self.corpus, LabelledFiles),
            "two sources of `replay` have one name": len(set(names)) < len(names),
            "`comments` and `cpt` are no names for `replay`": bool({"comments", "cpt"} & set(names)),
            "`replay_kl` needs `replay` and a base to stay near": self.replay_kl > 0 and (self.is_fresh or not names),
            "`self` in `replay` needs a base that speaks": self.is_fresh and any(source.self for source in self.replay),
            "an `adapter` needs a base": self.adapter is not None and self.is_fresh,
            "`tokens` goes with `exposures: 0`, and only with it": not self.is_cpt_alone
            and (self.exposures == 0) != (self.tokens is not None),
            "`tokens` are those of `replay`": self.is_cpt_alone and self.tokens is not None,
            "without comments the shares of `replay` must add up to 1": self.exposures == 0
            and not self.is_cpt_alone
            and not math.isclose(shares, 1),
            "`choose` needs comments to be seen": self.choose is not None and self.exposures == 0,
            "`choose.alphas` other than 1 need a base": self.choose is not None
            and self.is_fresh
            and self.choose.alphas != [1.0],
            "two of `choose.alphas` are equal": self.choose is not None
            and len(set(self.choose.alphas)) < len(self.choose.alphas),
            "an `adapter` is averaged with nothing: leave out `choose.last`": self.adapter is not None
            and self.choose is not None
            and self.choose.last > 1,
            "`adapter.keep` keeps the last weights, `choose` may publish others": self.adapter is not None
            and self.adapter.keep
            and self.choose is not None,
            "`publish: delta` needs an `adapter` of kind `lora`": is_delta
            and (self.adapter is None or self.adapter.kind != "lora"),
            "`publish: delta` needs a `base` that comes in a package": is_delta
            and not (self.base and is_packaged(self.base)),
            "`publish: delta` publishes the adapter already: leave out `adapter.keep`": is_delta
            and self.adapter is not None
            and self.adapter.keep,
            "`publish: delta` has the last weights, `choose` may publish others": is_delta and self.choose is not None,
            "`choose` needs `general` questions, or a `suite` in `replay` to hold them out of": self.choose is not None
            and not (self.is_fresh or self.choose.general or any(source.suite for source in self.replay)),
            "the shares of `replay` must leave some for the comments": self.exposures != 0 and shares >= 1,
        }
        if wrong := [fault for fault, holds in faults.items() if holds]:
            raise ValueError("; ".join(wrong))
        return self


class WeightedCheckpoint(RecipePart):
    """One checkpoint's part in an average; the weights need not add up to one."""

    checkpoint: str
    weight: Annotated[float, Field(gt=0)]


class Average(RecipePart):
    """No training: the mean of checkpoints that began as one."""

    average: Annotated[list[WeightedCheckpoint], Field(min_length=2)]


class Reinforcement(RecipePart):
    """Reinforcement fine-tuning (GRPO) of a published checkpoint: it answers, and what scored better becomes likelier.

    reinforce: the checkpoint's directory. corpus, even, benchmarks: as in a Recipe. batch: comments of a step. answers:
    sampled for each comment. kl: weight of the divergence from the checkpoint. learning_rate: none: by the method
    (docs/recipes.md). judged: comments that are answered before the first step, to see whether this can help.
    """

    reinforce: str
    seed: int = 0
    corpus: Count | LabelledFiles = 14_511
    even: Annotated[float, Field(ge=0, le=1)] = 0.0
    benchmarks: str | None = None
    adapter: Adapter | None = None
    steps: Count
    batch: Count = 8
    answers: Annotated[int, Field(ge=2)] = 8
    accumulate: Count = 1
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    kl: Annotated[float, Field(ge=0)] = 0.0
    judged: Count = 64
    dtype: Precision = "bfloat16"

    @model_validator(mode="after")
    def _even_passes(self) -> Self:
        if self.batch * self.answers % self.accumulate:
            raise ValueError("`batch` times `answers` must be a multiple of `accumulate`")
        return self


AnyRecipe = Recipe | Average | Reinforcement
"""What one file may ask for."""


def load_recipe(file: Path) -> AnyRecipe:
    """Raises CallWrong (no such file) or RecipeInvalid naming file, line and key."""
    if not file.is_file():
        raise CallWrong(f"there is no recipe {file}")
    document = read_document(file, RecipeInvalid)
    kind: type[AnyRecipe] = Recipe
    # Each kind of recipe but one has a key that no other has.
    if "average" in document.content:
        kind = Average
    elif "reinforce" in document.content:
        kind = Reinforcement
    return document.checked(kind, RecipeInvalid)
