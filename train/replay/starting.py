"""vLLM as what writes a base's own chats."""

from __future__ import annotations

from serve.engine.completion import Completer
from serve.engine.vllm.completer import VllmCompleter
from serve.engine.vllm.llm import EngineOptions
from serve.settings import Settings
from train.replay.order import StartCompleter


def starter(settings: Settings) -> StartCompleter:
    """With the engine arguments of the settings."""

    def start(model: str, context: int, at_once: int) -> Completer:
        return VllmCompleter.start(model, EngineOptions(context, at_once, settings.engine))

    return start
