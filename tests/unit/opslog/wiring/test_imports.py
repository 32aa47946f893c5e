"""What the modules of a process import: packs cost a receiver nothing."""

import subprocess
import sys

import pytest

HEAVY = ("numpy", "pyarrow")
PROGRAM = """
import importlib, sys
importlib.import_module(sys.argv[1])
print(*[name for name in sys.argv[2:] if name in sys.modules])
"""


@pytest.mark.parametrize(
    "module",
    [
        "opslog.wiring.receiver",
        "opslog.wiring.app",
        "opslog.__main__",
        "otlp_receiver.codec",
        "storage.spool.spool",
        "storage.writing.writer",
        "storage.ledger.sequencer",
    ],
)
def test_neither_receiver_nor_spool_load_the_libraries_of_packs(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, *HEAVY], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == []


@pytest.mark.parametrize("module", ["opslog.jobs", "opslog.wiring.query", "opslog.wiring.worker"])
def test_pyarrow_is_loaded_only_for_files_of_other_writers(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, module, "pyarrow"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == []


def test_the_fork_server_has_one_thread_with_all_modules_loaded() -> None:
    """Forking a process with threads is not safe; numpy's libraries would start some."""
    program = (
        "import os; os.environ.pop('OPENBLAS_NUM_THREADS', None)\n"
        "from opslog.fork_server import preload\n"
        "preload()\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["1"]
