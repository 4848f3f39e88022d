"""How many CPU cores this process may keep busy: containers see the host's cores, whatever their quota."""

from __future__ import annotations

import os
from pathlib import Path as FilePath

CGROUP = FilePath("/sys/fs/cgroup")


def quota(cgroup: FilePath = CGROUP) -> int | None:
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


def thread_settings(cgroup: FilePath = CGROUP) -> dict[str, str]:
    """The environment that keeps vLLM within the quota: empty where it sees no more cores than it may use."""
    limit = quota(cgroup)
    visible = sorted(os.sched_getaffinity(0))
    if limit is None or limit >= len(visible):
        return {}
    bound = ",".join(map(str, visible[:limit]))
    return {"OMP_NUM_THREADS": str(limit), "VLLM_CPU_OMP_THREADS_BIND": bound}
