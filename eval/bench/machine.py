"""What figures were taken on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """avx512, bfloat16: whether the CPU has such instructions. gpu: its name, None where none is used."""

    cpu: str
    cores: int | None
    avx512: bool
    bfloat16: bool
    gpu: str | None
    python: str


def this_machine() -> Machine:
    """As Linux describes its CPU; elsewhere as Python does."""
    flags = set()
    names = []
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = info.read_text(encoding="utf-8").splitlines()
        names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
        flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    return Machine(
        cpu=names[0] if names else platform.processor(),
        cores=os.cpu_count(),
        avx512="avx512f" in flags,
        bfloat16=bool(flags & {"avx512_bf16", "amx_bf16"}),
        gpu=None,
        python=platform.python_version(),
    )
