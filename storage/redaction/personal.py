"""E-mail addresses and card numbers in text.

Python's `re` with a look-behind at the left edge and possessive runs: every run of characters is
tried once, so a megabyte of `a@a@a@` costs what any other megabyte costs.
"""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.shapes import Span
from storage.redaction.validators import card

# Labels that end file names, units of systemd, and pictures for dense screens, not addresses.
_NO_TLD: Final = rb"(?!(?:service|socket|timer|mount|target|slice|device|png|jpe?g|gif|svg|webp|js|mjs|ts|css|json|ya?ml|tgz|tar|gz|zip|jar|whl|rc|beta|alpha|dev|final|snapshot)(?![A-Za-z0-9\-]))"
_EMAIL: Final = re.compile(
    rb"(?:(?<![A-Za-z0-9._%+\-\x80-\xff])|(?<=[\xe0-\xef][\x80-\xbf]{2}))"
    rb"(?:(?:[oOdD]')?(?:[A-Za-z0-9._%+\-]|[\xc3-\xd4][\x80-\xbf])++)"
    rb"@(?!v?\d+\.\d|\dx\.|(?:openssh\.com|libssh\.org|lysator\.liu\.se)\b)"
    rb"(?:(?:[A-Za-z0-9\-]|[\xc3-\xd4][\x80-\xbf])+\.)+"
    + _NO_TLD
    + rb"(?:xn--[a-z0-9\-]{2,59}|(?:[A-Za-z]|[\xc3-\xd4][\x80-\xbf]){2,24})(?![A-Za-z0-9\-])"
)
_EMAIL_WIDE: Final = re.compile(
    rb"(?<![\x80-\xff])(?:[\xe0-\xef][\x80-\xbf]{2}){1,32}+@(?:(?:[A-Za-z0-9\-]|[\xc3-\xef][\x80-\xbf]{1,2})+\.)+(?:[A-Za-z]|[\xc3-\xef][\x80-\xbf]{1,2}){2,24}"
)
_EMAIL_QUOTED: Final = re.compile(
    rb"\"[^\"\\\r\n@]{1,64}+\"@(?:[A-Za-z0-9\-]+\.)+[A-Za-z]{2,24}(?![A-Za-z0-9\-])"
    rb"|(?<![A-Za-z0-9._%+\-])[A-Za-z0-9._%+\-]{1,64}+@\[(?:IPv6:)?[0-9A-Fa-f:.]{3,45}\]"
)
_GIT_REMOTE: Final = re.compile(
    rb"[a-z_][\w\-]{0,31}@[A-Za-z0-9.\-]+:(?!\d+(?:\D|\Z)|//)[\w~/.\-]*/"
)
_AUTHORITY_BEFORE: Final = re.compile(rb".*:(?:\\*/){2}[^\s/?#\"'`<>]*+\Z", re.DOTALL)
_AUTHORITY_AFTER: Final = re.compile(rb"[^\s/?#\"'`<>@]{0,300}@")
_LOOK_BACK_BYTES: Final = 300

_CARD: Final = re.compile(
    rb"(?:(?<![0-9A-Za-z])|(?<=%B))(?<![0-9][.\-])(?=4|5[0-8]|2[2-7]|3[0-9]|6)(?:"
    rb"\d{13,19}"
    rb"|\d{4}([ .+\-]|%20|\xc2\xa0)\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?"
    rb"|\d{4}([ .+\-]|%20|\xc2\xa0)\d{6}\2\d{4,5}"
    rb")(?![0-9A-Za-z]|[.\-][0-9])"
)


def emails(raw: bytes) -> Iterator[Span]:
    """Spans of addresses; git remotes and the user part of a URI are none."""
    has_uri = b"//" in raw
    for match in _EMAIL.finditer(raw):
        start, end = match.span()
        if has_uri and _is_userinfo(raw, start, end):
            continue
        if raw[start - 1 : start] == b"\\" and start:
            start += raw[start : start + 1] in {b"n", b"r", b"t"}
        if raw[end : end + 1] == b":" and _GIT_REMOTE.match(raw, start):
            continue
        if raw.startswith(b"git@", start):
            continue
        yield start, end
    if b'"@' in raw or b"@[" in raw:
        for match in _EMAIL_QUOTED.finditer(raw):
            yield match.span()
    if not raw.isascii():
        for match in _EMAIL_WIDE.finditer(raw):
            yield match.span()


def is_email(raw: bytes) -> bool:
    """Whether all of `raw` is one address."""
    bare = raw.strip()
    return bare.startswith(b"git@") is False and any(
        span == (0, len(bare)) for span in emails(bare)
    )


def _is_userinfo(raw: bytes, start: int, end: int) -> bool:
    """Whether the `@` of this match is the one that ends the user part of a URI."""
    before = raw[max(0, start - _LOOK_BACK_BYTES) : start]
    return bool(_AUTHORITY_BEFORE.match(before)) and not _AUTHORITY_AFTER.match(raw, end)


def cards(raw: bytes) -> Iterator[Span]:
    """Spans of card numbers."""
    position = 0
    while (match := _CARD.search(raw, position)) is not None:
        if card(match.group()):
            yield match.span()
            position = match.end()
        else:
            yield match.start(), match.start()
            position = match.start() + 1
