"""Exact tokens and texts of JSON scalars that are not in a column. Compiled by mypyc.

A token's hash is the CRC-32 of path and value.
"""

from collections.abc import Iterable
from decimal import Decimal, InvalidOperation
from typing import Any
from zlib import crc32

from librt.strings import BytesWriter
from mypy_extensions import i64


def seed_of(path: bytes) -> int:
    """The CRC with which the hashes of a path's values start."""
    return crc32(path + b"\x00")


def hashes(seed: int, values: Iterable[bytes]) -> list[int]:
    """The hash of each value."""
    return [crc32(value, seed) for value in values]


def number_text(text: str) -> str | None:
    """Canonical digits of an integer in any spelling; None for fractions and anything else.

    >>> number_text("1e2"), number_text("5.0"), number_text("5.5"), number_text("x")
    ('100', '5', None, None)
    """
    try:
        value = Decimal(text)
    except InvalidOperation:
        return None
    if not value.is_finite() or value.adjusted() > 400:
        return None
    if value == 0:
        return "0"
    whole = value.to_integral_value()
    return format(whole, "f") if whole == value else None


def numbered_words(blob: bytes, least: i64) -> set[bytes]:
    """Words of folded text with a digit: runs of a-z, 0-9 and non-ASCII bytes."""
    found: set[bytes] = set()
    size: i64 = len(blob)
    at: i64 = 0
    start: i64 = 0
    has_digit = False
    while at < size:
        letter: i64 = i64(blob[at])
        if 48 <= letter <= 57:
            has_digit = True
        elif not (97 <= letter <= 122 or letter >= 128):
            if has_digit and at - start >= least:
                found.add(blob[start:at])
            start = at + 1
            has_digit = False
        at += 1
    if has_digit and at - start >= least:
        found.add(blob[start:at])
    return found


def variables_out(blob: bytes) -> tuple[bytes, bytes]:
    """(lines with a NUL for each word with a digit or non-ASCII byte, those words one per line)."""
    lines = BytesWriter()
    words = BytesWriter()
    size: i64 = len(blob)
    at: i64 = 0
    start: i64 = 0
    is_variable = False
    while at < size:
        letter: i64 = i64(blob[at])
        if letter == 32 or letter == 10:
            if is_variable:
                words.write(blob[start:at])
                words.append(10)
                lines.append(0)
            elif at > start:
                lines.write(blob[start:at])
            lines.write(blob[at : at + 1])
            start = at + 1
            is_variable = False
        elif 48 <= letter <= 57 or letter >= 128:
            is_variable = True
        at += 1
    if is_variable:
        words.write(blob[start:at])
        lines.append(0)
    else:
        lines.write(blob[start:at])
    return lines.getvalue(), words.getvalue()


class Scalars:
    """Collects tokens and texts of documents."""

    def __init__(self) -> None:
        self.tokens: set[int] = set()
        self.texts: set[bytes] = set()
        self.seeds: dict[bytes, int] = {}

    def add(self, document: Any) -> None:
        """Add all scalars of a metadata document."""
        if isinstance(document, dict):
            for key, value in document.items():
                self._walk(key.encode(), value, 0)

    def _walk(self, path: bytes, value: Any, depth: int) -> None:
        if isinstance(value, dict):
            for key, member in value.items():
                self._walk(path + b"\x1f" + key.encode(), member, depth + 1)
        elif isinstance(value, list):
            for item in value:
                self._walk(path, item, depth + 1)
        elif value is not None:
            self._scalar(path, value)

    def _scalar(self, path: bytes, value: Any) -> None:
        seed = self.seeds.get(path)
        if seed is None:
            seed = self.seeds[path] = seed_of(path)
        if isinstance(value, str):
            raw = value.encode()
            self.texts.add(raw)
            self.tokens.add(crc32(raw, seed))
        elif isinstance(value, bool):
            self.tokens.add(crc32(b"true" if value else b"false", seed))
        elif isinstance(value, int):
            self.tokens.add(crc32(b"%d" % value, seed))
        else:
            text = number_text(repr(value))
            if text is not None:
                self.tokens.add(crc32(text.encode(), seed))
