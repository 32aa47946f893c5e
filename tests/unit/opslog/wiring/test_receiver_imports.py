"""What a receiver process loads."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[4]


def test_the_receiver_imports_neither_numpy_nor_pyarrow() -> None:
    """Both are needed for packs only, and take memory and time in every receiver."""
    program = (
        "import sys, opslog.wiring.receiver;"
        "print(*sorted({'numpy', 'pyarrow', 'storage.packs'} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert done.stdout.strip() == ""
