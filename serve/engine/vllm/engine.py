"""The one file that knows vLLM's request interface."""

from __future__ import annotations

import time
from copy import copy
from itertools import count
from math import isfinite
from typing import Any, Final

from opentelemetry.trace import get_current_span
from prometheus_client import CollectorRegistry

from serve.engine.collector import Engines
from serve.engine.model import Model
from serve.engine.protocol import MOST_ALTERNATIVES, Alternative, Decoded, Task
from serve.engine.trace_headers import trace_headers
from serve.engine.vllm.keys import AUTOMATON, CHUNKS, MASKING
from serve.engine.vllm.llm import ONE_WORKER, EngineOptions, engine_kind, one_line, start_llm
from taxonomy.errors import EngineFailed

SCHEDULER: Final = "serve.engine.vllm.scheduler.DecisionScheduler"
WORKER: Final = "serve.engine.vllm.worker.Reloading"


class VllmEngine:
    """vLLM's AsyncLLM in this process (its engine core is a process of its own), under our scheduler."""

    def __init__(self, model: Model, options: EngineOptions, engines: Engines) -> None:
        """Loads the weights: about half a minute on a CPU. Raises EngineFailed with vLLM's own words.

        Of an adapter it is the base; `beside` adds the adapter. `engines` shows its metrics as long as it is open.
        """
        self.model = model
        self.lora: Any = None
        self._engines, self._stats = engines, CollectorRegistry()
        self._llm = start_llm(
            model.path,
            options,
            worker=ONE_WORKER,
            stats=self._stats,
            scheduler_cls=SCHEDULER,
            worker_extension_cls=WORKER,
            async_scheduling=False,
            additional_config={AUTOMATON: str(model.automaton_file)},
        )
        # Engines that share this memory; the last to be closed frees it. Adapters have numbers in vLLM.
        self._sharing = {self}
        self._numbers = count(1)
        self.context: int = self._llm.model_config.max_model_len
        self.kind = engine_kind(self._llm.model_config.dtype)
        engines.add(self._stats, model.checkpoint)

    async def decode(self, task: Task) -> Decoded:
        from vllm import SamplingParams  # noqa: PLC0415
        from vllm.inputs import TokensPrompt  # noqa: PLC0415
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

        forced = self.model.automaton.walk(task.chunk_tokens).forced
        try:
            sampling = SamplingParams(
                temperature=0.0,
                max_tokens=self.context - len(task.prompt) - len(forced),
                logprobs=MOST_ALTERNATIVES + 1,  # the likeliest of all is the token that is taken
                flat_logprobs=True,  # lists of numbers; as objects so many take three times as long
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
                extra_args={CHUNKS: task.chunk_tokens},
            )
            # Nothing that one checkpoint computed is read by another, whatever becomes of the cache in between.
            prompt = TokensPrompt(prompt_token_ids=[*task.prompt, *forced], cache_salt=self.model.checkpoint)
            async for output in self._llm.generate(
                prompt, sampling, task.request_id, lora_request=self.lora, trace_headers=self._headers()
            ):
                if output.finished:
                    _annotate_span(output.metrics)
                    return _decoded(output)
        except Exception as error:
            raise EngineFailed(f"the engine failed on this comment: {one_line(error)}") from error
        raise EngineFailed("the engine ended without an answer")

    def _headers(self) -> dict[str, str] | None:
        """What makes vLLM's own spans, where the settings switch them on, children of ours."""
        return trace_headers() if self._llm.observability_config.otlp_traces_endpoint else None

    async def reload(self, model: Model) -> None:
        try:
            await self._llm.pause_generation(mode="wait")
            try:
                await self._llm.collective_rpc("take_weights", args=(model.path,))
            finally:
                await self._llm.resume_generation()
        except Exception as error:
            raise EngineFailed(f"the engine could not load {model.path}: {one_line(error)}") from error
        self.model = model
        self._engines.add(self._stats, model.checkpoint)

    def carries(self, model: Model) -> bool:
        ours = self.model.path, self.model.automaton_file
        has_room = model.adapter is None or self._llm.vllm_config.lora_config is not None
        return has_room and (model.path, model.automaton_file) == ours

    async def beside(self, model: Model) -> VllmEngine:
        from vllm.lora.request import LoRARequest  # noqa: PLC0415

        other = copy(self)
        other.model, other.lora = model, None
        if model.adapter:
            if self._llm.vllm_config.lora_config is None:
                raise EngineFailed(
                    f'{model.checkpoint} is an adapter; set ROUTE_FEEDBACK_ENGINE={{"enable_lora": true}}'
                )
            self._check_spare_slot()
            other.lora = LoRARequest(model.checkpoint, next(self._numbers), model.adapter)
            try:
                await self._llm.add_lora(other.lora)
            except Exception as error:
                raise EngineFailed(f"the engine could not load {model.adapter}: {one_line(error)}") from error
        self._sharing.add(other)
        return other

    def _check_spare_slot(self) -> None:
        """Raises EngineFailed where one adapter more would take the slot that stays zeros (`with_spare_slot`)."""
        if not self.kind.startswith("cpu/"):
            return
        room = self._llm.vllm_config.lora_config.max_loras - 1
        if sum(engine.lora is not None for engine in self._sharing) >= room:
            raise EngineFailed(f"the engine holds {room} adapters already, as many as `max_loras` of ENGINE lets it")

    @property
    def is_alive(self) -> bool:
        return self in self._sharing and not self._llm.errored

    async def close(self) -> None:
        if self not in self._sharing:
            return
        self._sharing.remove(self)
        if not self._sharing:
            self._engines.remove(self._stats)
            self._llm.shutdown()
            # It calls this again when it is freed, at an exit when its modules are gone: that ends in a traceback.
            self._llm.shutdown = _over
        elif self.lora and not self._llm.errored:
            await self._llm.remove_lora(self.lora.lora_int_id)


def _over() -> None:
    """There is nothing left to shut down."""


def _decoded(output: Any) -> Decoded:
    answer = output.outputs[0]
    ids = tuple(answer.token_ids)
    told = [_told(answer.logprobs, position) for position in range(len(ids))]
    logprobs = tuple(among[token] for token, among in zip(ids, told, strict=True))
    alternatives = tuple(_alternatives(token, among) for token, among in zip(ids, told, strict=True))
    return Decoded(ids, logprobs, (output.kv_transfer_params or {}).get(MASKING), alternatives=alternatives)


def _told(flat: Any, position: int) -> dict[int, float]:
    """Log-probabilities of one decision, by token."""
    own = slice(flat.start_indices[position], flat.end_indices[position])
    return dict(zip(flat.token_ids[own], flat.logprobs[own], strict=True))


def _alternatives(taken: int, among: dict[int, float]) -> tuple[Alternative, ...]:
    """Where fewer are allowed than are asked for, vLLM fills up with others, whose probability is none."""
    others = [Alternative(token, logprob) for token, logprob in among.items() if token != taken and isfinite(logprob)]
    return tuple(sorted(others, key=_unlikeliness)[:MOST_ALTERNATIVES])


def _unlikeliness(alternative: Alternative) -> float:
    return -alternative.logprob


def _annotate_span(stats: Any) -> None:
    """When, after it was handed over, the engine began with the request, decided first and decided last."""
    span = get_current_span()
    if stats is None or not span.is_recording():
        return
    # vLLM's times are those of the monotonic clock, which all processes of a machine share.
    behind = time.time() - time.monotonic()
    for name in ("scheduled", "first_token", "last_token"):
        if at := getattr(stats, f"{name}_ts"):
            span.add_event(name, timestamp=round((at + behind) * 1e9))
