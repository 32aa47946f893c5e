"""The machine: its size, as far as this process may use it, and what it may write of us."""

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
    """From now on no core file is written of this process, and no other account reads its memory.

    Keys and records are in it. The limit holds for programs that it starts; where cores go to a
    pipe, the kernel asks for the second one alone (core(5)), which a start of a program resets.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


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
