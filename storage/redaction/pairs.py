"""Values of secret-named fields inside text: `key=value`, `key: value`, JSON at any depth of
escaping, XML, command lines.

RE2 finds a key word with its separator; the name is judged whole (keys.py), then the value is
delimited by the quotes it has, or by what usually ends a bare one. Every step moves forward.
"""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.harmless import harmless, looks_secret
from storage.redaction.keys import KeyNames, Kind
from storage.redaction.shapes import Span, searcher

_STEMS: Final = (
    r"pass(?:word|wd|phrase|code)?s?|pwds?|pass[ _.-]?(?:word|phrase|code)|secrets?|tokens?|jwts?|credentials?|creds"
    r"|auth|[a-z]{1,16}[ _.-]?keys?|t?otp|(?:mfa|verification|security|otp|one.time|recovery|backup)[ _.-]codes?"
    r"|cv[vcn]2?|c(?:ar|c)d?[ _.-]?(?:number|no)|credit[ _.-]?card|pin|sig|sas|mnemonic|(?:seed|recovery)[ _.-]phrase|bearer|pat|signature"
)
_CLOSERS: Final = r"""(?:%22|%5[dD]|&quot;|\\*["'`]|\])*"""
_SEPARATOR: Final = r"(?:=>|:=|={1,2}|:|%3[aAdD])"
PAIR: Final = rf"(?i)[\w$.\-]*(?:{_STEMS})[\w$.\-]*{_CLOSERS}[ \t]*{_SEPARATOR}"
FLAG: Final = rf"(?i)(?:^|[\s\"'`=,\[(])--?[\w.\-]*(?:{_STEMS})[\w.\-]*[\"',]*[ \t]+[^\s\-]"
ELEMENT: Final = rf"(?i)<(?:[\w\-]+:)?[\w.\-]*(?:{_STEMS})[\w.\-]*(?:[ \t][^<>]{{0,200}})?>[^<>\s]"

_NAME: Final = re.compile(
    rb"""(?x)(.*?)(?:%22|%5[dD]|&quot;|\\*["'`]|\])*[ \t]*(?:=>|:=|={1,2}|:|%3[aAdD])\Z""",
    re.DOTALL,
)
_SPACE: Final = re.compile(rb"[ \t]*(?:\r?\n\s*(?=[\"'\[{]))?")
_OPENER: Final = re.compile(rb"""(?:[bBrRuUfFNE@]{1,2})?(\\*)(["'`])|(&quot;)|(%22)""")
_BARE: Final = re.compile(
    rb"""(?x)(?:
      [^\s"'`,;&<>(){}\[\]|\\]++
    | ,(?![\s"'\\]|\Z|[\w.\-]+\s*[=:])
    | ;(?![\s"'\\]|\Z|[\w.\- ]+=)
    | &(?!(?:amp;)?[\w.\-\[\]%]+=|\Z|quot;|lt;|gt;)
    | \|(?![\s"']|\Z)
    | [)\]}>](?![\s,;.)\]}"'&<>|\\]|\Z)
    | [({\[] | <(?!/)
    | \\(?!\\*[nrt"']|u00)
    )++"""
)
_CALL: Final = re.compile(rb"""[A-Za-z_][\w.:]*\(\s*(?=\\*["'])|string\(\d+\)\s*(?=")""")
_MARKER: Final = re.compile(rb"\[REDACTED:[a-z0-9_]{1,64}\]|hmac:[a-z0-9-]{1,32}:[0-9a-f]{32}")
_MOST_INNER_QUOTES: Final = 256


class Pairs:
    """The finder for `secret_field`."""

    __slots__ = ("_names", "_search")

    def __init__(self, names: KeyNames) -> None:
        self._names = names
        self._search = searcher(PAIR)

    def __call__(self, raw: bytes) -> Iterator[Span]:
        """Spans of secret values, left to right."""
        position = 0
        while (found := self._search(raw, position)) is not None:
            start, end = found
            position = end
            match = _NAME.match(raw, start, end)
            assert match is not None
            name = match.group(1).decode("utf-8", "replace").lstrip("$-. ")
            kind = self._names.kind(name)
            if kind is Kind.PLAIN or kind is Kind.ACTOR or raw.startswith(b":", end):
                continue
            value = value_at(raw, end)
            if value is not None and self._is_secret(name, kind, raw[value[0] : value[1]]):
                yield value
                position = max(end, value[1])

    def _is_secret(self, name: str, kind: Kind, value: bytes) -> bool:
        if harmless(value) or _MARKER.fullmatch(value):
            return False
        if kind is Kind.DOUBTFUL:
            return looks_secret(value)
        if kind is not Kind.SECRET:
            return False
        return not (value.isdigit() and self._names.is_plural(name))


def value_at(raw: bytes, position: int) -> Span | None:
    """Where the value that begins at `position` (after the separator) lies, without its quotes."""
    space = _SPACE.match(raw, position)
    assert space is not None
    start = space.end()
    call = _CALL.match(raw, start)
    if call is not None:
        start = call.end()
    opener = _OPENER.match(raw, start)
    if opener is not None:
        return opener.end(), closing(raw, opener)
    bare = _BARE.match(raw, start)
    return bare.span() if bare is not None else None


def closing(raw: bytes, opener: re.Match[bytes]) -> int:
    """Where the quoted value after `opener` ends; the end of the text when nothing closes it."""
    if opener.group(2) is None:
        end = raw.find(opener.group(), opener.end())
        return end if end >= 0 else len(raw)
    level, quote = len(opener.group(1)), opener.group(2)
    position = opener.end()
    for _ in range(_MOST_INNER_QUOTES):
        end = raw.find(quote, position)
        if end < 0:
            return len(raw)
        slashes = end - len(raw[position:end].rstrip(b"\\")) - position
        if slashes % (2 * level + 2) == level or slashes < level:
            return end - min(slashes, level)
        position = end + 1
    return len(raw)
