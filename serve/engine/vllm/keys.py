"""Under which keys a request's data passes through vLLM, between this process and the engine core's."""

from __future__ import annotations

from typing import Final

AUTOMATON: Final = "route_feedback_automaton"
"""The key of vLLM's `additional_config` under which the scheduler finds the compiled automaton's file."""
CHUNKS: Final = "route_feedback_chunks"
"""The key of `SamplingParams.extra_args` that makes a request one of ours: its comment's chunks, in tokens."""
MASKING: Final = "route_feedback_masking_s"
"""The key under which the scheduler reports, with a finished request, how many seconds its constraint took."""
