"""The files of one spool folder: names, file header, scan after a restart, quarantine.

    <folder>/lock            held by the process that owns the spool
    <folder>/identity.json   identity of the spool, and its number in the database
    <folder>/0000000001.spool …   file header, then frames
    <folder>/0000000001.frames …  index of the frames in that file (index.py)
    <folder>/quarantine/     unreadable bytes, each with a note (for operators, and for the ledger,
                             where each is entered once)

File header: magic 8 | version 2 | sequence 8 | last batch id before it 8 | CRC-32 4.
"""

import fcntl
import json
import mmap
import os
import struct
import uuid
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from config.errors import SetupError
from storage.errors import SpoolBusy
from storage.spool.frame import (
    MAGIC,
    FrameDamaged,
    FrameHead,
    FrameUnknown,
    find_frame,
    read_head,
)
from storage.spool.index import Index, Missing

FILE_MAGIC = b"OPSSPOOL"
FILE_VERSION = 1
_HEADER = struct.Struct(">8sHQQI")
FILE_HEADER_BYTES = _HEADER.size
SUFFIX = ".spool"
_STEP = 1 << 20


@dataclass(slots=True)
class Damage:
    """Bytes of a file that are not a valid frame."""

    offset: int
    size: int
    reason: str
    torn: bool
    """Truncated at the end of the file: a write that was never acknowledged."""


@dataclass(slots=True)
class Scan:
    """The contents of a file, from the heads of its frames."""

    frames: int
    rows: int
    end: int
    """Where the last valid frame ends."""
    last_batch_id: int
    damages: list[Damage]
    newer: str
    """Why this release must not touch the file; empty when it may."""
    index: Index = field(default_factory=Index)


def file_path(folder: Path, number: int) -> Path:
    """The path of spool file `number`."""
    return folder / f"{number:010d}{SUFFIX}"


def spool_files(folder: Path) -> list[tuple[int, Path]]:
    """The numbered spool files of a folder, oldest first."""
    found = [(int(path.stem), path) for path in folder.glob(f"*{SUFFIX}") if path.stem.isdecimal()]
    return sorted(found)


def file_header(number: int, last_batch_id: int) -> bytes:
    """The first bytes of spool file `number`."""
    head = struct.pack(">8sHQQ", FILE_MAGIC, FILE_VERSION, number, last_batch_id)
    return head + struct.pack(">I", zlib.crc32(head))


def last_batch_id_of(header: bytes) -> int:
    """The last batch id in a file header; 0 when it is damaged or of another version."""
    if len(header) < FILE_HEADER_BYTES:
        return 0
    magic, version, _, last_batch_id, crc = _HEADER.unpack_from(header)
    sound = crc == zlib.crc32(header[: FILE_HEADER_BYTES - 4])
    return int(last_batch_id) if sound and magic == FILE_MAGIC and version == FILE_VERSION else 0


def scan_file(path: Path) -> Scan:
    """Scan the heads of a file's frames; payloads are checked when they are read.

    Never raises for the file's contents: damage is reported, and the scan continues after it.
    """
    scan = Scan(0, 0, 0, 0, [], "")
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            return scan
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            scan.last_batch_id = last_batch_id_of(content[:FILE_HEADER_BYTES])
            _walk(content, scan)
    return scan


Piece = FrameHead | FrameUnknown | Damage


def pieces(view: mmap.mmap) -> Iterator[tuple[int, Piece]]:
    """What follows the file header, in order: valid heads, damage, and at most one newer frame.

    A frame that does not end where the next one begins is searched for another head: bytes may be
    missing from it, so that its stated end lies in the middle of a complete frame.
    """
    size = len(view)
    at = min(FILE_HEADER_BYTES, size)
    while at < size:
        try:
            head = read_head(view, at)
        except FrameUnknown as error:
            yield at, error
            return
        except FrameDamaged as error:
            damage = _damage(view, at, str(error), is_cut_off=error.torn)
            yield at, damage
            at += damage.size
            continue
        end = at + head.size
        if end != size and view[end : end + len(MAGIC)] != MAGIC:
            damage = _damage(view, at, "the last frame is cut off", is_cut_off=end > size)
            if at + damage.size < end:
                yield at, damage
                at += damage.size
                continue
        yield at, head
        at = end


def _damage(view: mmap.mmap, at: int, reason: str, *, is_cut_off: bool) -> Damage:
    """The damage from `at` to the next valid head, or to the end of the file."""
    following = find_frame(view, at + 1)
    if following >= 0:
        return Damage(at, following - at, reason, torn=False)
    return Damage(at, len(view) - at, reason, is_cut_off or _is_zero(view, at))


