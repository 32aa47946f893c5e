"""Loaded into the product's processes by PYTHONPATH: logs what would survive a power failure.

    synced SIZE PATH     a file was synced when it had that many bytes
    folder PATH          a folder was synced: names created and removed in it before are durable
    removed COPY PATH    a spool file was unlinked; COPY is a second name of it

tests/support/power.py reads the log and removes what a power failure may remove.
"""

import os
import stat
from contextlib import suppress
from pathlib import Path

_DIARY = os.environ["TEST_POWER_DIARY"]
_handle = os.open(_DIARY, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
_fsync, _fdatasync, _unlink = os.fsync, os.fdatasync, os.unlink


def _note(descriptor, size):
    path = Path(f"/proc/self/fd/{descriptor}").readlink()
    what = "folder" if size is None else f"synced {size}"
    os.write(_handle, f"{what} {path}\n".encode())


def _synced(really):
    def sync(descriptor):
        number = descriptor if isinstance(descriptor, int) else descriptor.fileno()
        seen = os.fstat(number)
        size = None if stat.S_ISDIR(seen.st_mode) else seen.st_size
        really(descriptor)
        _note(number, size)

    return sync


def _removed(path, *arguments, **options):
    text = str(path)
    if text.endswith(".spool"):
        copy = f"{_DIARY}.{os.getpid()}.{text.rpartition('/')[2]}"
        with suppress(OSError):
            os.link(text, copy)
            os.write(_handle, f"removed {copy} {text}\n".encode())
    _unlink(path, *arguments, **options)


os.fsync, os.fdatasync, os.unlink = _synced(_fsync), _synced(_fdatasync), _removed
