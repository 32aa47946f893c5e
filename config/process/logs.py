"""opslog's own log: one line per event on standard error, as JSON or text.

Ingested data never gets here: of third-party exceptions only the type is logged, and the message
only if it cannot quote a row (see `_error_text`). Control characters are escaped, so that no text
can forge a line or move the cursor of a terminal.
"""

import json
import logging
import os
import re
import sys
import traceback
from collections.abc import Mapping
from typing import Any, Protocol

from config.errors import OpslogError
from config.process.clock import utc_text
from config.settings import LogSettings

_MAX_CHARACTERS = 8192
"""Longer messages are truncated: a log line must not hold a request body."""
# C0, DEL, C1, line and paragraph separators, and marks that reorder or hide text.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_DATA_CLASSES = ("22", "23")
"""SQLSTATE classes whose messages quote values: data exception, integrity violation."""


class Stream(Protocol):
    """Output of the log."""

    def write(self, text: str, /) -> object:
        """Write a line including its line feed."""

    def flush(self) -> None:
        """Called after each line."""


def set_up(settings: LogSettings, stream: Stream | None = None) -> None:
    """Configure the root logger of this process to write to standard error only.

    Under a supervisor the name of the process comes from OPSLOG_PROCESS, and text lines omit it,
    since the supervisor prefixes every line with it.
    """
    given = os.environ.get("OPSLOG_PROCESS", "")
    handler = logging.StreamHandler(stream or sys.stderr)
    if is_json(settings):
        handler.setFormatter(JsonLines(given or "opslog"))
    else:
        handler.setFormatter(TextLines("" if given else "opslog"))
    logging.basicConfig(handlers=[handler], level=settings.level.upper(), force=True)
    logging.captureWarnings(capture=True)


def is_json(settings: LogSettings) -> bool:
    """Whether lines are JSON; `auto` means JSON unless standard error is a terminal."""
    if settings.format == "auto":
        return not sys.stderr.isatty()
    return settings.format == "json"


def visible(text: str) -> str:
    r"""Escape control characters and truncate the text.

    >>> visible("paid\n2026 ERROR forged")
    'paid\\x0a2026 ERROR forged'
    """
    if len(text) > _MAX_CHARACTERS:
        text = f"{text[:_MAX_CHARACTERS]}… ({len(text)} characters)"
    return _CONTROLS.sub(_escape, text)


class JsonLines(logging.Formatter):
    """One JSON object per line; `extra=` fields are added at the top level."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """Format as JSON; values that JSON does not support become text."""
        line: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname,
            "process": self._process,
            "pid": record.process,
            "logger": record.name,
            "message": visible(record.getMessage()),
            **_extra(record),
        }
        if record.exc_info and record.exc_info[1]:
            line["exception"] = exception_text(record.exc_info[1])
        return json.dumps(line, ensure_ascii=False, default=str)


class TextLines(logging.Formatter):
    """Process, time, level, logger, message, fields; an exception's lines follow, indented."""

    def __init__(self, process: str) -> None:
        """`process` is empty if the supervisor adds the prefix."""
        super().__init__()
        self._front = process_column(process)

    def format(self, record: logging.LogRecord) -> str:
        """One line, plus the lines of an exception."""
        fields = "".join(f" {name}={value}" for name, value in _extra(record).items())
        message = visible(record.getMessage()) + visible(fields)
        line = f"{self._front}{_time(record)} {record.levelname:<7} {record.name}: {message}"
        if record.exc_info and record.exc_info[1]:
            lines = exception_text(record.exc_info[1]).splitlines()
            line += "".join(f"\n{self._front}    {visible(part)}" for part in lines)
        return line


def process_column(process: str) -> str:
    """The process name padded to its column; empty without a name."""
    return f"{process:<11} " if process else ""


def exception_text(error: BaseException) -> str:
    """Traceback and error text, root cause first; never contains a record's values."""
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None and link not in chain:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    parts = []
    for each in reversed(chain):
        frames = traceback.extract_tb(each.__traceback__)
        places = [f'  File "{at.filename}", line {at.lineno}, in {at.name}' for at in frames]
        parts.append("\n".join([*places, _error_text(each)]))
    return "\n".join(parts)


def _error_text(error: BaseException) -> str:
    """The type, and the message if it cannot contain a value: opslog's, the OS's, PostgreSQL's."""
    name = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    state = getattr(error, "sqlstate", None)
    if isinstance(state, str):
        quoting = state.startswith(_DATA_CLASSES)
        return f"{name} {state}" if quoting else f"{name} {state}: {error}"
    if isinstance(error, OpslogError | OSError | ImportError | AttributeError | NameError):
        return f"{name}: {error}"
    return name


def _extra(record: logging.LogRecord) -> Mapping[str, Any]:
    given = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {n: visible(v) if isinstance(v, str) else v for n, v in given.items()}


def _time(record: logging.LogRecord) -> str:
    return utc_text(int(record.created * 1000) * 1_000_000)[:23] + "Z"


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
