"""HTTP credentials: Authorization and its schemes, Bearer and Basic values, cookies."""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.recognition.extents import leaves
from storage.redaction.recognition.harmless import begins_with_word as spelled_out
from storage.redaction.recognition.harmless import harmless
from storage.redaction.recognition.randomness import looks_random
from storage.redaction.recognition.shapes import Shape, Span
from storage.redaction.recognition.validators import basic

_AFTER_NAME: Final = (
    r"""(?:%22|%5[dD]|&quot;|\\*["'`]|[\])])*\s*(?:=>|[:=]|%3[aAdD])"""
    r"""\s*(?:\[\]string\{|[\[({])?\s*(?:%22|&quot;|[bur]?\\*["'`])?"""
)
_AUTHORIZATION: Final = Shape(rf"(?i)authorization(?:[_\-]?(?:header|value|token))?{_AFTER_NAME}")
_FIRST: Final = re.compile(rb"""([A-Za-z][A-Za-z0-9\-]{1,30}+)(?:[ ]++|\+|%20)(?=[^\s,;"'\\])""")
_FIELD: Final = re.compile(rb"[\w.\-]{1,64}\s?[=:]|(?:and|for|from|in|of|on|or|to|was|with|next)\b")
# The IANA registry "HTTP Authentication Schemes", and vendors' schemes.
_SCHEMES: Final = frozenset(
    b"""apikey api-key aws aws4-ecdsa-p256-sha256 aws4-hmac-sha256 basic bearer client-token concealed
    digest dpop geniekey gnap goog4-rsa-sha256 googlelogin hawk hoba hmac-sha256 jwt key mutual
    negotiate ntlm oauth privatetoken pve_api_token scram-sha-1 scram-sha-256 sharedkey sharedkeylite
    signature splunk sso-key ssws token vapid webpush wsse zoho-oauthtoken""".split()
)
_PARAMETERS: Final = re.compile(
    rb"""(?:[\w\-]+\s*=\s*(?:\\*"[^"\\]*+\\*"|[^\s,"'\\]++)(?:\s*,\s*(?=[\w\-]+\s*=)|))++"""
)
_CREDENTIALS: Final = re.compile(
    rb"""(?:\$\{[^{}]*\}|\{\{[^{}]*\}\}|<[\w -]*>|[^\s"'`,;\\\])}<>|&]"""
    rb"""|[,;&|)\]}](?![\s"'`,;&|)\]}\\]|\Z|[\w.\-]{1,64}\s?[=:]))++"""
)
_BEARER: Final = Shape(r"""(?i)\bbearer(?:[ ]+|[:=+]\s*|%20)["']?(?P<secret>[\w\-.~+/]{8,}=*)""")
_BASIC: Final = Shape(r"""(?i)\bbasic(?:[ ]+|%20|\+)["']?(?P<secret>[\w+/\-]{6,}=*)""")

_COOKIES: Final = Shape(
    rf"(?i)(?:cookies?2?{_AFTER_NAME}|\bcurl\b[^\n]*?\s(?:-b|--cookie)[ =]*\\*[\"']?)"
)
_COOKIE: Final = re.compile(
    rb"""([\w.\-$!#%*+|~^]{1,256}+)=("?)((?:[^\s;,"'`\\<>&]|,(?![\s"']|[\w.\-]{1,64}=|\Z))*+)\2"""
    rb"""(?:\s*;\s*|,\s?(?=[\w.\-]+=)|&(?=[\w.\-]+=)|)"""
)
_BRACKETS_BYTES: Final = 4
_OPAQUE: Final = re.compile(rb"""[^\s"'`,;\\\])}<>|&=]{16,}+""")
_COOKIE_PARAMETERS: Final = frozenset(
    b"path domain expires max-age samesite version priority comment port".split()
)
_COOKIE_FIELDS: Final = _COOKIE_PARAMETERS | frozenset(
    b"name secure httponly session hostonly size maxage sourcescheme partitioned".split()
)
_FLAG: Final = re.compile(
    rb"(?i)(?:secure|httponly|partitioned|discard|GMT)\s*;?\s*"
    rb"|\d\d[ -]\w{3}[ -]\d{2,4} [\d:]{8} GMT\s*;?\s*"
)
_SESSION: Final = Shape(
    r"(?i)(?:JSESSIONID|PHPSESSID|ASP\.NET_SessionId|ASPSESSIONID\w{0,16}|connect\.sid"
    r"|laravel_session|_session_id|__Secure-[\w.\-]{1,64}|__Host-[\w.\-]{1,64})="
    r"(?P<secret>[^\s;,\"'`\\<>&?#]+)"
)


def authorizations(raw: bytes) -> Iterator[Span]:
    """Spans of the credentials in Authorization headers; the scheme's name stays."""
    for start, end in _AUTHORIZATION.each(raw):
        yield start, start
        yield from authorization_value(raw, end)


def bearers(raw: bytes) -> Iterator[Span]:
    """Spans of tokens after the word Bearer."""
    for start, end in _BEARER.each(raw):
        yield start, end if looks_random(raw[start:end]) else start


def basics(raw: bytes) -> Iterator[Span]:
    """Spans of user and password in base64 after the word Basic."""
    for start, end in _BASIC.each(raw):
        yield start, end if basic(raw[start:end]) else start


def authorization_value(raw: bytes, position: int = 0) -> Iterator[Span]:
    """The credentials in the value of an Authorization header that begins at `position`.

    The name of a known scheme stays; an unknown one may be a credential.
    """
    first = _FIRST.match(raw, position)
    start = position
    if first is not None and first.group(1).lower() in _SCHEMES:
        position = start = first.end()
    elif first is not None and not _FIELD.match(raw, first.end()) and not harmless(first.group(1)):
        position = first.end()
    found = _PARAMETERS.match(raw, position) or _CREDENTIALS.match(raw, position)
    if position > start and (found is None or harmless(found.group())):
        found = _CREDENTIALS.match(raw, start)
    if found is None:
        return
    word = found.group().lower()
    if not harmless(word) and word not in _SCHEMES and not spelled_out(word):
        yield start, found.end()


def cookies(raw: bytes) -> Iterator[Span]:
    """Spans of cookie values; their names and the parameters of Set-Cookie stay."""
    for start, end in _COOKIES.each(raw):
        yield start, start
        bracket = raw.find(b"{", max(start, end - _BRACKETS_BYTES), end + 1)
        if bracket >= 0:
            yield from leaves(raw, bracket - (raw[bracket - 1 : bracket] == b"["), _is_parameter)
        else:
            yield from cookie_value(raw, end)


def _is_parameter(name: bytes) -> bool:
    return name.lower() in _COOKIE_FIELDS


def sessions(raw: bytes) -> Iterator[Span]:
    """Spans of the values of well-known session cookies, anywhere in the text."""
    yield from _SESSION.each(raw)


def cookie_value(raw: bytes, position: int = 0) -> Iterator[Span]:
    """The values in a Cookie or Set-Cookie header that begins at `position`."""
    opaque = _OPAQUE.match(raw, position)
    if opaque is not None and raw[opaque.end() : opaque.end() + 1] != b"=":
        yield opaque.span()
        return
    while (found := _FLAG.match(raw, position) or _COOKIE.match(raw, position)) is not None:
        position = found.end()
        if (
            found.re is _COOKIE
            and found.group(1).lower() not in _COOKIE_PARAMETERS
            and found.group(3)
        ):
            yield found.span(3)
