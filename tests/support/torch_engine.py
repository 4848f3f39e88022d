"""An engine of real weights without vLLM: transformers, one decision a pass, float32 on a CPU."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

from serve.engine.protocol import MOST_ALTERNATIVES, Alternative, Decoded, SingleModel, Task
from taxonomy.errors import EngineFailed
from taxonomy.language.automaton import Automaton


class TorchEngine(SingleModel):
    """Raises EngineFailed where the weights cannot be loaded."""

    is_alive = True
    kind = "cpu/float32"

    def __init__(self, automaton: Automaton, folder: Path) -> None:
        self._automaton = automaton
        try:
            self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        except Exception as error:  # transformers and safetensors have errors of their own
            raise EngineFailed(f"cannot load {folder}: {error}") from error

    async def decode(self, task: Task) -> Decoded:
        walk = self._automaton.walk(task.chunk_tokens)
        tokens = [*task.prompt, *walk.forced]
        decided: list[int] = []
        logprobs: list[float] = []
        alternatives: list[tuple[Alternative, ...]] = []
        while not walk.is_done:
            allowed = list(walk.allowed)
            with torch.no_grad():
                logits = self._model(torch.tensor([tokens]), logits_to_keep=1).logits[0, -1]
            among = torch.log_softmax(logits[allowed], 0)
            best, *others = among.argsort(descending=True)[: MOST_ALTERNATIVES + 1].tolist()
            alternatives.append(tuple(Alternative(allowed[other], float(among[other])) for other in others))
            decided.append(allowed[best])
            logprobs.append(float(among[best]))
            tokens += [allowed[best], *walk.decide(allowed[best])]
        return Decoded(tuple(decided), tuple(logprobs), alternatives=tuple(alternatives))
