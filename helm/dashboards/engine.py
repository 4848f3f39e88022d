"""Panels of the engine: vLLM's own metrics, and what the constraint takes."""

from __future__ import annotations

from typing import Final

from helm.dashboards.charts import Chart, gauge, quantiles, rate, share

CHOSEN: Final = ',model_name=~"$checkpoint"'
"""vLLM's label for what an engine serves is the checkpoint: during an activation there are two."""
ENGINE: Final = {
    "Load": [
        Chart(
            "Running and waiting",
            "Comments in the engine: in the batch, and not yet taken into it. The service's own queue is before both.",
            "short",
            {
                "running {{pod}} {{model_name}}": gauge("vllm:num_requests_running", CHOSEN),
                "waiting {{pod}} {{model_name}}": gauge("vllm:num_requests_waiting", CHOSEN),
            },
        ),
        Chart(
            "KV cache",
            "Share of the cache's blocks that requests hold. Full, requests are preempted and computed again.",
            "percentunit",
            {"{{pod}} {{model_name}}": gauge("vllm:kv_cache_usage_perc", CHOSEN)},
            0.9,
            0.98,
        ),
        Chart(
            "Preemptions",
            "Requests that gave their blocks back and will be computed again.",
            "cps",
            {"{{pod}}": rate("vllm:num_preemptions_total", "pod", CHOSEN)},
            0.1,
            1,
        ),
        Chart(
            "Prefix cache hits",
            "Share of the prompts' tokens that were in the cache.",
            "percentunit",
            {
                "hits": share(
                    rate("vllm:prefix_cache_hits_total", where=CHOSEN),
                    rate("vllm:prefix_cache_queries_total", where=CHOSEN),
                )
            },
        ),
    ],
    "Tokens": [
        Chart(
            "Tokens",
            "A second: prompts' tokens by where they came from, and decisions. The forced tokens of an answer are "
            "computed too, and are in neither.",
            "short",
            {
                "prompt, {{source}}": rate("vllm:prompt_tokens_by_source_total", "source", CHOSEN),
                "decided": rate("vllm:generation_tokens_total", where=CHOSEN),
            },
        ),
        Chart(
            "Forced tokens",
            "Share of the answers' tokens that the constraint gave, without a step of the model.",
            "percentunit",
            {"forced": share(rate("answer_tokens_total", where=',kind="forced"'), rate("answer_tokens_total"))},
        ),
    ],
    "Time": [
        Chart(
            "To the first decision",
            "From the engine's taking a comment to its first decision.",
            "s",
            quantiles("vllm:time_to_first_token_seconds", 0.5, 0.95, where=CHOSEN),
        ),
        Chart(
            "Between decisions",
            "A step of the model, and what it waits for.",
            "s",
            quantiles("vllm:inter_token_latency_seconds", 0.5, 0.95, where=CHOSEN),
        ),
        Chart(
            "Waiting in the engine",
            "Until a comment is taken into the batch.",
            "s",
            quantiles("vllm:request_queue_time_seconds", 0.5, 0.95, where=CHOSEN),
        ),
        Chart(
            "Constraint",
            "Of one answer: compile is its pieces in tokens, masks is making them and advancing at every decision.",
            "s",
            quantiles("constraint_seconds", 0.5, 0.99, by="kind"),
        ),
    ],
}  # fmt: skip
