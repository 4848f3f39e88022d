"""How far a model in training has moved from its base on the new task: the early sign of what it forgets.

The mean, over the learned positions of a few fixed comments, of the divergence KL(model || base) over the whole
vocabulary, in nats.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from torch.nn import functional
from transformers import PreTrainedModel, TrainerCallback, TrainerState

from train.data.batches import Batch, collate
from train.data.mixture import Mixture
from train.loop.sft import logits_at
from train.loop.steps import KL

PROBES: Final = 8
POINTS: Final = 50
"""How often it is measured in a run, about."""


def probe_of(mixture: Mixture, pad: int) -> Batch:
    """The first comments of a mixture."""
    return collate([mixture.comments[i] for i in range(min(PROBES, len(mixture.comments)))], [], pad)


class BaseDistance(TrainerCallback):  # type: ignore[misc]  # transformers is untyped to us
    """Adds the divergence to the figures of every so many steps, and of the last.

    model: as the base is; what it says of the probe is kept, and no copy of it. Made before the training begins.
    """

    def __init__(self, model: PreTrainedModel, probe: Batch, steps: int) -> None:
        self._model, self._probe = model, probe
        self._every = max(1, steps // POINTS)
        self._base = self._log_probabilities().cpu()

    def measured(self) -> float:
        """The divergence now."""
        now = self._log_probabilities()
        base = self._base.to(now.device)
        # The first argument is what the second is held against: KL(now || base).
        return float(functional.kl_div(base, now, reduction="sum", log_target=True)) / len(now)

    def on_log(self, args: Any, state: TrainerState, control: Any, logs: dict[str, float], **_: Any) -> None:  # noqa: ARG002
        step = state.global_step
        if "loss" in logs and (step % self._every == 0 or step == state.max_steps):
            logs[KL] = self.measured()

    @torch.no_grad()
    def _log_probabilities(self) -> torch.Tensor:
        device = next(self._model.parameters()).device
        probe = {name: tensor.to(device) for name, tensor in self._probe.items()}
        was_training = self._model.training
        self._model.eval()
        logits = logits_at(self._model, self._model, probe)
        self._model.train(was_training)
        return functional.log_softmax(logits.float(), dim=-1)
