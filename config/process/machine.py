"""The machine: memory and cores available to this process, and protection of its memory."""

import ctypes
import os
import resource
import sys
from pathlib import Path

_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),  # cgroup v2
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),  # cgroup v1
)
_PR_SET_DUMPABLE = 4


def disable_memory_dumps() -> None:
    """Disable core dumps of this process and reading of its memory by other accounts.

    Its memory holds keys and records. Child programs inherit the rlimit; if core dumps are piped,
    the kernel checks only the dumpable flag (core(5)), which exec resets.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def memory_bytes() -> int:
    """Main memory, or the container's limit if that is smaller."""
    sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for path in _LIMITS:
        try:
            sizes.append(int(path.read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return min(sizes)


def cores() -> int:
    """Processors that this process may run on."""
    return len(os.sched_getaffinity(0))
