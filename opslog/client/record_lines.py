"""Formats records as lines. Control characters are escaped, so records cannot affect a terminal."""

import csv
import io
import json
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

Record: TypeAlias = Mapping[str, Any]

_COLOURS = {"DEBUG": "2", "INFO": "0", "WARN": "33", "ERROR": "31", "CRITICAL": "1;31"}
_SERVICES = ("36", "32", "35", "34", "96", "92", "95", "94")
# C0, DEL, C1 and bidirectional marks: escape sequences, window titles, faked lines.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_CSV = ("createdAt", "level", "sourceModule", "action", "actorId", "traceId", "message", "id")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def printable(text: str) -> str:
    r"""The text with control characters escaped.

    >>> print(printable("a\x1b[31mb\n"))
    a\x1b[31mb\n
    """
    return _UNSAFE.sub(_visible, text)


def printable_lines(text: str) -> str:
    """The same for text whose line breaks are our own."""
    return "\n".join(map(printable, text.split("\n")))


def readable_json(value: object) -> str:
    """Indented JSON, not restricted to ASCII, with control characters escaped."""
    text = json.dumps(value, indent=2, default=str, ensure_ascii=False)
    return "\n".join(_UNSAFE.sub(_escaped, line) for line in text.split("\n"))


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found[0]):04x}"


def _visible(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()


def default_line(record: Record, *, colour: bool) -> str:
    """Time, level, service and message."""
    level, service = record["level"], printable(record["sourceModule"])
    shown = f"{record['createdAt'][:23]}Z"
    head = f"{level:<8}"
    message = printable(record["message"])
    if not colour:
        return f"{shown}  {head}  {service:<16}  {message}"
    number = _SERVICES[sum(service.encode()) % len(_SERVICES)]
    return (
        f"\x1b[2m{shown}\x1b[0m  \x1b[{_COLOURS.get(level, '0')}m{head}\x1b[0m  "
        f"\x1b[{number}m{service:<16}\x1b[0m  {message}"
    )


def raw_line(record: Record) -> str:
    """The message only."""
    return printable(str(record["message"]))


def json_line(record: Record) -> str:
    """The whole record; JSON escapes control characters."""
    return json.dumps(record, ensure_ascii=True, separators=(",", ":"))


def csv_line(record: Record) -> str:
    """The main fields, protected against spreadsheet formulas like the API's CSV."""
    buffer = io.StringIO()
    cells = ["" if record[name] is None else _cell(str(record[name])) for name in _CSV]
    csv.writer(buffer, lineterminator="").writerow(
        [f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in cells]
    )
    return buffer.getvalue()


def _cell(text: str) -> str:
    """Escape control characters except line breaks, which are quoted."""
    return printable_lines(text)


CSV_HEAD = ",".join(_CSV)

FORMATS: dict[str, Callable[[Record], str]] = {
    "raw": raw_line,
    "jsonl": json_line,
    "csv": csv_line,
}
"""Output formats besides the default one."""
