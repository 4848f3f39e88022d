"""Models as lm-evaluation-harness sees them: one from a directory or the hub, and a scripted one without weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.models.huggingface import HFLM

from taxonomy.errors import CheckpointInvalid

Turns = list[dict[str, str]]


def open_model(name: str, batch: int, *, chat: bool) -> LM:
    """A Hugging Face directory or hub id on the GPU if there is one. Raises CheckpointInvalid.

    chat: whether it will be asked through its chat template, so that it must have one.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        # Thinking is off here as it is where comments are routed; templates that know no such switch ignore it.
        model = HFLM(pretrained=name, backend="causal", batch_size=batch, device=device, enable_thinking=False)
    except (OSError, ValueError) as error:
        raise CheckpointInvalid(
            f"{name}: cannot be loaded as a language model: {str(error).splitlines()[0]}"
        ) from error
    if chat and not model.tokenizer.chat_template:
        raise CheckpointInvalid(f"{name} has no chat template; leave out the tasks that need one")
    return model


class ScriptedModel(LM):  # type: ignore[misc]  # the harness is untyped to us
    """A model made of two functions: `answer` to a prompt, and the `likelihood` (a log) of a text after a prompt."""

    def __init__(self, answer: Callable[[str], str], likelihood: Callable[[str, str], float]) -> None:
        super().__init__()
        self._answer, self._likelihood = answer, likelihood

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """The answers, each up to the first of its stop texts."""
        return [_until(self._answer(prompt), settings["until"]) for prompt, settings in _arguments(requests)]

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        """Nothing is ever said to be what greedy decoding gives."""
        return [(self._likelihood(prompt, text), False) for prompt, text in _arguments(requests)]

    def loglikelihood_rolling(self, requests: Sequence[Instance]) -> list[float]:
        """Whole texts, with nothing before them."""
        return [self._likelihood("", text) for (text,) in _arguments(requests)]

    def apply_chat_template(self, chat_history: Turns, add_generation_prompt: bool = True) -> str:  # noqa: FBT001, FBT002 (the harness's)
        turns = [f"<{turn['role']}>{turn['content']}" for turn in chat_history]
        return "".join([*turns, "<assistant>"] if add_generation_prompt else turns)

    @property
    def tokenizer_name(self) -> str:
        return "scripted"


def _arguments(requests: Sequence[Instance]) -> list[Any]:
    return [request.args for request in requests]


def _until(text: str, stops: Sequence[str]) -> str:
    ends = [end for stop in stops if (end := text.find(stop)) >= 0]
    return text[: min(ends, default=len(text))]
