"""A file system of a few megabytes, so that a test can fill a disk."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opslog.system.processes import Account


@contextmanager
def small_disk(megabytes: int, owner: Account | None = None) -> Iterator[Path]:
    """A tmpfs that all accounts can traverse; the test is skipped if mounting is impossible."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("a small file system needs root and mount")
    place = Path(tempfile.mkdtemp(prefix="opslog-test-disk-"))
    place.chmod(0o711)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "opslog-test", place]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        place.rmdir()
        pytest.skip(f"a small file system cannot be mounted: {done.stderr.strip()}")
    try:
        if owner:
            os.chown(place, owner.uid, owner.gid)
        yield place
    finally:
        subprocess.run(["umount", "-l", place], check=True)
        place.rmdir()


class Ballast:
    """A file that fills a disk."""

    def __init__(self, disk: Path) -> None:
        self._path = disk / "ballast"

    def fill(self, *, leave_bytes: int = 0) -> None:
        """Leave about `leave_bytes` free."""
        piece = b"\0" * 65536
        # Unbuffered: what does not fit any more must not be tried again on closing.
        with self._path.open("ab", buffering=0) as file, _until_full():
            while shutil.disk_usage(self._path.parent).free > leave_bytes:
                file.write(piece)

    def drop(self) -> None:
        """Free the space."""
        self._path.unlink(missing_ok=True)


@contextmanager
def _until_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != 28:
            raise
