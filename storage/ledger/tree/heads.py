"""Heads leave the database: a file of each day, the log, and a URL where one is set.

    <data_dir>/heads/2026-11-23.heads    one line a head: {"head": "<signed note>"}
    <data_dir>/heads/pushed              the newest head that the URL has taken

Files are only appended to. Keep copies of them elsewhere: whoever has a head can tell later whether
the ledger of that time is still the beginning of today's.
"""

import asyncio
import json
import logging
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from storage.ledger.tree.notes import Head, read

_log = logging.getLogger(__name__)
_TELL_EVERY_S = 60.0
_PUSH_TIMEOUT_S = 10.0
_SUFFIX = ".heads"
_PUSHED = "pushed"


class Heads:
    """Where the heads of one installation go."""

    def __init__(
        self, folder: Path, *, url: str = "", token: str = "", push_every_s: float = 60.0
    ) -> None:
        """`url` is sent each newest head by POST, with `token` as bearer token if there is one."""
        self._folder = folder
        self._url = url
        self._token = token
        self._push_every_s = push_every_s
        self._told_s = self._pushed_s = float("-inf")
        self._pushing: asyncio.Task[None] | None = None
        self.problem = ""
        """Why the URL did not take the last head; empty when it did, or there is none."""

    def publish(self, note: str) -> None:
        """Append a head to the file; tell the log and the URL once in a while."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        day = datetime.now(UTC).strftime("%Y-%m-%d")
        line = json.dumps({"head": note}, ensure_ascii=False).encode() + b"\n"
        path = self._folder / (day + _SUFFIX)
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(handle, line)
        finally:
            os.close(handle)
        now_s = time.monotonic()
        if now_s - self._told_s >= _TELL_EVERY_S:
            self._told_s = now_s
            _log.info("ledger head %s", " ".join(note.split("\n\n", maxsplit=1)[0].split("\n")[:3]))
        if self._url and now_s - self._pushed_s >= self._push_every_s and not self._is_pushing():
            self._pushed_s = now_s
            self._pushing = asyncio.create_task(self._push(note))

    def newest(self) -> Head | None:
        """The newest head in the files."""
        for path in reversed(self._files()):
            heads = [read(note) for note in notes_in(path)]
            if heads:
                return heads[-1]
        return None

    def age_s(self) -> float | None:
        """Seconds since the last head was published; None: never."""
        files = self._files()
        return max(time.time() - files[-1].stat().st_mtime, 0.0) if files else None

    def push_age_s(self) -> float | None:
        """Seconds since the URL took a head; None: never."""
        path = self._folder / _PUSHED
        return max(time.time() - path.stat().st_mtime, 0.0) if path.exists() else None

    async def close(self) -> None:
        """Wait for a push on its way."""
        if self._pushing is not None:
            await self._pushing

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*" + _SUFFIX))

    def _is_pushing(self) -> bool:
        return self._pushing is not None and not self._pushing.done()

    async def _push(self, note: str) -> None:
        import aiohttp  # noqa: PLC0415 - only where a URL is set

        headers = {"Content-Type": "text/plain; charset=utf-8"}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        limit = aiohttp.ClientTimeout(total=_PUSH_TIMEOUT_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(self._url, data=note.encode(), headers=headers) as answer,
            ):
                problem = "" if answer.ok else f"the URL for heads answers {answer.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            problem = f"the URL for heads cannot be reached: {type(error).__name__}"
        if problem and problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem
        if not problem:
            await asyncio.to_thread((self._folder / _PUSHED).write_text, note, "utf-8")


def notes_in(path: Path) -> Iterator[str]:
    """The notes of a file of heads, oldest first; a line that a crash has cut off is left out."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)["head"]
