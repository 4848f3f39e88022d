"""A checkpoint's fingerprint: what it decides on a few comments, and how surely; another model decides otherwise."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, model_validator


class Probe(BaseModel):
    """One comment, what the engine was asked for it (a hash of the tokens), and the decisions of the greedy answer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    comment: str
    asked: str
    tokens: tuple[int, ...]
    logprobs: tuple[float, ...]

    @model_validator(mode="after")
    def _paired(self) -> Probe:
        if not self.tokens or len(self.tokens) != len(self.logprobs):
            raise ValueError(f"{len(self.tokens)} decisions with {len(self.logprobs)} log-probabilities")
        return self


class Fingerprint(BaseModel):
    """Recorded when a checkpoint is published, through the engine; verified through the engine that will serve.

    taxonomy: its version. language: a hash of the answers that there are, in tokens: of taxonomy and tokenizer both.
    recorded_on: the engine's device and dtype. spread: the most that a log-probability moved when the probes were
    decoded again, alone and together.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    taxonomy: str
    language: str
    recorded_on: str
    spread: float
    probes: tuple[Probe, ...]

    @model_validator(mode="after")
    def _not_empty(self) -> Fingerprint:
        if not self.probes:
            raise ValueError("a fingerprint without probes proves nothing")
        return self

    @property
    def digest(self) -> str:
        """Tells this recording from another of the same checkpoint."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]
