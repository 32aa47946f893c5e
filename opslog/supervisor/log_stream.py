"""One stream for the log lines of all processes; a blocked terminal does not block opslog.

A thread writes the lines. While it cannot (Ctrl-S, a full pipe), lines beyond a limit are dropped
and counted, so that logging never delays requests.
"""

import json
import queue
import threading
from typing import TextIO

from config.process.clock import now_ns, utc_text
from config.process.logs import process_column, visible

MAX_WAITING_LINES = 10_000
_CLOSE_PATIENCE_S = 2.0


class LogStream:
    """Takes lines from the event loop; also a stream for `logging.StreamHandler`."""

    def __init__(self, target: TextIO, *, as_json: bool) -> None:
        self._target = target
        self._as_json = as_json
        self._lines: queue.Queue[str | None] = queue.Queue(MAX_WAITING_LINES)
        self._dropped = 0
        self._thread = threading.Thread(target=self._write_all, name="log", daemon=True)
        self._thread.start()

    def take(self, process: str, line: str) -> None:
        """Add a line of a process. Lines of other programs are converted to opslog's format."""
        if self._as_json:
            self._put(line if line.startswith("{") else _as_json(process, line))
        else:
            self._put(process_column(process) + visible(line))

    def write(self, text: str) -> None:
        """Add text of this process that is already formatted."""
        if text := text.rstrip("\n"):
            self._put(text)

    def flush(self) -> None:
        """For `logging`; the thread flushes after each line."""

    def close(self) -> None:
        """Write the queued lines, unless the target is blocked."""
        try:
            self._lines.put(None, timeout=_CLOSE_PATIENCE_S)
        except queue.Full:
            return
        self._thread.join(_CLOSE_PATIENCE_S)

    def _put(self, line: str) -> None:
        try:
            if self._dropped:
                self._lines.put_nowait(self._gap())
                self._dropped = 0
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1

    def _gap(self) -> str:
        text = f"{self._dropped} log lines dropped: the log could not be written in time"
        return _as_json("opslog", text) if self._as_json else process_column("opslog") + text

    def _write_all(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._target.write(line + "\n")
                self._target.flush()
            except (OSError, ValueError):  # the reader is gone; a server must not stop for that
                continue


def _as_json(process: str, line: str) -> str:
    """PostgreSQL's and Valkey's lines, and what an interpreter says when it cannot go on."""
    level = next((level for word, level in _LEVELS.items() if word in line), "INFO")
    time = utc_text(now_ns())[:23] + "Z"
    fields = {"time": time, "level": level, "process": process, "message": visible(line)}
    return json.dumps(fields, ensure_ascii=False)


_LEVELS = {"PANIC:": "CRITICAL", "FATAL:": "ERROR", "ERROR:": "ERROR", "WARNING:": "WARNING"}
