"""vLLM without anything of ours, under a constraint of its own: what the engine is compared with."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import NamedTuple

from serve.engine.vllm.llm import EngineOptions, start_llm


class PlainAnswer(NamedTuple):
    """What was decoded, as text and as tokens."""

    text: str
    token_ids: tuple[int, ...]


class PlainEngine:
    """vLLM's AsyncLLM as it comes, greedy."""

    def __init__(self, model: str, options: EngineOptions, *, backend: str) -> None:
        """backend: of vLLM's, what makes its constraints. Raises EngineFailed."""
        self._llm = start_llm(model, options, structured_outputs_config={"backend": backend})

    async def answer(
        self, prompt: Sequence[int], max_tokens: int, *, schema: str | None = None, grammar: str | None = None
    ) -> PlainAnswer:
        """The answer to a prompt's tokens, under a JSON schema or a grammar."""
        # After its environment is set.
        from vllm import SamplingParams  # noqa: PLC0415
        from vllm.inputs import TokensPrompt  # noqa: PLC0415
        from vllm.sampling_params import RequestOutputKind, StructuredOutputsParams  # noqa: PLC0415

        sampling = SamplingParams(
            temperature=0.0,
            max_tokens=max_tokens,
            logprobs=0,
            output_kind=RequestOutputKind.FINAL_ONLY,
            structured_outputs=StructuredOutputsParams(json=schema, grammar=grammar),
        )
        tokens = TokensPrompt(prompt_token_ids=list(prompt))
        async for output in self._llm.generate(tokens, sampling, uuid.uuid4().hex):
            answer = output.outputs[0]
        return PlainAnswer(answer.text, tuple(answer.token_ids))

    def close(self) -> None:
        self._llm.shutdown()
