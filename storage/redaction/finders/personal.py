"""E-mail addresses and card numbers in text: RE2 finds candidates, a second check rejects others."""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.recognition.cards import is_other_number
from storage.redaction.recognition.shapes import Shape, Span
from storage.redaction.recognition.validators import card

# Letters of scripts with blanks between words; in scripts without blanks a match would include the
# sentence before an address, so those letters count only where no ASCII is adjacent.
_LETTERS: Final = r"\x{c0}-\x{24f}\x{370}-\x{52f}"
_WIDE: Final = r"\x{e00}-\x{fff}\x{3040}-\x{d7a3}"
_LABEL: Final = rf"[A-Za-z0-9{_LETTERS}\-]"
_EMAIL: Final = Shape(
    rf"(?:\b[oOdD]')?[A-Za-z0-9._%+\-{_LETTERS}]+@(?:{_LABEL}+\.)+"
    rf"(?:xn--[a-z0-9\-]{{2,59}}|[A-Za-z{_LETTERS}]{{2,24}})"
    rf"|[{_WIDE}]{{1,32}}@(?:[A-Za-z0-9{_WIDE}\-]+\.)+(?:[A-Za-z]{{2,24}}|[{_WIDE}]{{2,24}})"
    r"|\"[^\"\\\r\n@:,\s](?:[^\"\\\r\n@]{0,62}[^\"\\\r\n@:,\s])?\\*\"@(?:[A-Za-z0-9\-]+\.)+[A-Za-z]{2,24}"
    r"|[A-Za-z0-9._%+\-]+@\[(?:IPv6:)?[0-9A-Fa-f:.]{3,45}\]"
)
# Text after an @ that is not a domain: versions, high-density images, names of SSH algorithms,
# systemd units, file names, pre-release tags.
_VERSION: Final = re.compile(rb"v?\d+\.\d|\dx\.")
_VERSION_BEGINS: Final = frozenset(b"v0123456789")
_NO_DOMAINS: Final = frozenset((b"openssh.com", b"libssh.org", b"lysator.liu.se"))
_NO_TLDS: Final = frozenset(
    b"""alpha beta css dev device final gif gz jar jpeg jpg js json mjs mount png rc service slice
    snapshot socket svg tar target tgz timer ts webp whl yaml yml zip""".split()
)
_GIT_REMOTE: Final = re.compile(
    rb"git@|[a-z_][\w\-]{0,31}@[A-Za-z0-9.\-]+:(?!\d+(?:\D|\Z)|//)[\w~/.\-]*/"
)
_AUTHORITY_BEFORE: Final = re.compile(rb".*[A-Za-z0-9]:(?:\\*/){2}[^\s/?#\"'`<>]*+\Z", re.DOTALL)
_AUTHORITY_AFTER: Final = re.compile(rb"[^\s/?#\"'`<>@]{0,300}@")
_LOOKBEHIND_BYTES: Final = 300
# The letters of an escape look like the first letters of an address after it.
_ESCAPE: Final = re.compile(rb"[nrt]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}")
_BACKSLASH: Final = 0x5C

_GUARD_BYTES: Final = 2
_DIGITS: Final = Shape(r"\d(?:(?:[ .+\-]|%20|\x{a0})?\d){12,}")
_CARD: Final = re.compile(
    rb"(?:(?<![0-9A-Za-z])|(?<=%B)|(?<=%20)|(?<=[0-9;]m)|(?<=\\[nrt]))(?<![0-9][.\-])(?=4|5[0-8]|2[2-7]|3[0-9]|6)(?:"
    rb"\d{13,19}"
    rb"|\d{4}([ .+\-]|%20|\xc2\xa0)\d{4}\1\d{4}\1\d{1,4}(?:\1\d{1,3})?"
    rb"|\d{4}([ .+\-]|%20|\xc2\xa0)\d{6}\2\d{4,5}"
    rb")(?![0-9A-Za-z]|[.\-][0-9])"
)


def emails(raw: bytes) -> Iterator[Span]:
    """Spans of addresses, excluding versions, git remotes and the user part of a URI."""
    has_uri = b"//" in raw
    for start, end in _EMAIL.each(raw):
        if start and raw[start - 1] == _BACKSLASH:
            escape = _ESCAPE.match(raw, start)
            start = escape.end() if escape is not None else start  # noqa: PLW2901
        if _is_address(raw, start, end) and not (has_uri and _is_userinfo(raw, start, end)):
            yield start, end
        else:
            yield start, start


def _is_address(raw: bytes, start: int, end: int) -> bool:
    domain = raw.rindex(b"@", start, end) + 1
    after = raw[end : end + 2]
    if after[:1].isalnum() or (after[:1] == b"-" and after[1:].isalnum()):
        return False
    if raw[raw.rfind(b".", domain, end) + 1 : end].lower() in _NO_TLDS:
        return False
    if raw[domain] in _VERSION_BEGINS and _VERSION.match(raw, domain):
        return False
    if after[:1] == b":" or raw.startswith(b"git@", start):
        return _GIT_REMOTE.match(raw, start) is None
    return raw[domain:end].lower() not in _NO_DOMAINS


def is_email(raw: bytes) -> bool:
    """Whether `raw` as a whole is an address."""
    bare = raw.strip()
    return next(iter(emails(bare)), None) == (0, len(bare))


def _is_userinfo(raw: bytes, start: int, end: int) -> bool:
    """Whether the `@` of this match is the one that ends the user part of a URI."""
    before = raw[max(0, start - _LOOKBEHIND_BYTES) : start]
    return bool(_AUTHORITY_BEFORE.match(before)) and not _AUTHORITY_AFTER.match(raw, end)


def cards(raw: bytes) -> Iterator[Span]:
    """Spans of card numbers."""
    for start, end in _DIGITS.each(raw):
        position = start
        while (match := _CARD.search(raw, position, end + _GUARD_BYTES)) is not None:
            if card(match.group()) and not is_other_number(raw, match.start(), match.end()):
                yield match.span()
                position = match.end()
            else:
                yield match.start(), match.start()
                position = match.start() + 1
