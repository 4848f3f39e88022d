"""What our scheduler stands on in vLLM, so that a moved interface is named; and what it keeps under pressure."""

from __future__ import annotations

import asyncio
import inspect
from dataclasses import fields

import pytest
from vllm.v1.core.sched.output import CachedRequestData, GrammarOutput, NewRequestData, SchedulerOutput
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.engine import EngineCoreOutput
from vllm.v1.request import Request
from vllm.v1.worker.gpu.model_runner import GPUModelRunner as SecondRunner
from vllm.v1.worker.gpu_model_runner import GPUModelRunner as FirstRunner

from serve.engine.protocol import Decoded
from serve.engine.vllm.scheduler import DecisionScheduler
from serve.routing.answer import answer_of
from tests.conftest import Live
from train.corpus.generator import Corpus, load_phrasebook


@pytest.mark.parametrize(
    ("method", "parameters"),
    [
        ("add_request", ["request"]),
        ("schedule", ["throttle_prefills"]),
        ("get_grammar_bitmask", ["scheduler_output"]),
        ("_update_request_with_output", ["request", "new_token_ids", "is_stale"]),
        ("_free_request", ["request", "delay_free_blocks"]),
    ],
)
def test_the_scheduler_has_the_methods_that_we_override(method: str, parameters: list[str]) -> None:
    assert list(inspect.signature(getattr(Scheduler, method)).parameters)[1:] == parameters
    assert method in vars(DecisionScheduler)


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (
            CachedRequestData,
            "req_ids resumed_req_ids new_token_ids all_token_ids new_block_ids num_computed_tokens num_output_tokens",
        ),
        (GrammarOutput, "structured_output_request_ids grammar_bitmask num_acceptable_drafts"),
    ],
)
def test_the_messages_that_we_make_have_no_other_fields(kind: type, names: str) -> None:
    assert [field.name for field in fields(kind)] == names.split()


def test_the_messages_that_we_change_have_the_fields_that_we_change() -> None:
    assert {"prompt_token_ids", "prefill_token_ids", "num_computed_tokens"} <= {f.name for f in fields(NewRequestData)}
    changed = {"scheduled_new_reqs", "scheduled_cached_reqs", "num_scheduled_tokens", "has_structured_output_requests"}
    assert changed <= {field.name for field in fields(SchedulerOutput)}
    assert {"append_output_token_ids", "update_block_hashes"} <= set(dir(Request))
    assert "kv_transfer_params" in EngineCoreOutput.__annotations__  # by which the time of masks is told
    assert "self._all_token_ids.extend(token_ids)" in inspect.getsource(Request.append_output_token_ids)


@pytest.mark.parametrize(("runner", "method"), [(FirstRunner, "_update_states"), (SecondRunner, "add_requests")])
def test_a_known_request_may_be_announced_again(runner: type, method: str) -> None:
    """Streaming input is how a worker learns of a longer prompt; both runners say so where they take it in."""
    assert "streaming" in inspect.getsource(getattr(runner, method)).lower()


def test_long_comments_in_pieces_and_preempted_are_answered_as_alone(live: Live) -> None:
    """Together they need several times the blocks that there are, and each more tokens than a step takes."""
    assert live.router
    texts = [comment.comment for comment in Corpus(load_phrasebook(), "test").comments(400)]
    tasks = [live.router.task(" ".join(texts[at : at + 9])) for at in range(0, 360, 9)]
    assert sum(len(t.prompt) + 2 * sum(map(len, t.chunk_tokens)) for t in tasks) > 260 * 128

    async def together() -> list[Decoded]:
        return await asyncio.gather(*map(live.engine.decode, tasks))

    decoded = live.run(together())
    for task, found in zip(tasks, decoded, strict=True):
        answer_of(task, found, live.router.pair)
    for at in (0, len(tasks) // 2, len(tasks) - 1):
        alone = live.run(live.engine.decode(live.router.task("".join(tasks[at].chunks))))
        assert alone.tokens == decoded[at].tokens
        assert alone.logprobs == pytest.approx(decoded[at].logprobs, abs=1e-2)
