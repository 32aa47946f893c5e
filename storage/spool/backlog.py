"""Reads frames back from the spool files: after a restart, or when memory did not hold them."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from storage.spool import files
from storage.spool.frame import FrameDamaged, decode_frame, find_frame, read_head
from storage.spool.state import SpoolFile, SpoolState, Taken

_log = logging.getLogger(__name__)
_READ_AT_LEAST = 1 << 20

Quarantine = Callable[[SpoolFile, files.Damage, int], None]
"""Called for damage in a file, with the number of rows in it if known, else 0."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Where reading stops."""

    end: int
    """Offset in the file."""
    rows: int
    bytes: int


def read_frames(
    file: SpoolFile, offset: int, limits: Limits, quarantine: Quarantine
) -> tuple[list[Taken], int]:
    """Frames of one file from `offset` on, and the next offset; runs in a thread."""
    taken: list[Taken] = []
    rows = size = 0
    with file.path.open("rb") as source:
        while offset < limits.end and rows < limits.rows and size < limits.bytes:
            item, step = _read_one(source.fileno(), file, offset, limits.end, quarantine)
            offset += step
            if item is not None:
                taken.append(item)
                rows += item.frame.rows
                size += item.size
    return taken, offset


def _read_one(
    descriptor: int, file: SpoolFile, offset: int, end: int, quarantine: Quarantine
) -> tuple[Taken | None, int]:
    """The frame at `offset` (None when damaged) and the bytes to the next."""
    want = _READ_AT_LEAST
    while True:
        buffer = os.pread(descriptor, min(want, end - offset), offset)
        try:
            frame, size = decode_frame(buffer)
        except FrameDamaged as error:
            if error.torn and len(buffer) < end - offset:
                want = max(error.size, want * 4)
                continue
            damage, rows = _damage(descriptor, offset, end, error)
            quarantine(file, damage, rows)
            return None, damage.size
        return Taken(frame, size, file), size


def _damage(
    descriptor: int, offset: int, end: int, error: FrameDamaged
) -> tuple[files.Damage, int]:
    """The unreadable bytes from `offset` to the next valid frame, and the rows in them."""
    rest = os.pread(descriptor, end - offset, offset)
    step = error.size
    known = 0 < step <= len(rest)
    following = find_frame(rest, 1)
    if not known or 0 < following < step:
        step = following if following > 0 else len(rest)
    rows = read_head(rest).rows if known else 0
    return files.Damage(offset, step, str(error), torn=False), rows


def recover_files(folder: Path, state: SpoolState) -> tuple[dict[int, SpoolFile], int]:
    """The files left by a previous process, by number, and the highest number; updates `state`."""
    found: dict[int, SpoolFile] = {}
    last_number = 0
    for number, path in files.spool_files(folder):
        last_number = number
        scan = files.scan_file(path)
        state.last_batch_id = max(state.last_batch_id, scan.last_batch_id)
        if scan.newer:
            _log.error("spool: %s is left unchanged: %s", path, scan.newer)
            state.untouched_files.append(f"{path.name}: {scan.newer}")
            continue
        file = SpoolFile(number, path, max(scan.end, 0), scan.frames, scan.rows)
        scan.index.write(path)
        for damage in scan.damages:
            _recover_damage(file, damage)
        found[number] = file
        state.used_bytes += file.end
        state.waiting_frames += scan.frames
        state.waiting_rows += scan.rows
    return found, last_number


def _recover_damage(file: SpoolFile, damage: files.Damage) -> None:
    if damage.torn:
        _log.warning(
            "spool: %s ends in %d bytes of a write that was never acknowledged; truncated",
            file.path.name, damage.size,
        )  # fmt: skip
        os.truncate(file.path, damage.offset)
        file.end = damage.offset
        return
    # Quarantined when it is read, since the following frame is known by then.
    file.end = max(file.end, damage.offset + damage.size)
