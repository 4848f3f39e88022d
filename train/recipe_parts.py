"""The parts of a recipe. Unknown keys are refused."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from taxonomy.language.forms import Form
from train.corpus.suite import KINDS

Count = Annotated[int, Field(gt=0)]
Loss = Literal["constrained", "decisions", "completion"]
Precision = Literal["bfloat16", "float32"]


class RecipePart(BaseModel):
    """What all parts are."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Architecture(RecipePart):
    """A Qwen3 decoder made from scratch. `hidden` is a multiple of `head`."""

    vocabulary: Count = 8192
    hidden: Count = 320
    layers: Count = 4
    intermediate: Count = 960
    head: Count = 64
    context: Count = 32_768


class Optimisation(RecipePart):
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


class LabelledFiles(RecipePart):
    """Labelled comments of your own: JSONL files, the taxonomy they use, and files that must not leak into them.

    skip_invalid: go on without the rows in error, and count them.
    """

    comments: Annotated[list[str], Field(min_length=1)]
    taxonomy: str
    test: list[str] = []
    skip_invalid: bool = False


class Sampling(RecipePart):
    """How a base speaks for itself (docs/replay.md).

    temperatures: taken in turn, each by as many questions. answer_temperature: of all answers. question_tokens,
    answer_tokens: a turn that is not ended by then is left out. batch: chats at once.
    """

    temperatures: Annotated[list[Annotated[float, Field(ge=0, le=2)]], Field(min_length=1)] = [0.8, 1.0, 1.2]
    answer_temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.99
    question_tokens: Count = 256
    answer_tokens: Count = 1024
    batch: Count = 128


class Replay(RecipePart):
    """General data beside the customers': chats of files, of the suite's generator, or of the base's own.

    suite, self: how many chats of the generator, or of the base. kinds: which of the suite's kinds, each as often;
    none: all. prompts: files of what the base is asked; none: it asks too. sampling: how it speaks.
    share: of all supervised tokens of the run. passes, tokens: caps; a source that meets one gives less than its share.
    """

    name: str
    chats: Annotated[list[str], Field(min_length=1)] | None = None
    suite: Count | None = None
    self: Count | None = None
    prompts: Annotated[list[str], Field(min_length=1)] | None = None
    sampling: Sampling = Sampling()
    kinds: Annotated[list[str], Field(min_length=1)] | None = None
    share: Annotated[float, Field(gt=0, le=1)]
    passes: Annotated[float, Field(gt=0)] = 4
    tokens: Count | None = None
    skip_invalid: bool = False

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if [self.chats, self.suite, self.self].count(None) != len(("the", "others")):
            raise ValueError("give `chats` (files), `suite` (a number) or `self` (a number), one of them")
        if self.self is None and (self.prompts or self.sampling != Sampling()):
            raise ValueError("`prompts` and `sampling` go with `self`")
        if self.kinds and self.suite is None:
            raise ValueError("`kinds` are those of the `suite`")
        return self

    @field_validator("kinds")
    @classmethod
    def _known(cls, kinds: list[str] | None) -> list[str] | None:
        if unknown := set(kinds or ()) - set(KINDS):
            raise ValueError(f"the suite has no {', '.join(sorted(unknown))}; it has {', '.join(KINDS)}")
        return kinds


class Adapter(RecipePart):
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


class Texts(RecipePart):
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


class Choosing(RecipePart):
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
    """Of a recipe, what says which weights the run begins with. continue_from: a checkpoint's directory.

    trained_on: the file of its taxonomy, where that is another than the one to be learned. form: of the answers.
    """

    architecture: Architecture
    base: str | None
    continue_from: str | None
    trained_on: str | None
    form: Form
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
    scopes: bool
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
