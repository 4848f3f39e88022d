"""A container's quota, not the host's cores, bounds the threads."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from serve.engine.cores import quota, thread_settings


@pytest.mark.parametrize(
    ("text", "cores"),
    [("400000 100000", 4), ("765000 100000", 7), ("50000 100000", 1), ("max 100000", None), ("", None)],
)
def test_the_quota_is_read_and_rounded_down(tmp_path: Path, text: str, cores: int | None) -> None:
    (tmp_path / "cpu.max").write_text(text)
    assert quota(tmp_path) == cores


@pytest.mark.parametrize(("allowed", "cores"), [("200000", 2), ("-1", None)])
def test_the_first_version_of_cgroups_has_two_files(tmp_path: Path, allowed: str, cores: int | None) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text(allowed)
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert quota(tmp_path) == cores


def test_threads_keep_within_the_quota_and_leave_a_core_to_the_service(tmp_path: Path) -> None:
    visible = sorted(os.sched_getaffinity(0))
    unbound = {"OMP_NUM_THREADS": str(max(1, len(visible) - 1))}
    assert thread_settings(tmp_path) == unbound
    (tmp_path / "cpu.max").write_text(f"{len(visible) * 100_000} 100000")
    assert thread_settings(tmp_path) == unbound
    (tmp_path / "cpu.max").write_text("100000 100000")
    one = {"OMP_NUM_THREADS": "1", "VLLM_CPU_OMP_THREADS_BIND": str(visible[0])}
    assert thread_settings(tmp_path) == (one if len(visible) > 1 else unbound)
