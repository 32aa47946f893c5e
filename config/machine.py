"""The size of the machine, as far as this process may use it."""

import os
from pathlib import Path

_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),  # cgroup v2
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # cgroup v1
)


def memory_bytes() -> int:
    """Main memory, or the container's limit where that is smaller."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _LIMITS:
        try:
            sizes.append(int(path.read_text()))
        except (OSError, ValueError):  # no such file, or the word "max"
            continue
    return min(sizes)


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))
