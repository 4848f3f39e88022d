"""What a checkpoint says through the engine that serves: is it this checkpoint, how sure may it be, what it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict

from eval.decoding.served import Reply, Served, answered
from eval.judging.residue import calibrate_all
from serve.activation.proof import verify
from serve.http.schemas import response_of
from serve.routing.router import Router
from taxonomy.checkpoint.calibration import Calibration
from taxonomy.checkpoint.fingerprint import Fingerprint
from taxonomy.comments import LabelledComment
from taxonomy.errors import EngineFailed, FingerprintDiffers, RouteFeedbackError

AT_ONCE: Final = 32
Say = Callable[[str], None]


class Reproduction(BaseModel):
    """Whether an engine decides as was recorded. of: the digest of that recording. on: the kind of engine.

    reason: why not, if it does not; largest_difference: of a log-probability, if it does.
    """

    model_config = ConfigDict(frozen=True)

    of: str
    on: str
    reproduced: bool
    reason: str | None = None
    largest_difference: float | None = None


async def reproduced(router: Router, fingerprint: Fingerprint) -> Reproduction:
    """Ask the engine what was asked when the fingerprint was recorded."""
    try:
        largest = await verify(router, fingerprint)
    except FingerprintDiffers as error:
        return Reproduction(of=fingerprint.digest, on=router.engine_kind, reproduced=False, reason=str(error))
    return Reproduction(of=fingerprint.digest, on=router.engine_kind, reproduced=True, largest_difference=largest)


async def calibrated(router: Router, comments: Sequence[LabelledComment], wanted_error: float, say: Say) -> Calibration:
    """From the model's own probabilities on these comments. Raises DataInvalid where they are too few."""
    served = await decoded(router.under(None), comments)
    for violation in served.violations:
        say(f"not calibrated on {violation}")
    return calibrate_all(comments, served.predictions, wanted_error, served.taxonomy)


async def decoded(router: Router, comments: Sequence[LabelledComment]) -> Served:
    """What the service would answer to each. Raises EngineFailed where the engine has died."""

    async def ask(comment: LabelledComment) -> Reply:
        try:
            answer = await router.route(comment.comment)
        except RouteFeedbackError as error:
            if not router.is_alive:
                raise EngineFailed(f"the engine died on {comment.id}: {error}") from error
            return {"status": error.status, "detail": str(error)}
        return response_of(answer, router.pair, comment.id, {}).model_dump()

    return await answered(comments, ask, router.pair.taxonomy, AT_ONCE)
