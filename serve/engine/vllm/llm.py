"""The one file that starts vLLM: its environment, its arguments, and what of them a CPU needs otherwise."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from prometheus_client import CollectorRegistry

from serve.engine.cores import thread_settings
from taxonomy.errors import EngineFailed

ONE_WORKER: Final = "vllm.v1.executor.uniproc_executor.UniProcExecutor"
"""What runs a model in the engine core's own process."""
_DEFAULTS: Final = {
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "WARNING",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "TOKENIZERS_PARALLELISM": "false",
}
_SEVERAL_WORKERS: Final = {"distributed_executor_backend", "pipeline_parallel_size", "tensor_parallel_size"}
_ADAPTERS: Final = 3
"""One that serves, one that comes, one that still ends its requests."""
_BF16_FLAGS: Final = {"avx512_bf16", "amx_bf16", "bf16"}


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """max_model_len: context in tokens; None takes the model's own. max_num_seqs: comments decoded at once.

    arguments: any of vLLM's engine arguments, by name; they go before ours.
    """

    max_model_len: int | None
    max_num_seqs: int
    arguments: Mapping[str, Any] = field(default_factory=dict)


def start_llm(
    model: str,
    options: EngineOptions,
    *,
    worker: str | None = None,
    stats: CollectorRegistry | None = None,
    **arguments: Any,
) -> Any:
    """Start vLLM's AsyncLLM on a model's directory or hub id. Raises EngineFailed with vLLM's own words.

    worker: what runs the model on a CPU, unless the options ask for several. stats: where its metrics go.
    """
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
        "max_model_len": options.max_model_len,
        "max_num_seqs": options.max_num_seqs,
        "enforce_eager": on_cpu,
        "enable_prefix_caching": True,
        "logprobs_mode": "processed_logprobs",
        "disable_log_stats": stats is None,
        "trust_remote_code": False,
        "seed": 0,
    }
    if on_cpu and worker and not _SEVERAL_WORKERS & options.arguments.keys():
        # vLLM gives a CPU's model a process of its own and waits for it spinning: a core's time, twice a step.
        ours["distributed_executor_backend"] = worker
    try:
        given = with_spare_slot(options.arguments) if on_cpu else options.arguments
        engine_args = AsyncEngineArgs(**{**ours, **given, **arguments})
        loggers = None if stats is None or engine_args.disable_log_stats else [stat_logger(stats)]
        return AsyncLLM.from_engine_args(engine_args, stat_loggers=loggers)
    except Exception as error:
        raise EngineFailed(f"vLLM could not start on {model}: {one_line(error)}") from error


def with_spare_slot(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """A slot more for adapters, which no adapter ever takes, so that its weights stay zeros.

    In a step with an adapter's request, vLLM on a CPU adds the last slot's to those without one (vllm#48421, open).
    """
    if not given.get("enable_lora"):
        return given
    return {**given, "max_loras": given.get("max_loras", _ADAPTERS) + 1}


def engine_kind(dtype: Any) -> str:
    """The device and the dtype that vLLM took, such as cpu/float32."""
    from vllm.platforms import current_platform  # noqa: PLC0415 (after its environment is set)

    return f"{current_platform.device_type}/{str(dtype).removeprefix('torch.')}"


def cpu_dtype(cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """A CPU without bfloat16 instructions emulates them, slower than float32."""
    try:
        words = set(cpuinfo.read_text().split())
    except OSError:
        return "float32"
    return "bfloat16" if words & _BF16_FLAGS else "float32"


def one_line(error: BaseException) -> str:
    """An error's text, or its type's name, fit for a line."""
    return " ".join(str(error).split())[:500] or type(error).__name__