def _walk(view: mmap.mmap, scan: Scan) -> None:
    scan.end = min(FILE_HEADER_BYTES, len(view))
    for at, piece in pieces(view):
        if isinstance(piece, FrameUnknown):
            scan.newer = str(piece)
        elif isinstance(piece, Damage):
            scan.damages.append(piece)
        else:
            scan.frames += 1
            scan.rows += piece.rows
            scan.index.add(piece.batch_id, piece.rows)
            scan.last_batch_id = max(scan.last_batch_id, piece.batch_id)
            scan.end = at + piece.size


def _is_zero(view: mmap.mmap, at: int) -> bool:
    """Whether only zeros follow from `at` on: space that a write allocated but did not fill."""
    return not any(
        view[place : place + _STEP].strip(b"\0") for place in range(at, len(view), _STEP)
    )


def quarantine(folder: Path, source: Path, damage: Damage, rows: int) -> Path:
    """Copy damaged bytes to the quarantine, with a note that gives the reason."""
    place = folder / "quarantine"
    place.mkdir(mode=0o700, exist_ok=True)
    target = place / f"{source.stem}-{damage.offset}.frame"
    with source.open("rb") as file:
        file.seek(damage.offset)
        target.write_bytes(file.read(damage.size))
    _write_note(target, source, damage, rows)
    return target


def note_missing(folder: Path, missing: Missing, rows: int, reason: str) -> None:
    """Write a quarantine note without bytes for a spool file that was deleted from outside."""
    place = folder / "quarantine"
    place.mkdir(mode=0o700, exist_ok=True)
    source = missing.spool_file
    damage = Damage(0, 0, reason, torn=False)
    _write_note(place / f"{source.stem}-missing.frame", source, damage, rows)


def _write_note(target: Path, source: Path, damage: Damage, rows: int) -> None:
    note = {"file": source.name, "offset": damage.offset, "bytes": damage.size}
    note |= {"rows": rows, "reason": damage.reason}
    target.with_suffix(".json").write_text(json.dumps(note) + "\n")


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Quarantined bytes, as described by their note."""

    note: Path
    file: str
    """The spool file that held them."""
    offset: int
    size: int
    rows: int
    """0 where the number cannot be determined."""
    reason: str
    is_entered: bool
    """Whether the ledger has an entry for them."""


def quarantined_in(folder: Path) -> list[Quarantined]:
    """The contents of a spool's quarantine; unreadable notes are skipped."""
    found = []
    for path in sorted((folder / "quarantine").glob("*.json")):
        with suppress(ValueError, KeyError, TypeError, FileNotFoundError):
            raw = json.loads(path.read_text())
            numbers = (int(raw["offset"]), int(raw["bytes"]), int(raw["rows"]))
            entered = bool(raw.get("entered"))
            found.append(Quarantined(path, str(raw["file"]), *numbers, str(raw["reason"]), entered))
    return found


def note_entered(item: Quarantined) -> None:
    """Mark the note as entered in the ledger."""
    raw = json.loads(item.note.read_text())
    fresh = item.note.with_suffix(".new")
    fresh.write_text(json.dumps({**raw, "entered": True}) + "\n")
    fresh.replace(item.note)


def sync_folder(folder: Path) -> None:
    """Sync the directory entries (until then a new file is lost on a power failure)."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@dataclass(slots=True)
class Identity:
    """The identity of a spool; `spool_id` is assigned by the database, None until then."""

    identity: str
    spool_id: int | None


def load_identity(folder: Path) -> Identity:
    """Read the folder's identity, or create one."""
    path = folder / "identity.json"
    if path.exists():
        raw = json.loads(path.read_text())
        return Identity(raw["identity"], raw["spool_id"])
    fresh = Identity(str(uuid.uuid4()), None)
    save_identity(folder, fresh)
    return fresh


def save_identity(folder: Path, identity: Identity) -> None:
    """Write the folder's identity durably."""
    path = folder / "identity.json"
    fresh = path.with_suffix(".new")
    with fresh.open("w") as file:
        json.dump({"identity": identity.identity, "spool_id": identity.spool_id}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(folder)


class FolderLock:
    """Locks a spool folder for this process; the kernel releases it when the process ends."""

    def __init__(self, folder: Path) -> None:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise SetupError(
                f"the spool folder {folder} cannot be used: {error.strerror}; set spool.directory "
                "to a folder on a local disk that this account may write"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise SpoolBusy(f"the spool {folder} is in use by process {holder}") from error
        except OSError as error:
            os.close(self._descriptor)
            raise SetupError(
                f"the spool folder {folder} cannot be locked: {error.strerror}; set spool.directory"
                " to a folder on a local disk"
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, b"%d\n" % os.getpid(), 0)

    def release(self) -> None:
        """Release the lock."""
        os.close(self._descriptor)


def other_spools(own: Path) -> Iterator[Path]:
    """The spool folders beside `own`; unlocked ones may be adopted."""
    for path in sorted(own.parent.iterdir()):
        if path != own and path.is_dir() and (path / "identity.json").exists():
            yield path
