"""Passwords inside URIs: the password goes; scheme, user, host, port and database stay.

RFC 3986 section 3.2.1 forbids `@ : / # ?` in a password that is not percent-encoded; people write
them all the same, so the end of the password is the last `@` that a host can follow.
"""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.shapes import Span

_START: Final = re.compile(rb"(?<![A-Za-z0-9+.\-])([A-Za-z][A-Za-z0-9+.\-]{0,40}+):(?:\\*/){2}")
_TOKEN: Final = re.compile(
    rb"""(?:[^\s"'`<>\\\x00,]|\\(?=[/@:])|,(?![A-Za-z][\w+.\-]{0,40}:(?:\\*/){2}))++"""
)
_AUTHORITY: Final = re.compile(rb"[^/?#]*+")
_HOST_FOLLOWS: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.%]{2,64}\]|[A-Za-z0-9_\x80-\xff][\w.\-\x80-\xff]*+|\$?\{[^{}]*\}|%2[fF][^/]*+)"
    rb"(?::\d{0,5}|:\$?\{[^{}]*\})?(?:,[\w.\-:\[\]]+)*(?=[/?#,;)}\]|.:!]|\\|\Z)"
)
_GO: Final = re.compile(rb"(?<![\w.\-])[\w.\-]{1,64}+:([^\s\"'`]{1,256}?)@(?:tcp|tcp6|unix|udp)\(")
_ORACLE: Final = re.compile(
    rb"(?i)jdbc:oracle:[a-z0-9]{1,8}:[\w.$#\-]{1,128}/([^\s\"'`/]{1,256}?)@"
)
_MASK: Final = re.compile(
    rb"\*+|[xX]{3,}|\.{3,}|\[REDACTED:[a-z0-9_]+\]|\$?\{[^{}:]*\}|\$[A-Za-z_]\w*|<[\w -]*>|%s|hmac:[a-z0-9-]+:[0-9a-f]{32}"
)
_TOKEN_USER: Final = re.compile(rb"(?:x-oauth-basic|x-token-auth|)\Z")


def uri_passwords(raw: bytes) -> Iterator[Span]:
    """Spans of passwords, left to right within each way of writing."""
    position = 0
    while (start := _START.search(raw, position)) is not None:
        position = start.end()
        token = _TOKEN.match(raw, position)
        if token is None:
            continue
        span = _password(raw, *token.span())
        if span is not None and not _MASK.fullmatch(raw, *span):
            yield span
            position = span[1]
    for pattern in (_GO, _ORACLE):
        for match in pattern.finditer(raw):
            if not _MASK.fullmatch(match.group(1)):
                yield match.span(1)


def _password(raw: bytes, start: int, end: int) -> Span | None:
    """The password between `start` (after `//`) and `end` (white space or a quote)."""
    authority = _AUTHORITY.match(raw, start, end)
    assert authority is not None
    colon = raw.find(b":", start, authority.end())
    if colon < 0:
        return None
    at = raw.rfind(b"@", start, authority.end())
    if at < colon:
        at = _last_at(raw, colon, end)
        if at < 0 or raw[colon + 1 : authority.end()].isdigit():
            return None
    elif raw[start - 3 : start] == b"://" and not raw[:start].lower().endswith(
        (b"http://", b"https://")
    ):
        at = max(at, _last_at(raw, authority.end(), _end_of_path(raw, authority.end(), end)))
    return (colon + 1, at) if at > colon + 1 else None


def _end_of_path(raw: bytes, start: int, end: int) -> int:
    query = raw.find(b"?", start, end)
    return query if query >= 0 else end


def _last_at(raw: bytes, start: int, end: int) -> int:
    """The last `@` in the range that a host follows; -1 where there is none."""
    at = raw.rfind(b"@", start, end)
    while at >= 0:
        if _HOST_FOLLOWS.match(raw, at + 1, end):
            return at
        at = raw.rfind(b"@", start, at)
    return -1
