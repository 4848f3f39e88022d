"""What routes and what the registry holds is known without the libraries that take seconds to import."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "transformers", "vllm")


@pytest.mark.parametrize(
    "module",
    [
        "serve.engine.protocol",
        "serve.engine.vllm.engine",
        "serve.registry.object_store",
        "serve.registry.registry",
        "serve.routing.active",
        "serve.routing.answer",
        "serve.routing.router",
        "serve.telemetry.metrics",
    ],
)
def test_the_types_of_an_answer_load_no_model_library(module: str) -> None:
    program = f"import sys, {module}; print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
