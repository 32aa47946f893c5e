"""Where the packs of an installation lie, and those that are open.

    <packs_dir>/opslog-packs.json            which installation they belong to
    <packs_dir>/<class>/<segment>.parquet    0440, in folders 0700
    <packs_dir>/<class>/<segment>.idx
    <packs_dir>/<class>/ids.filters          which packs cannot have an id (index/bloom.py)

Threads may share a store. A pack stays usable for who holds it after it was closed or unlinked.
"""

import errno
import json
import os
import resource
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from config.errors import OpslogError
from storage.packs.errors import PackDamaged
from storage.packs.index.bloom import ClassFilters
from storage.packs.pack import Pack
from storage.packs.spool import sync_folder

MARKER = "opslog-packs.json"
FORMAT = 1
ENDINGS = ("parquet", "idx")
_FOLDER_MODE = 0o700
_OPEN = 1024
"""Packs that stay open, of those read last: about 20 kB and two file descriptors each."""
_DESCRIPTORS = 0.25
"""Share of the process's file descriptors for open packs."""
_GONE = {errno.ENOENT, errno.ENOTDIR}


def most_open_packs() -> int:
    """How many packs may stay open in this process."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return max(1, min(_OPEN, int(descriptors * _DESCRIPTORS / 2)))


class PacksUnavailable(OpslogError):
    """The directory of the packs is not there, or belongs to another installation."""

    code = "packs_unavailable"
    title = "The directory of the packs cannot be used"


@lru_cache(maxsize=4)
def store_at(directory: Path | None) -> "PackStore | None":
    """The store of this process for a directory (Settings.packs_dir); None without one."""
    return None if directory is None else PackStore(directory)


@dataclass(frozen=True, slots=True)
class Found:
    """A file in the store."""

    path: Path
    class_name: str
    segment: int


class PackStore:
    """The packs below one directory."""

    def __init__(self, directory: Path, *, most_open: int | None = None) -> None:
        self.directory = directory
        self._most_open = most_open_packs() if most_open is None else most_open
        self._open: OrderedDict[int, Pack] = OrderedDict()
        self._filters: dict[str, ClassFilters] = {}
        self._lock = threading.Lock()

    def prepare(self, installation: str) -> None:
        """Make the directory and its marker where there is none yet. Raises PacksUnavailable.

        An empty directory becomes ours; one of another installation is refused.
        """
        try:
            self.directory.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            if not self._marker.exists() and not any(self.directory.iterdir()):
                self.directory.chmod(_FOLDER_MODE)
                self._write_marker(installation)
        except OSError as error:
            raise PacksUnavailable(f"{self.directory} cannot be made: {error.strerror}") from error
        self.check(installation)

    def check(self, installation: str) -> None:
        """Whether the directory is there and ours. Raises PacksUnavailable."""
        try:
            found = json.loads(self._marker.read_text("utf-8"))
        except OSError as error:
            raise PacksUnavailable(
                f"{self.directory} has no readable {MARKER} ({error.strerror}): is it mounted?"
            ) from error
        except ValueError as error:
            raise PacksUnavailable(f"{self._marker} is not JSON: {error}") from error
        if not isinstance(found, dict) or found.get("installation") != installation:
            raise PacksUnavailable(f"{self.directory} belongs to another installation")
        if found.get("format") != FORMAT:
            raise PacksUnavailable(f"{self.directory} has format {found.get('format')}, not 1")

    def problem(self, installation: str) -> str:
        """Why the directory cannot be used; empty: it can."""
        try:
            self.check(installation)
        except PacksUnavailable as error:
            return str(error)
        return ""

    @property
    def _marker(self) -> Path:
        return self.directory / MARKER

    def _write_marker(self, installation: str) -> None:
        fresh = self.directory / f"{MARKER}.new"
        with fresh.open("w", encoding="utf-8") as file:
            json.dump({"installation": installation, "format": FORMAT}, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.chmod(0o440)
        fresh.replace(self._marker)
        sync_folder(self.directory)

    def folder(self, class_name: str) -> Path:
        """The folder of a class."""
        if not class_name or class_name.startswith(".") or "/" in class_name:
            raise ValueError(f"class {class_name!r} cannot be the name of a folder")
        return self.directory / class_name

    def make_folder(self, class_name: str) -> Path:
        """The same, made where it does not exist."""
        folder = self.folder(class_name)
        try:
            folder.mkdir(mode=_FOLDER_MODE)
        except FileExistsError:
            return folder
        folder.chmod(_FOLDER_MODE)  # mkdir's mode is reduced by the umask
        sync_folder(self.directory)
        return folder

    def paths(self, class_name: str, segment: int) -> tuple[Path, Path]:
        """Data file and index."""
        folder = self.folder(class_name)
        return folder / f"{segment}.parquet", folder / f"{segment}.idx"

    def open(self, class_name: str, segment: int, data_hash: bytes | None = None) -> Pack:
        """The pack of a segment, opened on first use; `data_hash` is the catalogue's.

        Raises PackDamaged.
        """
        with self._lock:
            pack = self._open.get(segment)
            is_it = pack is not None and (data_hash is None or pack.data_sha256 == data_hash.hex())
            if pack is not None and is_it and pack.is_whole:
                self._open.move_to_end(segment)
                return pack
        fresh = self.read(class_name, segment, data_hash)
        with self._lock:
            self._open[segment] = fresh
            while len(self._open) > self._most_open:
                self._open.popitem(last=False)
        return fresh

    def read(self, class_name: str, segment: int, data_hash: bytes | None = None) -> Pack:
        """The pack of a segment, always freshly opened. Raises PackDamaged."""
        folder = self.folder(class_name)
        pack = Pack(folder, segment)
        if pack.class_name != class_name:
            raise PackDamaged(pack.path, f"is a pack of class {pack.class_name}")
        if data_hash is not None and pack.data_sha256 != data_hash.hex():
            raise PackDamaged(pack.path, "another pack than the catalogue's")
        return pack

    def filters(self, class_name: str) -> ClassFilters:
        """Which packs of a class cannot have a trace id or a correlation id."""
        with self._lock:
            found = self._filters.get(class_name)
            if found is None:
                found = self._filters[class_name] = ClassFilters(self.folder(class_name))
            return found

    def forget(self, segment: int) -> None:
        """Open the pack again the next time: its files have changed, or are gone."""
        with self._lock:
            self._open.pop(segment, None)

    def keep_only(self, segments: Iterable[int]) -> None:
        """Close the packs of all other segments."""
        wanted = set(segments)
        with self._lock:
            for segment in [each for each in self._open if each not in wanted]:
                del self._open[segment]

    def unlink(self, class_name: str, segment: int) -> bool:
        """Remove both files; whether there was one. Who has it open reads on."""
        self.forget(segment)
        was_there = False
        for path in self.paths(class_name, segment):
            try:
                path.unlink()
                was_there = True
            except OSError as error:
                if error.errno not in _GONE:
                    raise
        if was_there:
            sync_folder(self.folder(class_name))
        return was_there

    def files(self) -> Iterator[Found]:
        """All files of packs, unfinished ones included."""
        for folder in sorted(self.directory.iterdir()):
            if not folder.is_dir():
                continue
            for path in sorted(folder.iterdir()):
                number, _, ending = path.name.partition(".")
                if number.isdecimal() and ending.removesuffix(".tmp") in ENDINGS:
                    yield Found(path, folder.name, int(number))
