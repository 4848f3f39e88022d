"""A recipe: everything that decides a training run, in one YAML file. Unknown keys are refused."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from taxonomy.errors import CallWrong, RecipeInvalid
from taxonomy.language.forms import Form
from taxonomy.yaml_files import read_document
from train.corpus.suite import KINDS

Count = Annotated[int, Field(gt=0)]
Loss = Literal["constrained", "decisions", "completion"]
Precision = Literal["bfloat16", "float32"]


class _RecipePart(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Architecture(_RecipePart):
    """A Qwen3 decoder made from scratch. `hidden` is a multiple of `head`."""

    vocabulary: Count = 8192
    hidden: Count = 320
    layers: Count = 4
    intermediate: Count = 960
    head: Count = 64
    context: Count = 32_768


class Optimisation(_RecipePart):
    """Learning rate (peak; none: by the base's size, docs/recipes.md), its warm-up share, and the batch.

    comments: how many comments are seen in all, where the recipe states no `exposures`.
    batch: comments of a step; replay comes on top. accumulate: forward passes that a step is computed in.
    precision: of the matrix products; weights, gradients and Adam's moments are float32 either way. None: bfloat16 on a
    GPU that has it, else float32.
    """

    comments: Count | None = None
    batch: Count = 32
    accumulate: Count = 1
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    warmup: Annotated[float, Field(ge=0, lt=1)] = 0.03
    weight_decay: Annotated[float, Field(ge=0)] = 0.05
    word_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """The share of words left out of every second comment, anew each time it is seen: against learning by heart."""
    precision: Precision | None = None


class LabelledFiles(_RecipePart):
    """Labelled comments of your own: JSONL files, the taxonomy they use, and files that must not leak into them.

    skip_invalid: go on without the rows in error, and count them.
    """

    comments: Annotated[list[str], Field(min_length=1)]
    taxonomy: str
    test: list[str] = []
    skip_invalid: bool = False


class Replay(_RecipePart):
    """General data beside the customers': chats from JSONL files, or so many chats of the general suite's generator.

    kinds: which of the suite's kinds, each as often; none: all.
    share: of all supervised tokens of the run. passes, tokens: caps; a source that meets one gives less than its share.
    """

    name: str
    chats: Annotated[list[str], Field(min_length=1)] | None = None
    suite: Count | None = None
    kinds: Annotated[list[str], Field(min_length=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1)]
    passes: Annotated[float, Field(gt=0)] = 4
    tokens: Count | None = None
    skip_invalid: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if (self.chats is None) == (self.suite is None):
            raise ValueError("give `chats` (files) or `suite` (a number), one of them")
        if self.kinds and self.suite is None:
            raise ValueError("`kinds` are those of the `suite`")
        return self

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: list[str] | None) -> list[str] | None:
        if unknown := set(kinds or ()) - set(KINDS):
            raise ValueError(f"the suite has no {', '.join(sorted(unknown))}; it has {', '.join(KINDS)}")
        return kinds


class Adapter(_RecipePart):
    """Matrices of low rank beside those of the base, learned in their stead and merged into them at the end.

    kind: `lora`, or `dora` (its direction and length apart). alpha: what the product is scaled by, over the rank; none:
    twice the rank. targets: names of the base's linear layers; none: all but the head. keep: the adapter alone
    is published too, unmerged, in the folder `adapter/`.
    """

    kind: Literal["lora", "dora"] = "lora"
    rank: Count = 16
    alpha: Annotated[float, Field(gt=0)] | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    targets: Annotated[list[str], Field(min_length=1)] | None = None
    keep: bool = False


class Texts(_RecipePart):
    """Continued pre-training, before the comments: plain text, every token of it learned.

    texts: JSONL files with a `text` a line, or `.txt` files, each a text. passes: over all of it. length: the longest
    row, in tokens; longer texts are cut. batch: rows of a step. learning_rate: none: that of the comments.
    """

    texts: Annotated[list[str], Field(min_length=1)]
    passes: Annotated[float, Field(gt=0)] = 1
    length: Annotated[int, Field(ge=8)] = 1024
    batch: Count = 32
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    skip_invalid: bool = False


class Choosing(_RecipePart):
    """Candidates made of one run's weights, scored on a validation split; the chosen one is published.

    last: so many saved weights, the run's end among them, are averaged. every: steps between them; none: a twentieth of
    the run. alphas: base + alpha * (trained - base), of the last weights and of the average.
    validation: files of labelled comments; none: held out of `corpus` by hash. comments: how many of them are decoded.
    general: files of questions with one right answer; none: held out of the replay's suite by hash. questions: how many
    of them are asked.
    """

    last: Count = 1
    every: Count | None = None
    alphas: Annotated[list[Annotated[float, Field(gt=0, le=2)]], Field(min_length=1)] = [1.0]
    validation: list[str] = []
    comments: Count = 200
    general: list[str] = []
    questions: Count = 400


@dataclass(frozen=True, slots=True)
class StartPart:
    """Of a recipe, what says which weights the run begins with. continue_from: a checkpoint's directory."""

    architecture: Architecture
    base: str | None
    continue_from: str | None
    word_vectors: bool
    seed: int

    @property
    def weights(self) -> str | None:
        """The folder or id that the weights come from; none for a fresh model."""
        return self.base or self.continue_from


@dataclass(frozen=True, slots=True)
class DataPart:
    """Of a recipe, what says which rows there are, and how often and in which order they are seen.

    comments, exposures: how many comments are seen, or how often each; one of them is stated.
    """

    corpus: int | LabelledFiles
    even: float
    benchmarks: str | None
    comments: int | None
    exposures: float | None
    word_dropout: float
    loss: Loss
    form: Form
    batch: int
    replay: list[Replay]
    tokens: int | None
    cpt: Texts | None
    choose: Choosing | None
    seed: int

    def comments_seen(self, count: int) -> int:
        """In all, where there are `count` comments."""
        return self.comments or round((self.exposures or 0) * count)

    @property
    def holds_out_questions(self) -> bool:
        """Whether the suite's questions that candidates are scored on are not to be learned."""
        return self.choose is not None and not self.choose.general


@dataclass(frozen=True, slots=True)
class TrainingPart:
    """Of a recipe, what says how the rows are learned."""

    optimisation: Optimisation
    adapter: Adapter | None
    cpt: Texts | None
    packing: int | None
    replay_kl: float
    is_fresh: bool
    is_cpt_alone: bool
    seed: int


class Recipe(_RecipePart):
    """One run: customer comments as often as it says, and replay on top.

    corpus: a number of comments of the bundled corpus's generator, or labelled comments of your own.
    even: the generator's share of leaves drawn evenly, so that rare ones are learned too (0: as in the corpus).
    exposures: how often each comment is seen; 0: never, then `tokens` says how much replay, unless `cpt` stands alone.
    cpt: plain text to learn before all else. adapter: what is learned in place of the whole base.
    word_vectors: begin with embeddings in which words and labels that go together lie together.
    loss: `constrained` (softmax over the tokens that the service allows, at decisions), `decisions`
    (cross-entropy over the whole vocabulary, at decisions) or `completion` (every token of the answer). form: theirs.
    base: a Hugging Face directory, a GGUF file or a hub id to go on from. continue_from: a checkpoint's directory to go
    on from; its architecture and tokenizer stay. Neither: a fresh model of the `architecture`.
    replay_kl: weight of the divergence from the base at replay's tokens, beside their cross-entropy.
    benchmarks: a folder with `mmlu/` and `ifeval/`, whose questions are looked for in the data.
    packing: rows laid end to end in sequences of up to so many tokens; none: one row a sequence.
    choose: which weights of the run are published; none: its last.
    """

    seed: int = 0
    corpus: Count | LabelledFiles = 14_511
    even: Annotated[float, Field(ge=0, le=1)] = 0.0
    exposures: Annotated[float, Field(ge=0)] | None = None
    architecture: Architecture = Architecture()
    base: str | None = None
    continue_from: str | None = None
    adapter: Adapter | None = None
    cpt: Texts | None = None
    optimisation: Optimisation = Optimisation()
    word_vectors: bool = False
    loss: Loss = "constrained"
    form: Form = Form.VERBATIM
    replay: list[Replay] = []
    replay_kl: Annotated[float, Field(ge=0)] = 0.0
    tokens: Count | None = None
    benchmarks: str | None = None
    packing: Count | None = None
    choose: Choosing | None = None
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
        return StartPart(self.architecture, self.base, self.continue_from, self.word_vectors, self.seed)

    @property
    def data(self) -> DataPart:
        return DataPart(
            corpus=self.corpus,
            even=self.even,
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
        faults = {
            "give `exposures` or `optimisation.comments`, one of them": (self.exposures is None)
            == (self.optimisation.comments is None),
            "give `base` or `continue_from`, not both": self.base is not None and self.continue_from is not None,
            "`base` brings its own architecture": self.base is not None and "architecture" in self.model_fields_set,
            "without comments the `form` cannot be learned": self.exposures == 0 and self.form.is_numbered,
            "`word_vectors` are for a fresh model": self.word_vectors and not self.is_fresh,
            "`even` is for the bundled corpus's generator": self.even > 0 and isinstance(self.corpus, LabelledFiles),
            "two sources of `replay` have one name": len(set(names)) < len(names),
            "`comments` and `cpt` are no names for `replay`": bool({"comments", "cpt"} & set(names)),
            "`replay_kl` needs `replay` and a base to stay near": self.replay_kl > 0 and (self.is_fresh or not names),
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
            "`choose` needs `general` questions, or a `suite` in `replay` to hold them out of": self.choose is not None
            and not (self.is_fresh or self.choose.general or any(source.suite for source in self.replay)),
            "the shares of `replay` must leave some for the comments": self.exposures != 0 and shares >= 1,
        }
        if wrong := [fault for fault, holds in faults.items() if holds]:
            raise ValueError("; ".join(wrong))
        return self


class WeightedCheckpoint(_RecipePart):
    """One checkpoint's part in an average; the weights need not add up to one."""

    checkpoint: str
    weight: Annotated[float, Field(gt=0)]


class Average(_RecipePart):
    """No training: the mean of checkpoints that began as one."""

    average: Annotated[list[WeightedCheckpoint], Field(min_length=2)]


class Reinforcement(_RecipePart):
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
