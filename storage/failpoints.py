"""Named places where a test makes a fault happen; they do nothing unless one is switched on.

    OPSLOG_FAILPOINTS="spool.after_fsync=kill@3,writer.before_commit=sleep:2"

Each entry is `place=action[@n]`: the n-th time the place is reached (default: every time).
Actions: kill (SIGKILL to this process), raise, enospc, eio, sleep:seconds (of this thread).
Places are listed in PLACES; an unknown one stops the process at start, so a test cannot pass by
misspelling. docs/reference/failpoints.md repeats the table.
"""

import errno
import os
import signal
import time

from config.errors import SetupError

PLACES: dict[str, str] = {
    "recv.body": "a request's body has been read, nothing else",
    "spool.before_append": "the frame is encoded, not yet written",
    "spool.before_write": "a group is complete, nothing of it is written",
    "spool.before_fsync": "the group is written, not yet synced",
    "spool.after_fsync": "the group is durable, no answer has left",
    "spool.before_unlink": "all frames of a spool file are stored, the file is still there",
    "ack.sent": "the record is durable and the answer is about to be sent",
    "writer.before_copy": "the batch is claimed, no row is sent",
    "writer.mid_copy": "the rows of a class have been sent, the COPY is not finished",
    "writer.before_commit": "everything is sent, not committed",
    "writer.after_commit": "committed, the frames are not yet released",
    "segments.before_roll": "a segment is about to be rolled over",
    "seal.after_index": "a bulk index of a closed segment is built",
    "seal.before_commit": "everything is built and read back, the segment is not yet sealed",
    "retire.after_mark": "segments are marked, no question goes there, their leaves are all there",
    "retire.after_detach": "a leaf is detached, its rows are all there",
    "retire.before_commit": "a leaf is dropped and the ledger says so, not committed",
    "rewrite.after_copy": "rows are copied into a leaf that nobody sees yet",
    "rewrite.before_switch": "the new leaf is indexed and compared, the old ones are in place",
    "rewrite.after_switch": "the new leaf is in place, the old ones are still there",
}


class FailpointHit(RuntimeError):
    """The action `raise`."""


_ERRNO = {"enospc": errno.ENOSPC, "eio": errno.EIO}


class _Failpoint:
    def __init__(self, text: str) -> None:
        place, _, action = text.partition("=")
        action, _, nth = action.partition("@")
        if place not in PLACES:
            raise SetupError(f"OPSLOG_FAILPOINTS names {place!r}; places are {', '.join(PLACES)}")
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
    """Switch on what `text` (the value of OPSLOG_FAILPOINTS) names; an empty text switches all off.

    Raises:
        SetupError: a place or an action does not exist.
    """
    points = [_Failpoint(entry.strip()) for entry in text.split(",") if entry.strip()]
    _active.clear()
    _active.update({point.place: point for point in points})


def reach(place: str) -> None:
    """Say that the program has reached `place`."""
    if _active:
        point = _active.get(place)
        if point is not None:
            point.fire()
