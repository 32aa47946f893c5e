r"""Unescaped views of a text, so that escaping does not hide a secret.

Percent escapes (RFC 3986), \u and \x escapes (JSON, JavaScript), character references (HTML),
full-width letters and zero-width characters. Spans found in a view are mapped back to the original
bytes.
"""

import re
from bisect import bisect_right
from functools import lru_cache
from html import unescape
from itertools import accumulate
from typing import Final
from unicodedata import normalize

from storage.redaction.recognition.shapes import Span

TRIGGER: Final = (
    r"%[0-9A-Fa-f]{2}|\\(?:u[0-9A-Fa-f]{4}|x[2-7][0-9A-Fa-f]|/)"
    r"|&(?:#\d{2,4}|#[xX][0-9A-Fa-f]{2,4}|quot|amp|lt|gt|apos|commat|colon|equals);"
    r"|\x{200b}|\x{200c}|\x{200d}|\x{2060}|\x{feff}|\x{ad}|[\x{ff01}-\x{ff5e}]"
)
_ESCAPE: Final = re.compile(
    rb"(%[0-9A-Fa-f]{2}"
    rb"|\\{1,8}(?:u[0-9A-Fa-f]{4}|x[2-7][0-9A-Fa-f]|/)"
    rb"|&(?:#\d{2,4}|#[xX][0-9A-Fa-f]{2,4}|quot|amp|lt|gt|apos|commat|colon|equals);"
    rb"|\xe2\x80[\x8b-\x8d]|\xe2\x81\xa0|\xef\xbb\xbf|\xc2\xad"
    rb"|\xef(?:\xbc[\x81-\xbf]|\xbd[\x80-\x9e]))"
)


class View:
    """An unescaped text and its mapping to the original bytes."""

    __slots__ = ("_pieces", "_plain", "_raw_at", "_view_at", "text")

    def __init__(self, raw: bytes) -> None:
        self._pieces: list[bytes] = _ESCAPE.split(raw)
        self._plain = list(self._pieces)
        self._plain[1::2] = map(_decoded, self._pieces[1::2])
        self.text = b"".join(self._plain)
        self._raw_at: list[int] = []
        self._view_at: list[int] = []

    def source(self, start: int, end: int) -> Span:
        """The span of the original from which view bytes `start` to `end` were decoded."""
        if not self._raw_at:
            self._raw_at = list(accumulate(map(len, self._pieces), initial=0))
            self._view_at = list(accumulate(map(len, self._plain), initial=0))
        first = bisect_right(self._view_at, start) - 1
        last = bisect_right(self._view_at, end - 1) - 1
        begin, stop = self._raw_at[first], self._raw_at[last + 1]
        if first % 2 == 0:
            begin += start - self._view_at[first]
        if last % 2 == 0:
            stop = self._raw_at[last] + end - self._view_at[last]
        return begin, stop


@lru_cache(maxsize=4096)
def _decoded(escape: bytes) -> bytes:
    """The character of an escape; empty for a zero-width one."""
    if escape.startswith(b"%"):
        return bytes.fromhex(escape[1:].decode())
    if escape.startswith(b"\\"):
        digits = escape.lstrip(b"\\ux")
        return chr(int(digits, 16)).encode("utf-8", "replace") if digits != b"/" else digits
    if escape.startswith(b"&"):
        return unescape(escape.decode()).encode("utf-8", "replace")
    wide = escape.startswith((b"\xef\xbc", b"\xef\xbd"))
    return normalize("NFKC", escape.decode()).encode() if wide else b""
