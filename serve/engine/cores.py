"""How many CPU cores this process may keep busy: containers see the host's cores, whatever their quota."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def quota(cgroup: Path = CGROUP) -> int | None:
    """Whole cores of the CPU quota (cgroup v2, then v1), at least one; None where there is none.

    Rounded down: one thread more than the quota, and all of them wait at every barrier for the throttled one.
    """
    try:
        allowed, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            allowed = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    if not allowed.isdigit() or not period.isdigit() or int(allowed) == 0:
        return None
    return max(1, int(allowed) // int(period))


def thread_settings(cgroup: Path = CGROUP) -> dict[str, str]:
    """The environment that keeps vLLM within the cores that it may use, one of them left to the rest of the service.

    A thread that waits for its core stops all of them at the next barrier; one thread fewer is faster than that.
    """
    limit = quota(cgroup)
    visible = sorted(os.sched_getaffinity(0))
    if limit is None or limit >= len(visible):
        return {"OMP_NUM_THREADS": str(max(1, len(visible) - 1))}
    bound = ",".join(map(str, visible[:limit]))
    return {"OMP_NUM_THREADS": str(max(1, limit - 1)), "VLLM_CPU_OMP_THREADS_BIND": bound}
