"""What a router reports of its work to whoever counts and times it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Final, Literal, Protocol, get_args

from serve.routing.admission import Admission
from serve.routing.answer import Answer
from serve.routing.pair import Pair
from taxonomy.labels import CheckpointId

Stage = Literal["queue", "prepare", "decode", "read"]
"""Waiting for a turn; cutting, prompt and tokens; the engine; tokens into segments."""
STAGES: Final[tuple[Stage, ...]] = get_args(Stage)


class Observer(Protocol):
    """Is told of every answer while it is made. No method raises.

    serving: from now on new requests go to this pair, through this queue. stage, compiling: last as long as a stage of
    one answer, or as the cutting of its comment into tokens. masked: seconds that the engine spent on its constraint.
    """

    def serving(self, pair: Pair, admission: Admission) -> None: ...
    def stage(self, name: Stage) -> AbstractContextManager[None]: ...
    def compiling(self) -> AbstractContextManager[None]: ...
    def masked(self, seconds: float) -> None: ...
    def answered(self, checkpoint: CheckpointId, answer: Answer) -> None: ...


class NullObserver:
    """Counts nothing and times nothing."""

    def serving(self, pair: Pair, admission: Admission) -> None:
        """Nobody looks at it."""

    def stage(self, name: Stage) -> AbstractContextManager[None]:  # noqa: ARG002
        return nullcontext()

    def compiling(self) -> AbstractContextManager[None]:
        return nullcontext()

    def masked(self, seconds: float) -> None:
        """Nobody adds it up."""

    def answered(self, checkpoint: CheckpointId, answer: Answer) -> None:
        """Nobody counts it."""


UNOBSERVED: Final = NullObserver()
