"""The benchmarks of lm-evaluation-harness that are asked here, and the metric that each is read by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One of them; what it asks and how stands in the harness's definition of `task`.

    data: its part of a folder of data. metrics: our figures, by the harness's metric and, after the comma, the filter
    that reads the answer. through_chat: whether it is asked through the chat template. has_subjects: whether it is one
    task a subject.
    """

    task: str
    data: str
    metrics: Mapping[str, str]
    through_chat: bool = False
    has_subjects: bool = False

    @property
    def is_by_length(self) -> bool:
        """Whether the likeliest choice is the likeliest for its length in characters."""
        return self.metrics.get("accuracy") == _BY_LENGTH["accuracy"]

    def has_data(self, folder: Path) -> bool:
        return (folder / self.data).exists()


_LIKELIEST: Final = {"accuracy": "acc,none"}
_BY_LENGTH: Final = {"accuracy": "acc_norm,none"}

BENCHMARKS: Final = {
    "mmlu": Benchmark("mmlu", "mmlu", _LIKELIEST, has_subjects=True),
    "mmlu_generative": Benchmark(
        "mmlu_generative", "mmlu", {"accuracy": "exact_match,get_response"}, through_chat=True, has_subjects=True
    ),
    "mmlu_continuation": Benchmark("mmlu_continuation", "mmlu", _LIKELIEST, has_subjects=True),
    "arc_easy": Benchmark("arc_easy", "arc/arc_easy_test.jsonl", _LIKELIEST),
    "arc_challenge": Benchmark("arc_challenge", "arc/arc_challenge_test.jsonl", _BY_LENGTH),
    "piqa": Benchmark("piqa", "piqa", _BY_LENGTH),
    "hellaswag": Benchmark("hellaswag", "hellaswag", _BY_LENGTH),
    "winogrande": Benchmark("winogrande", "winogrande", _LIKELIEST),
    "boolq": Benchmark("boolq", "boolq", _LIKELIEST),
    "openbookqa": Benchmark("openbookqa", "openbookqa", _BY_LENGTH),
    "commonsenseqa": Benchmark("commonsense_qa", "commonsenseqa", _LIKELIEST),
    "ifeval": Benchmark(
        "ifeval",
        "ifeval",
        {
            "prompt_strict": "prompt_level_strict_acc,none",
            "instruction_strict": "inst_level_strict_acc,none",
            "prompt_loose": "prompt_level_loose_acc,none",
            "instruction_loose": "inst_level_loose_acc,none",
        },
        through_chat=True,
    ),
    "gsm8k": Benchmark(
        "gsm8k", "gsm8k", {"strict": "exact_match,strict-match", "flexible": "exact_match,flexible-extract"}
    ),
}
"""By our name. Of what the harness gives two accuracies for, the one that is published for it: `acc`, the likeliest
choice, or `acc_norm`, the likeliest for its length. (MMLU's groups have `acc` alone.)"""

SUITE: Final = "suite"
"""The benchmark that is not the harness's: short questions from a file, for models too small for the others."""
NAMES: Final = (*BENCHMARKS, SUITE)
"""All that can be asked, in our order."""
