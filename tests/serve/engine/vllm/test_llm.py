"""What vLLM is started with."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve.engine.vllm.llm import cpu_dtype, with_spare_slot


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [("avx512f avx512_bf16", "bfloat16"), ("avx512f avx2", "float32"), ("amx_bf16", "bfloat16"), ("", "float32")],
)
def test_a_cpu_without_bfloat16_instructions_gets_float32(tmp_path: Path, flags: str, dtype: str) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"flags\t\t: fpu {flags} sse\n")
    assert cpu_dtype(cpuinfo) == dtype
    assert cpu_dtype(tmp_path / "none") == "float32"


def test_on_a_cpu_adapters_get_a_slot_more_than_may_be_loaded_and_other_engines_none() -> None:
    assert with_spare_slot({"enable_lora": True})["max_loras"] == 4
    assert with_spare_slot({"enable_lora": True, "max_loras": 1}) == {"enable_lora": True, "max_loras": 2}
    assert with_spare_slot({"max_num_seqs": 8}) == {"max_num_seqs": 8}
