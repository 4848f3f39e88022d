"""What the gate said of a checkpoint, signed, so that the service can tell it from what anyone may write."""

from __future__ import annotations

import hashlib
import hmac
import json
from enum import StrEnum
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from taxonomy.labels import CheckpointId

KEY_VARIABLE: Final = "ROUTE_FEEDBACK_GATE_KEY"
"""The environment's variable with the key. (ROUTE_FEEDBACK_* are the service's settings.)"""


class Verdict(StrEnum):
    """promote: all is shown. hold: nothing failed, but something is not measured or not shown. reject: one failed."""

    PROMOTE = "promote"
    HOLD = "hold"
    REJECT = "reject"


class Finding(BaseModel):
    """One check of the policy. figure: what was measured, None where nothing was. bound: what it was held against."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    check: str
    verdict: Verdict
    figure: float | None
    bound: float | None
    reason: str


class GateRecord(BaseModel):
    """The verdict on one checkpoint against another, under a policy, at a time (ISO 8601, UTC).

    evidence: hash of the scores and the calibration that were judged. signature: HMAC-SHA256, None where there was no
    key.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    verdict: Verdict
    candidate: CheckpointId
    baseline: CheckpointId
    findings: tuple[Finding, ...]
    policy: dict[str, Any]
    evidence: str
    decided_at: str
    signature: str | None = None

    def signed(self, key: str) -> GateRecord:
        """The same with a signature over all its other fields; without a key it stays unsigned."""
        return self.model_copy(update={"signature": self._signature(key) if key else None})

    def is_signed_with(self, key: str) -> bool:
        """Whether the signature is this key's over these very fields."""
        return bool(key and self.signature) and hmac.compare_digest(self.signature or "", self._signature(key))

    def _signature(self, key: str) -> str:
        text = _canonical(self.model_dump(mode="json", exclude={"signature"}))
        return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def evidence_of(scores: dict[str, Any], calibration: BaseModel | None) -> str:
    """Hash of what is judged: other scores or another calibration have another."""
    text = _canonical([scores, calibration and calibration.model_dump(mode="json")])
    return hashlib.sha256(text.encode()).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
