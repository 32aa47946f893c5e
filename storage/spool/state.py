"""The state of a spool: its files, the frames that writers have taken, its counters."""

from dataclasses import dataclass, field
from pathlib import Path

from storage.spool import files
from storage.spool.frame import Frame
from storage.spool.index import Index


@dataclass(slots=True)
class SpoolFile:
    """One file of the spool and its progress."""

    number: int
    path: Path
    end: int = files.FILE_HEADER_BYTES
    """Durable bytes that hold valid frames or known damage."""
    frames: int = 0
    rows: int = 0
    finished: int = 0
    """Frames released."""
    given: int = 0
    given_rows: int = 0
    """Frames handed to a writer, and their rows."""
    index: Index = field(default_factory=Index)


@dataclass(slots=True)
class Taken:
    """A frame that a writer has taken."""

    frame: Frame
    size: int
    file: SpoolFile


@dataclass(slots=True)
class SpoolState:
    """Counters for metrics, readiness and the ledger."""

    waiting_frames: int = 0
    waiting_rows: int = 0
    used_bytes: int = 0
    quarantined_frames: int = 0
    quarantined_rows: int = 0
    untouched_files: list[str] = field(default_factory=list)
    """Files of a newer release, which are neither read nor deleted."""
    failure: str = ""
    """Why the last write or sync failed; empty after a success."""
    appended_frames: int = 0
    groups: int = 0
    last_batch_id: int = 0
