"""The one file that knows vLLM's scheduler: a step of the model is spent on decisions alone.

A task's prompt ends where its first decision stands. When a decision is sampled, the tokens that it forces are appended
to the request as if the client had sent them: the next step computes them together, like a piece of prompt, and
samples the next decision after the last of them. No token is drafted or verified, and logits are computed only where
there is a choice. The worker learns of the appended tokens by the way vLLM has for sessions whose input streams in: a
request that it knows is announced once more, with a longer prompt. Blocks, prefix caching, chunked prefill and
preemption are vLLM's own.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from vllm.v1.core.sched.output import CachedRequestData, GrammarOutput, NewRequestData, SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import Request, RequestStatus

from serve.engine.masks import Masks
from serve.engine.orphans import end_with_parent
from serve.engine.vllm.keys import AUTOMATON, CHUNKS, MASKING
from taxonomy.language.automaton import Automaton, Walk


class DecisionScheduler(Scheduler):  # type: ignore[misc]  # vLLM's base is untyped to us
    """vLLM's scheduler, which walks the automaton for the requests that are ours."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        # vLLM's engine core, which this runs in, would stay behind with its memory when the service is killed.
        end_with_parent()
        automaton = Automaton.load(Path(self.vllm_config.additional_config[AUTOMATON]))
        self._masks = Masks(automaton, self.vllm_config.model_config.get_vocab_size())
        self._walks: WeakKeyDictionary[Request, Walk] = WeakKeyDictionary()
        self._grown: set[str] = set()
        self._masking_s: WeakKeyDictionary[Request, float] = WeakKeyDictionary()

    def add_request(self, request: Request) -> None:
        chunks = ((request.sampling_params and request.sampling_params.extra_args) or {}).get(CHUNKS)
        if chunks:
            self._walks[request] = self._masks.automaton.walk(chunks)
            self._masking_s[request] = 0.0
        super().add_request(request)

    def schedule(self, throttle_prefills: bool = False) -> SchedulerOutput:
        output = super().schedule(throttle_prefills)
        cached = output.scheduled_cached_reqs
        grown = [i for i, request_id in enumerate(cached.req_ids) if request_id in self._grown]
        if grown:
            output.scheduled_new_reqs += [
                self._announced(cached.req_ids[i], cached.num_computed_tokens[i]) for i in grown
            ]
            output.scheduled_cached_reqs = _without(cached, set(grown))
        # A runner that wants preempted requests announced whole gets them so from vLLM itself.
        self._grown.difference_update(output.num_scheduled_tokens, output.finished_req_ids)
        output.has_structured_output_requests |= bool(self._deciding(output))
        return output

    def _announced(self, request_id: str, computed: int) -> NewRequestData:
        tokens = list(self.requests[request_id].all_token_ids)
        return replace(
            NewRequestData.from_request(
                self.requests[request_id], self.kv_cache_manager.get_block_ids(request_id), prefill_token_ids=tokens
            ),
            prompt_token_ids=tokens,
            num_computed_tokens=computed,
        )

    def _deciding(self, output: SchedulerOutput) -> list[Request]:
        """Our requests for which this step ends at a decision."""
        ours = (self.requests.get(request_id) for request_id in output.num_scheduled_tokens)
        return [request for request in ours if request in self._walks and not request.is_prefill_chunk]

    def get_grammar_bitmask(self, scheduler_output: SchedulerOutput) -> GrammarOutput | None:
        others = super().get_grammar_bitmask(scheduler_output)
        deciding = self._deciding(scheduler_output)
        if not deciding:
            return others
        ids = [request.request_id for request in deciding]
        started = time.perf_counter()
        masks = np.stack([self._masks.of(self._walks[request]) for request in deciding])
        each = (time.perf_counter() - started) / len(deciding)
        for request in deciding:
            self._masking_s[request] += each
        if others is None:
            return GrammarOutput(ids, masks, [0] * len(ids))
        return GrammarOutput(
            [*others.structured_output_request_ids, *ids],
            np.concatenate([others.grammar_bitmask, masks]),
            [*(others.num_acceptable_drafts or []), *[0] * len(ids)],
        )

    def _update_request_with_output(
        self, request: Request, new_token_ids: list[int], *arguments: Any, **options: Any
    ) -> tuple[list[int], bool]:
        walk = self._walks.get(request)
        if walk is None:
            stopped: tuple[list[int], bool] = super()._update_request_with_output(
                request, new_token_ids, *arguments, **options
            )
            return stopped
        (token,) = new_token_ids
        request.append_output_token_ids(token)
        started = time.perf_counter()
        try:
            forced = walk.decide(token)
            self._masking_s[request] += time.perf_counter() - started
        except ValueError:
            # Logits that are no numbers defeat the mask; only this request may fail for it.
            request.status = RequestStatus.FINISHED_ERROR
            return new_token_ids, True
        if walk.is_done:
            request.status = RequestStatus.FINISHED_STOPPED
            return new_token_ids, True
        if forced:
            request._all_token_ids.extend(forced)  # not output: they were not sampled
            request.update_block_hashes()
            self._grown.add(request.request_id)
        return new_token_ids, False

    def _free_request(
        self, request: Request, *arguments: Any, **options: Any
    ) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
        # What connectors report of a finished request is the one place where a scheduler can add something to it.
        reported, other = super()._free_request(request, *arguments, **options)
        if request in self._masking_s:
            reported = (reported or {}) | {MASKING: self._masking_s[request]}
        return reported, other


def _without(cached: CachedRequestData, left_out: set[int]) -> CachedRequestData:
    """What remains of the cached requests' data."""

    def kept(values: list[Any]) -> list[Any]:
        return [value for i, value in enumerate(values) if i not in left_out]

    return CachedRequestData(
        req_ids=kept(cached.req_ids),
        resumed_req_ids=cached.resumed_req_ids.intersection(kept(cached.req_ids)),
        new_token_ids=kept(cached.new_token_ids),
        all_token_ids={name: tokens for name, tokens in cached.all_token_ids.items() if name in kept(cached.req_ids)},
        new_block_ids=kept(cached.new_block_ids),
        num_computed_tokens=kept(cached.num_computed_tokens),
        num_output_tokens=kept(cached.num_output_tokens),
    )
