"""The one file that knows vLLM's request interface."""

from __future__ import annotations

import os
import time
from copy import copy
from itertools import count
from pathlib import Path
from typing import Any, Final

from opentelemetry.trace import get_current_span
from prometheus_client import CollectorRegistry

from serve.engine.collector import Engines
from serve.engine.cores import thread_settings
from serve.engine.protocol import Decoded, Task
from serve.routing.pair import Pair
from serve.settings import Settings
from serve.telemetry.traces import sent
from taxonomy.errors import EngineFailed

SCHEDULER: Final = "serve.engine.vllm.scheduler.DecisionScheduler"
WORKER: Final = "serve.engine.vllm.worker.Reloading"
AUTOMATON: Final = "route_feedback_automaton"
"""The key of vLLM's `additional_config` under which the scheduler finds the compiled automaton's file."""
CHUNKS: Final = "route_feedback_chunks"
"""The key of `SamplingParams.extra_args` that makes a request one of ours: its comment's chunks, in tokens."""
MASKING: Final = "route_feedback_masking_s"
"""The key under which the scheduler tells, with a finished request, how many seconds its constraint took."""
_DEFAULTS: Final = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_ONE_WORKER: Final = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
_SEVERAL_WORKERS: Final = {"distributed_executor_backend", "pipeline_parallel_size", "tensor_parallel_size"}
_ADAPTERS: Final = 3
"""One that serves, one that comes, one that still ends its requests."""
_BF16_FLAGS: Final = {"avx512_bf16", "amx_bf16", "bf16"}


class VllmEngine:
    """vLLM's AsyncLLM in this process (its engine core is a process of its own), under our scheduler."""

    def __init__(self, pair: Pair, settings: Settings, engines: Engines) -> None:
        """Loads the pair's model: about half a minute on a CPU. Raises EngineFailed with vLLM's own words.

        Of an adapter it is the base; `beside` adds the adapter. `engines` shows its metrics as long as it is open.
        """
        self.pair = pair
        self.lora: Any = None
        self._engines, self._stats = engines, CollectorRegistry()
        self._llm = _started(
            pair.model,
            settings,
            worker=_ONE_WORKER,
            stats=self._stats,
            scheduler_cls=SCHEDULER,
            worker_extension_cls=WORKER,
            async_scheduling=False,
            additional_config={AUTOMATON: str(pair.automaton_file)},
        )
        # Engines that share this memory; the last to be closed frees it. Adapters have numbers in vLLM.
        self._sharing = {self}
        self._numbers = count(1)
        self.context: int = self._llm.model_config.max_model_len
        self.kind = _kind(self._llm.model_config.dtype)
        engines.add(self._stats, pair.checkpoint)

    async def decode(self, task: Task) -> Decoded:
        from vllm import SamplingParams  # noqa: PLC0415
        from vllm.inputs import TokensPrompt  # noqa: PLC0415
        from vllm.sampling_params import RequestOutputKind  # noqa: PLC0415

        forced = self.pair.automaton.walk(task.spelt).forced
        try:
            sampling = SamplingParams(
                temperature=0.0,
                max_tokens=self.context - len(task.prompt) - len(forced),
                logprobs=0,
                detokenize=False,
                output_kind=RequestOutputKind.FINAL_ONLY,
                extra_args={CHUNKS: task.spelt},
            )
            # Nothing that one checkpoint computed is read by another, whatever becomes of the cache in between.
            prompt = TokensPrompt(prompt_token_ids=[*task.prompt, *forced], cache_salt=self.pair.checkpoint)
            async for output in self._llm.generate(
                prompt, sampling, task.request_id, lora_request=self.lora, trace_headers=self._headers()
            ):
                if output.finished:
                    _tell_span(output.metrics)
                    return _decoded(output)
        except Exception as error:
            raise EngineFailed(f"the engine failed on this comment: {_one_line(error)}") from error
        raise EngineFailed("the engine ended without an answer")

    def _headers(self) -> dict[str, str] | None:
        """What makes vLLM's own spans, where the settings switch them on, children of ours."""
        return sent() if self._llm.observability_config.otlp_traces_endpoint else None

    async def reload(self, pair: Pair) -> None:
        try:
            await self._llm.pause_generation(mode="wait")
            try:
                await self._llm.collective_rpc("take_weights", args=(pair.model,))
            finally:
                await self._llm.resume_generation()
        except Exception as error:
            raise EngineFailed(f"the engine could not load {pair.model}: {_one_line(error)}") from error
        self.pair = pair
        self._engines.add(self._stats, pair.checkpoint)

    def carries(self, pair: Pair) -> bool:
        ours = self.pair.model, self.pair.automaton_file
        has_room = pair.adapter is None or self._llm.vllm_config.lora_config is not None
        return has_room and (pair.model, pair.automaton_file) == ours

    async def beside(self, pair: Pair) -> VllmEngine:
        from vllm.lora.request import LoRARequest  # noqa: PLC0415

        other = copy(self)
        other.pair, other.lora = pair, None
        if pair.adapter:
            if self._llm.vllm_config.lora_config is None:
                raise EngineFailed(
                    f'{pair.checkpoint} is an adapter; set ROUTE_FEEDBACK_ENGINE={{"enable_lora": true}}'
                )
            self._check_spare_slot()
            other.lora = LoRARequest(pair.checkpoint, next(self._numbers), pair.adapter)
            try:
                await self._llm.add_lora(other.lora)
            except Exception as error:
                raise EngineFailed(f"the engine could not load {pair.adapter}: {_one_line(error)}") from error
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
    logprobs = tuple(at[token].logprob for token, at in zip(ids, answer.logprobs or [], strict=True))
    return Decoded(ids, logprobs, (output.kv_transfer_params or {}).get(MASKING))


