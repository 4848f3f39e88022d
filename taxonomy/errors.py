"""Every error of the project. The HTTP status and whether a retry helps stand on the class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class RouteFeedbackError(Exception):
    """Base of all errors that we raise on purpose; its text is one line a person can act on."""

    status: int = 500
    retryable: bool = False
    exit_code: int = 1

    @property
    def title(self) -> str:
        """The error's name in words, for `problem+json`."""
        name = type(self).__name__
        return "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip().capitalize()


class CallWrong(RouteFeedbackError):
    """A command was called in a way that cannot work (exit code 2)."""

    status, exit_code = 400, 2


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a file: where (file and line or cell), what, and what to do about it."""

    where: str
    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}; {self.remedy}"


class TaxonomyInvalid(RouteFeedbackError):
    """A taxonomy file breaks the rules; `faults` holds all of them."""

    status = 422

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{len(self.faults)} fault{'s' * (len(self.faults) != 1)} in the taxonomy:\n{lines}")


class DataInvalid(RouteFeedbackError):
    """A data file holds a row that cannot be used; the text names file, line and field."""

    status, exit_code = 422, 1


class CommentInvalid(RouteFeedbackError):
    """The comment cannot be routed as it is (empty, not text)."""

    status = 422


class CommentTooLong(CommentInvalid):
    """The comment is over the limit that the text states."""

    status = 413


class RequestInvalid(RouteFeedbackError):
    """The request cannot be read."""

    status = 400


class DeadlinePassed(RouteFeedbackError):
    """The client's deadline came before the answer."""

    status = 504


class CheckpointInvalid(RouteFeedbackError):
    """A checkpoint directory is missing, incomplete, altered, or made for another taxonomy or prompt."""

    status = 409


class CheckpointUnknown(RouteFeedbackError):
    """The registry has no such version."""

    status = 404


class RegistryFailed(RouteFeedbackError):
    """The registry cannot be read or written now; nothing in it was changed."""

    status, retryable = 503, True


class ActivationRefused(RouteFeedbackError):
    """The checkpoint may not be activated, or not now; the active one stays."""

    status = 409


class LeaseHeld(ActivationRefused):
    """Another replica that shares the registry is loading a checkpoint; try again when it is done."""

    retryable = True


class FingerprintDiffers(ActivationRefused):
    """The engine does not decide as its checkpoint did when it was published."""


class ActivationFailed(RouteFeedbackError):
    """An activation broke off on the way; the active checkpoint stays."""


class TrialEnded(RouteFeedbackError):
    """A candidate on trial was stopped or rejected; the active checkpoint stays."""

    status = 409


class NotAllowed(RouteFeedbackError):
    """The caller may not do this."""

    status = 403


class EngineFailed(RouteFeedbackError):
    """The engine could not answer this request."""

    status, retryable = 503, True


class AnswerInvalid(EngineFailed):
    """The engine's answer is none to its comment: a violation of the constraint."""


class Overloaded(RouteFeedbackError):
    """More is waiting than the service may take; nothing was done. `retry_after`: seconds until it is worth a try."""

    status, retryable = 503, True

    def __init__(self, message: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"{message}; try again in {retry_after} s")


class TooManyRequests(Overloaded):
    """One key has more waiting than its share."""

    status = 429


class ClientGone(RouteFeedbackError):
    """The client hung up before its answer (nobody reads this)."""

    status = 499


class NotReady(RouteFeedbackError):
    """The service is starting or stopping."""

    status, retryable = 503, True


class ReinforcementRefused(RouteFeedbackError):
    """Reinforcement cannot help this checkpoint, or need not; nothing was trained."""


class RecipeInvalid(RouteFeedbackError):
    """A training recipe has an unknown key or an impossible value."""

    exit_code = 2


class TrainingStopped(RouteFeedbackError):
    """A signal ended a training; what was done is saved. The exit code is the shell's for that signal (143, 130)."""

    def __init__(self, message: str, signal: int) -> None:
        self.exit_code = 128 + signal
        super().__init__(message)


class TrainingDiverged(RouteFeedbackError):
    """A step's loss or gradient is no number; the last saved state stays as it is, and nothing is published."""


class WriteFailed(RouteFeedbackError):
    """The disk does not take what is to be written; nothing of it is left half-written."""


class ProcessFailed(RouteFeedbackError):
    """Another of a run's processes failed; its message says why."""
