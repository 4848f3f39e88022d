"""vLLM as it comes, writing free text: what is sampled, and what ended it."""

from __future__ import annotations

import uuid
from typing import Any, Final, Self

from serve.engine.completion import Completion, CompletionTask
from serve.engine.vllm.llm import ONE_WORKER, EngineOptions, engine_kind, one_line, start_llm
from taxonomy.errors import EngineFailed

_A_STEP: Final = 2048
"""Tokens that a step computes, unless a single prompt may be longer."""


class VllmCompleter:
    """A completer over vLLM's AsyncLLM in this process (its engine core is a process of its own)."""

    def __init__(self, llm: Any) -> None:
        """llm: an AsyncLLM with its tokenizer, which `close` shuts down."""
        self._llm, self._is_closed = llm, False
        self.context: int = llm.model_config.max_model_len
        self.kind = engine_kind(llm.model_config.dtype)

    @classmethod
    def start(cls, model: str, options: EngineOptions) -> Self:
        """On a directory or hub id, with a stated context: about half a minute on a CPU. Raises EngineFailed."""
        # Where a prompt is read in several steps, vLLM turns the random numbers of its seed back after each: a CPU's
        # cannot be, and the engine dies of it (`set_offset` in its model runner).
        whole: dict[str, Any] = {
            "enable_chunked_prefill": False,
            "max_num_batched_tokens": max(options.max_model_len or 0, _A_STEP),
        }
        return cls(start_llm(model, options, worker=ONE_WORKER, **whole))

    async def complete(self, task: CompletionTask) -> Completion:
        from vllm import SamplingParams  # noqa: PLC0415 (after its environment is set)
        from vllm.inputs import TokensPrompt  # noqa: PLC0415
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

        # vLLM would write what fits, and call that an end.
        task.check(self.context)
        try:
            sampling = SamplingParams(
                temperature=task.temperature,
                top_p=task.top_p,
                seed=task.seed,
                max_tokens=task.max_tokens,
                stop_token_ids=sorted(task.ends),
                stop=list(task.end_texts),
                ignore_eos=True,  # the task says what ends it
                skip_special_tokens=False,
                spaces_between_special_tokens=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
            )
            prompt = TokensPrompt(prompt_token_ids=list(task.prompt))
            async for output in self._llm.generate(prompt, sampling, uuid.uuid4().hex):
                if output.finished:
                    return _completion(output.outputs[0])
        except Exception as error:
            raise EngineFailed(f"the engine failed on this prompt: {one_line(error)}") from error
        raise EngineFailed("the engine ended without a text")

    async def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._llm.shutdown()
            # It calls this again when it is freed, at an exit when its modules are gone: that ends in a traceback.
            self._llm.shutdown = _over


def _over() -> None:
    """There is nothing left to shut down."""


def _completion(written: Any) -> Completion:
    if written.finish_reason not in {"stop", "length"}:
        raise EngineFailed(f"the engine broke off: {written.finish_reason}")
    return Completion(written.text, written.stop_reason if written.finish_reason == "stop" else None)