def _tell_span(stats: Any) -> None:
    """When, after it was handed over, the engine began with the request, decided first and decided last."""
    span = get_current_span()
    if stats is None or not span.is_recording():
        return
    # vLLM's times are those of the monotonic clock, which all processes of a machine share.
    behind = time.time() - time.monotonic()
    for name in ("scheduled", "first_token", "last_token"):
        if at := getattr(stats, f"{name}_ts"):
            span.add_event(name, timestamp=round((at + behind) * 1e9))


def plain_engine(model: str, settings: Settings, backend: str) -> Any:
    """VLLM's AsyncLLM without anything of ours, for comparison. Raises EngineFailed."""
    return _started(model, settings, structured_outputs_config={"backend": backend})


def _started(
    model: str, settings: Settings, worker: str | None = None, stats: CollectorRegistry | None = None, **options: Any
) -> Any:
    """`worker`: what runs the model on a CPU, unless the settings ask for several. `stats`: where its metrics go."""
    for name, value in (_DEFAULTS | thread_settings()).items():
        os.environ.setdefault(name, value)
    # vLLM reads its environment when it is imported.
    from vllm.engine.arg_utils import AsyncEngineArgs  # noqa: PLC0415
    from vllm.platforms import current_platform  # noqa: PLC0415
    from vllm.v1.engine.async_llm import AsyncLLM  # noqa: PLC0415

    from serve.engine.vllm.stats import stat_logger  # noqa: PLC0415

    on_cpu = current_platform.is_cpu()
    if on_cpu:
        # The model runs eagerly; what is left to compile is a helper that the first request would wait seconds for.
        os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
    ours = {
        "model": model,
        "dtype": cpu_dtype() if on_cpu else "auto",
        "max_model_len": settings.max_model_len,
        "max_num_seqs": settings.max_num_seqs,
        "enforce_eager": on_cpu,
        "enable_prefix_caching": True,
        "logprobs_mode": "processed_logprobs",
        "disable_log_stats": stats is None,
        "trust_remote_code": False,
        "seed": 0,
    }
    if on_cpu and worker and not _SEVERAL_WORKERS & settings.engine.keys():
        # vLLM gives a CPU's model a process of its own and waits for it spinning: a core's time, twice a step.
        ours["distributed_executor_backend"] = worker
    try:
        given = with_spare_slot(settings.engine) if on_cpu else settings.engine
        arguments = AsyncEngineArgs(**(ours | given | options))
        loggers = None if stats is None or arguments.disable_log_stats else [stat_logger(stats)]
        return AsyncLLM.from_engine_args(arguments, stat_loggers=loggers)
    except Exception as error:
        raise EngineFailed(f"vLLM could not start on {model}: {_one_line(error)}") from error


def with_spare_slot(given: dict[str, Any]) -> dict[str, Any]:
    """A slot more for adapters, which no adapter ever takes, so that its weights stay zeros.

    In a step with an adapter's request, vLLM on a CPU adds the last slot's to those without one (vllm#48421, open).
    """
    if not given.get("enable_lora"):
        return given
    return given | {"max_loras": given.get("max_loras", _ADAPTERS) + 1}


def _kind(dtype: Any) -> str:
    from vllm.platforms import current_platform  # noqa: PLC0415

    return f"{current_platform.device_type}/{str(dtype).removeprefix('torch.')}"


def cpu_dtype(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """A CPU without bfloat16 instructions emulates them, slower than float32."""
    try:
        words = set(cpuinfo.read_text().split())
    except OSError:
        return "float32"
    return "bfloat16" if words & _BF16_FLAGS else "float32"


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())[:500] or type(error).__name__
