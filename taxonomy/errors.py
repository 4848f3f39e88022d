"""Every error of the project, with what the world outside calls it.

`code` stands in problems and as a metric's label, `title` in problems for people to read: both are contracts, and the
class may be renamed without changing them. The HTTP status and whether a retry helps stand on the class too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar


class RouteFeedbackError(Exception):
    """Base of all errors that we raise on purpose; its text is one line a person can act on."""

    code: ClassVar[str] = "route_feedback_error"
    title: ClassVar[str] = "Route feedback error"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False
    exit_code: int = 1


class CallWrong(RouteFeedbackError):
    """A command was called in a way that cannot work (exit code 2)."""

    code, title = "call_wrong", "Call wrong"
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

    code, title, status = "taxonomy_invalid", "Taxonomy invalid", 422

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        lines = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{len(self.faults)} fault{'s' * (len(self.faults) != 1)} in the taxonomy:\n{lines}")


class DataInvalid(RouteFeedbackError):
    """A data file holds a row that cannot be used; the text names file, line and field. line: where it is one row's."""

    code, title, status = "data_invalid", "Data invalid", 422

    def __init__(self, message: str, line: int | None = None) -> None:
        self.line = line
        super().__init__(message)


class CommentInvalid(RouteFeedbackError):
    """The comment cannot be routed as it is (empty, not text)."""

    code, title, status = "comment_invalid", "Comment invalid", 422


class CommentTooLong(CommentInvalid):
    """The comment is over the limit that the text states."""

    code, title, status = "comment_too_long", "Comment too long", 413


class RequestInvalid(RouteFeedbackError):
    """The request cannot be read."""

    code, title, status = "request_invalid", "Request invalid", 400


class DeadlinePassed(RouteFeedbackError):
    """The client's deadline came before the answer."""

    code, title, status = "deadline_passed", "Deadline passed", 504


class CheckpointInvalid(RouteFeedbackError):
    """A checkpoint directory is missing, incomplete, altered, or made for another taxonomy or prompt."""

    code, title, status = "checkpoint_invalid", "Checkpoint invalid", 409


class CheckpointUnknown(RouteFeedbackError):
    """The registry has no such checkpoint."""

    code, title, status = "checkpoint_unknown", "Checkpoint unknown", 404


class RegistryFailed(RouteFeedbackError):
    """The registry cannot be read or written now; nothing in it was changed."""

    code, title = "registry_failed", "Registry failed"
    status, retryable = 503, True


class ActivationRefused(RouteFeedbackError):
    """The checkpoint may not be activated, or not now; the active one stays."""

    code, title, status = "activation_refused", "Activation refused", 409


class LeaseHeld(ActivationRefused):
    """Another replica that shares the registry is loading a checkpoint; try again when it is done."""

    code, title = "lease_held", "Lease held"
    retryable = True


class FingerprintDiffers(ActivationRefused):
    """The engine does not decide as its checkpoint did when it was published."""

    code, title = "fingerprint_differs", "Fingerprint differs"


class ActivationFailed(RouteFeedbackError):
    """An activation broke off on the way; the active checkpoint stays."""

    code, title = "activation_failed", "Activation failed"


class TrialEnded(RouteFeedbackError):
    """A candidate on trial was stopped or rejected; the active checkpoint stays."""

    code, title, status = "trial_ended", "Trial ended", 409


class NotAllowed(RouteFeedbackError):
    """The caller may not do this."""

    code, title, status = "not_allowed", "Not allowed", 403


class EngineFailed(RouteFeedbackError):
    """The engine could not answer this request."""

    code, title = "engine_failed", "Engine failed"
    status, retryable = 503, True


class AnswerInvalid(EngineFailed):
    """The engine's answer is none to its comment: a violation of the constraint."""

    code, title = "answer_invalid", "Answer invalid"


class Overloaded(RouteFeedbackError):
    """More is waiting than the service may take; nothing was done. `retry_after`: seconds until it is worth a try."""

    code, title = "overloaded", "Overloaded"
    status, retryable = 503, True

    def __init__(self, message: str, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"{message}; try again in {retry_after} s")


class TooManyRequests(Overloaded):
    """One key has more waiting than its share."""

    code, title, status = "too_many_requests", "Too many requests", 429


class ClientGone(RouteFeedbackError):
    """The client hung up before its answer (nobody reads this)."""

    code, title, status = "client_gone", "Client gone", 499


class NotReady(RouteFeedbackError):
    """The service is starting or stopping."""

    code, title = "not_ready", "Not ready"
    status, retryable = 503, True


class ReinforcementRefused(RouteFeedbackError):
    """Reinforcement cannot help this checkpoint, or need not; nothing was trained."""

    code, title = "reinforcement_refused", "Reinforcement refused"


class RecipeInvalid(RouteFeedbackError):
    """A training recipe has an unknown key or an impossible value."""

    code, title = "recipe_invalid", "Recipe invalid"
    exit_code = 2


class TrainingStopped(RouteFeedbackError):
    """A signal ended a training; what was done is saved. The exit code is the shell's for that signal (143, 130)."""

    code, title = "training_stopped", "Training stopped"

    def __init__(self, message: str, signal: int) -> None:
        self.exit_code = 128 + signal
        super().__init__(message)


class TrainingDiverged(RouteFeedbackError):
    """A step's loss or gradient is no number; the last saved state stays as it is, and nothing is published."""

    code, title = "training_diverged", "Training diverged"


class WriteFailed(RouteFeedbackError):
    """The disk does not take what is to be written; nothing of it is left half-written."""

    code, title = "write_failed", "Write failed"


class ProcessFailed(RouteFeedbackError):
    """Another of a run's processes failed; its message says why."""

    code, title = "process_failed", "Process failed"
