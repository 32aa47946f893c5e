"""Credentials of HTTP: Authorization in its schemes, Bearer and Basic values, cookies."""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.harmless import harmless
from storage.redaction.shapes import Span
from storage.redaction.randomness import random_looking
from storage.redaction.validators import basic

_CLOSERS: Final = rb"""(?:%22|%5[dD]|&quot;|\\*["'`]|[\])])*"""
_AUTHORIZATION: Final = re.compile(
    rb"(?i)authorization(?:[_\-]?(?:header|value|token))?"
    + _CLOSERS
    + rb"""\s*+(?:=>|[:=]|%3[aAdD])\s*+[\[(]?\s*+(?:%22|&quot;|[bur]?\\*["'`])?"""
)
_SCHEME: Final = re.compile(rb"""([A-Za-z][A-Za-z0-9\-]{1,30}+)(?:[ ]++|\+|%20)(?=[^\s,;"'\\])""")
_PARAMETERS: Final = re.compile(
    rb"""(?:[\w\-]+\s*=\s*(?:\\*"[^"\\]*+\\*"|[^\s,"'\\]++)(?:\s*,\s*(?=[\w\-]+\s*=)|))++"""
)
_CREDENTIALS: Final = re.compile(
    rb"""(?:\$\{[^{}]*\}|\{\{[^{}]*\}\}|<[\w -]*>|[^\s"'`,;\\\])}<>|&])++"""
)
_OPAQUE: Final = re.compile(rb"""[^\s"'`,;\\\])}<>|&=]{16,}+""")
_BEARER: Final = re.compile(rb"""(?i)\bbearer(?:[ ]++|[:=+]\s*+|%20)["']?([\w\-.~+/]{8,}+=*+)""")
_BASIC: Final = re.compile(rb"""(?i)\bbasic(?:[ ]++|%20|\+)["']?([\w+/\-]{6,}+=*+)""")
_COOKIES: Final = re.compile(
    rb"(?i)cookies?2?"
    + _CLOSERS
    + rb"""\s*+(?:=>|[:=]|%3[aAdD])\s*+[\[({]?\s*+(?:%22|&quot;|[bur]?\\*["'`])?"""
)
_COOKIE: Final = re.compile(
    rb"""([\w.\-$!#%*+|~^]{1,256}+)=("?)([^\s;,"'`\\<>&]*+)\2(?:\s*;\s*|,\s?(?=[\w.\-]+=)|&(?=[\w.\-]+=)|)"""
)
_COOKIE_PARAMETERS: Final = frozenset(
    b"path domain expires max-age samesite version priority comment port".split()
)
_FLAG: Final = re.compile(
    rb"(?i)(?:secure|httponly|partitioned|discard|GMT)\s*;?\s*|\d\d[ -]\w{3}[ -]\d{2,4} [\d:]{8} GMT\s*;?\s*"
)
_SESSION: Final = re.compile(
    rb"(?i)(?:JSESSIONID|PHPSESSID|ASP\.NET_SessionId|ASPSESSIONID\w{0,16}|connect\.sid|laravel_session|_session_id|__Secure-[\w.\-]{1,64}|__Host-[\w.\-]{1,64})=([^\s;,\"'`\\<>&]+)"
)
_MARKER: Final = re.compile(rb"\[REDACTED:[a-z0-9_]*\]?|hmac:[a-z0-9-]{1,32}:[0-9a-f]{32}")


def authorizations(raw: bytes) -> Iterator[Span]:
    """Spans of credentials; the scheme's name stays."""
    for match in _AUTHORIZATION.finditer(raw):
        yield from authorization_value(raw, match.end())
    for match in _BEARER.finditer(raw):
        if random_looking(match.group(1)):
            yield match.span(1)
    for match in _BASIC.finditer(raw):
        if basic(match.group(1)):
            yield match.span(1)


def authorization_value(raw: bytes, position: int = 0) -> Iterator[Span]:
    """The credentials in the value of an Authorization header that begins at `position`."""
    scheme = _SCHEME.match(raw, position)
    start = scheme.end() if scheme else position
    found = _PARAMETERS.match(raw, start) or _CREDENTIALS.match(raw, start)
    if found is not None and not harmless(found.group()) and not _MARKER.match(found.group()):
        yield found.span()


def cookies(raw: bytes) -> Iterator[Span]:
    """Spans of cookie values; their names and the parameters of Set-Cookie stay."""
    for match in _COOKIES.finditer(raw):
        yield from cookie_value(raw, match.end())
    for match in _SESSION.finditer(raw):
        if not _MARKER.match(match.group(1)):
            yield match.span(1)


def cookie_value(raw: bytes, position: int = 0) -> Iterator[Span]:
    """The values in a Cookie or Set-Cookie header that begins at `position`."""
    opaque = _OPAQUE.match(raw, position)
    if opaque is not None and raw[opaque.end() : opaque.end() + 1] != b"=":
        if not _MARKER.match(opaque.group()):
            yield opaque.span()
        return
    while (found := _FLAG.match(raw, position) or _COOKIE.match(raw, position)) is not None:
        position = found.end()
        if (
            found.re is _COOKIE
            and found.group(1).lower() not in _COOKIE_PARAMETERS
            and found.group(3)
            and not _MARKER.match(found.group(3))
        ):
            yield found.span(3)
