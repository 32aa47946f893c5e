"""Passwords in URIs: the password is removed; scheme, user, host, port and database stay.

RFC 3986 section 3.2.1 forbids `@ : / # ?` in a password that is not percent-encoded; they occur in
practice, so the end of the password is the last `@` that a host can follow.
"""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.recognition.shapes import Shape, Span

_START: Final = Shape(r"[A-Za-z][A-Za-z0-9+.\-]*:(?:\\*/){2}")
_TOKEN: Final = re.compile(
    rb"""(?:[^\s"'`<>\\\x00,:]|<(?!/)|'(?=[^\s"'`<>/@]{0,64}@)|\\(?!\\*[nrt"'u])|:(?!(?:\\*/){2})|\\(?=[/@:])|,(?![A-Za-z][\w+.\-]{0,40}:(?:\\*/){2}))++"""
)
_AUTHORITY: Final = re.compile(rb"[^/?#]*+")
_HOST_FOLLOWS: Final = re.compile(
    rb"(?:\[[0-9A-Fa-f:.%]{2,64}\]|[A-Za-z0-9_\x80-\xff][\w.\-\x80-\xff]*+|\$?\{[^{}]*\}|%2[fF][^/]*+)"
    rb"(?::\d{0,5}|:\$?\{[^{}]*\})?(?:,[\w.\-:\[\]]+)*(?=[/?#,;)}\]|.:!]|\\|\Z)"
)
_GO: Final = Shape(r"""[\w.\-]+:(?P<secret>[^\s"'`]{1,256}?)@(?:tcp6?|unix|udp)\(""")
_ORACLE: Final = Shape(
    r"""(?i)jdbc:oracle:[a-z0-9]{1,8}:[\w.$#\-]{1,128}/(?P<secret>[^\s"'`/]{1,256}?)@"""
)
_MASK: Final = re.compile(
    rb"\*+|\[[A-Za-z ]{2,20}\]|\([a-z ]{2,20}\)|[xX]{3,}|\.{3,}|\[REDACTED:[a-z0-9_]+\]|\$?\{[^{}:]*\}|\$[A-Za-z_]\w*|<[\w -]*>|%s|hmac:[a-z0-9-]+:[0-9a-f]{32}"
)
_LONGEST_BYTES: Final = 4096
_MOST_TRIES: Final = 16


def uri_passwords(raw: bytes) -> Iterator[Span]:
    """Spans of passwords, left to right."""
    position = 0
    while (start := _START.search(raw, position)) is not None:
        position = start[1]
        token = _TOKEN.match(raw, position, position + _LONGEST_BYTES)
        scheme = raw[start[0] : raw.index(b":", start[0])].lower()
        span = token and _password(raw, *token.span(), scheme.endswith((b"http", b"https")))
        if span and not _MASK.fullmatch(raw, *span):
            yield span
            position = span[1]
        else:
            yield position, position


def go_passwords(raw: bytes) -> Iterator[Span]:
    """Spans of passwords in Go data source names: `user:password@tcp(host)/database`."""
    for span in _GO.each(raw):
        yield (span[0], span[0]) if _MASK.fullmatch(raw, *span) else span


def oracle_passwords(raw: bytes) -> Iterator[Span]:
    """Spans of passwords in Oracle JDBC URLs: `jdbc:oracle:thin:user/password@host`."""
    for span in _ORACLE.each(raw):
        yield (span[0], span[0]) if _MASK.fullmatch(raw, *span) else span


def _password(raw: bytes, start: int, end: int, is_web: bool) -> Span | None:  # noqa: FBT001
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
    elif not is_web:
        at = max(at, _last_at(raw, authority.end(), _end_of_path(raw, authority.end(), end)))
    return (colon + 1, at) if at > colon + 1 else None


def _end_of_path(raw: bytes, start: int, end: int) -> int:
    """Where a query or another URI begins."""
    stops = (raw.find(stop, start, end) for stop in (b"?", b"://"))
    return min((stop for stop in stops if stop >= 0), default=end)


def _last_at(raw: bytes, start: int, end: int) -> int:
    """The last `@` in the range that is followed by a host; -1 where there is none."""
    at = raw.rfind(b"@", start, end)
    for _ in range(_MOST_TRIES):
        if at < 0:
            break
        if _HOST_FOLLOWS.match(raw, at + 1, end):
            return at
        at = raw.rfind(b"@", start, at)
    return -1
