"""Named points at which a test injects a fault; they do nothing unless enabled.

    OPSLOG_FAILPOINTS="spool.after_fsync=kill@3,writer.before_commit=sleep:2"

Each entry is `point=action[@n]`: the n-th time the point is reached (default: every time).
Actions: kill (SIGKILL to this process), raise, enospc, eio, sleep:seconds (of this thread).
The points are listed in PLACES; an unknown one stops the process at start, so a misspelling cannot
make a test pass. docs/reference/failpoints.md repeats the table.
"""

import errno
import os
import signal
import time

from config.errors import SetupError

PLACES: dict[str, str] = {
    "recv.body": "a request's body has been read but not processed",
    "spool.before_append": "the frame is encoded, not yet written",
    "spool.before_write": "a group is complete, not yet written",
    "spool.before_fsync": "the group is written, not yet synced",
    "spool.after_fsync": "the group is durable, no response has been sent",
    "spool.before_unlink": "all frames of a spool file are stored, the file still exists",
    "ack.sent": "the record is durable and the response is about to be sent",
    "writer.before_copy": "the batch is claimed, no row has been sent",
    "writer.mid_copy": "the rows of a class have been sent, the COPY is not finished",
    "writer.before_commit": "everything is sent, not yet committed",
    "writer.after_commit": "committed, the frames not yet released",
    "segments.before_roll": "a segment is about to be rolled over",
    "pack.before_write": "the rows of a closed segment are read, no file is written",
    "pack.before_sync": "the rows of a new pack are written, not yet synced",
    "pack.before_rename": "both files of a new pack are synced and its rows read back",
    "pack.between_files": "the data file of a new pack has its name, its index not yet",
    "pack.after_write": "both files of a pack are in place, the segment is still closed",
    "pack.before_commit": "the segment is marked packed, not yet committed",
    "pack.after_commit": "the segment is packed, its leaf is still attached",
    "pack.after_detach": "the leaf of a packed segment is detached, not yet dropped",
    "pack.after_drop": "the leaf of a packed segment is dropped",
    "pack.before_unlink": "a removed pack is dropped in the catalogue, its files still exist",
    "unpack.before_switch": "the leaf of a pack is filled, no query reads it",
    "unpack.after_switch": "the leaf is read again, the files of the pack still exist",
    "retire.after_mark": "segments are marked, no query reads them, their leaves still exist",
    "retire.after_detach": "a leaf is detached, its rows still exist",
    "retire.before_commit": "a leaf is dropped and entered in the ledger, not yet committed",
    "rewrite.after_copy": "a new pack is written and compared, no query reads it",
    "rewrite.before_switch": "the new pack takes the place of the old ones, not yet committed",
    "rewrite.after_switch": "the new pack is read, the files of the old ones still exist",
}


class FailpointHit(RuntimeError):
    """Raised by the action `raise`."""


_ERRNO = {"enospc": errno.ENOSPC, "eio": errno.EIO}


class _Failpoint:
    def __init__(self, text: str) -> None:
        place, _, action = text.partition("=")
        action, _, nth = action.partition("@")
        if place not in PLACES:
            raise SetupError(f"OPSLOG_FAILPOINTS: unknown point {place!r}; use {', '.join(PLACES)}")
        self.place = place
        self.action, _, self.argument = action.partition(":")
        if self.action not in {"kill", "raise", "sleep", *_ERRNO}:
            raise SetupError(f"OPSLOG_FAILPOINTS: {place} has no action {self.action!r}")
        self.nth = int(nth) if nth else 0
        self.reached = 0

    def fire(self) -> None:
        self.reached += 1
        if self.nth and self.reached != self.nth:
            return
        if self.action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.action == "sleep":
            time.sleep(float(self.argument))
        elif self.action == "raise":
            raise FailpointHit(self.place)
        else:
            code = _ERRNO[self.action]
            raise OSError(code, os.strerror(code), self.place)


_active: dict[str, _Failpoint] = {}


def configure(text: str) -> None:
    """Enable the failpoints named in `text`, the value of OPSLOG_FAILPOINTS; empty disables all.

    Raises:
        SetupError: a point or an action does not exist.
    """
    points = [_Failpoint(entry.strip()) for entry in text.split(",") if entry.strip()]
    _active.clear()
    _active.update({point.place: point for point in points})


def reach(place: str) -> None:
    """Fire the failpoint `place` if it is enabled."""
    if _active:
        point = _active.get(place)
        if point is not None:
            point.fire()
