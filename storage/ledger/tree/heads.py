"""Publishes heads outside the database: a file per day, the log, and a URL if configured.

    <data_dir>/heads/2026-11-23.heads    one line per head: {"head": "<signed note>"}
    <data_dir>/heads/pushed              the newest head that was pushed to the URL

Files are append-only. Keep copies of them elsewhere: with a head one can verify later that the
ledger of that time is a prefix of the current one.
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
_LOG_EVERY_S = 60.0
_PUSH_TIMEOUT_S = 10.0
_SUFFIX = ".heads"
_PUSHED = "pushed"


class Heads:
    """Publishes the heads of one installation."""

    def __init__(
        self, folder: Path, *, url: str = "", token: str = "", push_every_s: float = 60.0
    ) -> None:
        """The newest head is sent to `url` by POST, with `token` as bearer token if set."""
        self._folder = folder
        self._url = url
        self._token = token
        self._push_every_s = push_every_s
        self._logged_s = self._pushed_s = float("-inf")
        self._pushing: asyncio.Task[None] | None = None
        self.problem = ""
        """Why the last push to the URL failed; empty when it succeeded, or no URL is set."""

    def publish(self, note: str) -> None:
        """Append a head to the file; log and push one at intervals."""
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
        if now_s - self._logged_s >= _LOG_EVERY_S:
            self._logged_s = now_s
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
        """Seconds since the last head was published; None if never."""
        files = self._files()
        return max(time.time() - files[-1].stat().st_mtime, 0.0) if files else None

    def push_age_s(self) -> float | None:
        """Seconds since the last successful push; None if never."""
        path = self._folder / _PUSHED
        return max(time.time() - path.stat().st_mtime, 0.0) if path.exists() else None

    async def close(self) -> None:
        """Wait for a running push."""
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
                session.post(self._url, data=note.encode(), headers=headers) as response,
            ):
                problem = "" if response.ok else f"the URL for heads returned {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            problem = f"the URL for heads cannot be reached: {type(error).__name__}"
        if problem and problem != self.problem:
            _log.warning("%s", problem)
        self.problem = problem
        if not problem:
            await asyncio.to_thread((self._folder / _PUSHED).write_text, note, "utf-8")


def notes_in(path: Path) -> Iterator[str]:
    """The notes of a file of heads, oldest first; a truncated last line is skipped."""
    with path.open("rb") as lines:
        for line in lines:
            if line.endswith(b"\n"):
                yield json.loads(line)["head"]
