"""Secrets with their name in a sibling: elements, name and value pairs, tuples, forms.

<password>x</password>   "name": "DB_PASSWORD", "value": "x"   ('password', 'x')   define('DB_PASS', 'x')
"""

import re
from collections.abc import Iterator
from typing import Final

from storage.redaction.finders.headers import authorization_value, cookie_value
from storage.redaction.finders.pairs import BY_NAME, is_secret, never
from storage.redaction.recognition.extents import extents
from storage.redaction.recognition.harmless import harmless, looks_secret
from storage.redaction.recognition.keys import KeyNames, Kind
from storage.redaction.recognition.shapes import Shape, Span

_VALUE_FIELD: Final = re.compile(
    rb"""(?xi) \\*["']? \s*+ (?: ,?\s*+ (?:[^{}<>\n]{0,60}?[\s,{"'\\])?? (?:\w{0,24}?value|val|content|data|v) \\*["']? \s* [=:]
      | [^<>\r\n]{0,60}> | [^\r\n\\]{0,80}(?:\r?\n|\\r\\n){2}(?!-) )"""
)
_VALUE_FIRST: Final = re.compile(
    rb"""(?xi) (?:value|val) \\*["'] \s*[:=]\s* \\*["'] ([^"'\\]{1,4096}+) \\*["'] \s*,?\s*
    \\*["']? (?:name|key|header) \\*["']? \s*[:=]\s* \\*["'] ([\w.\-]{1,128}+) \\*["']"""
)
_ELEMENT_VALUE: Final = re.compile(rb"\s*(?:<!\[CDATA\[)?((?:[^<]|<(?!/))+?)\s*(?:\]\]>)?(?=</|\Z)")
_TUPLES: Final = frozenset(b"([{")
_SECOND: Final = re.compile(rb"""["']([^"'\\]{1,4096}+)\\*["']\s*[)\]}]""")
_ARGUMENT: Final = re.compile(rb"""\\*["']\s*,\s*(?=\\*["'])""")


def element_pattern(names: KeyNames) -> str:
    """RE2 for a secret-looking element and the first character of its text."""
    return (
        rf"(?i)<(?:[\w\-]+:)?[\w.\-]*(?:{names.stems})[\w.\-]*(?:\s[^<>]{{0,200}})?>"
        r"\s*(?:<!\[CDATA\[)?[^<>\s]"
    )


def named_pattern(names: KeyNames) -> str:
    """RE2 for a field that holds a secret-looking name."""
    return (
        rf"""(?i)(?:define|set\w*|put\w*|add\w*|header|append|with\w*)\(\s*\\*["']"""
        rf"""[\w.\-]*(?:{names.stems})[\w.\-]*\\*["']"""
        rf"""|(?i)[(\[{{]\s*\\*["']?[\w.\-]*(?:{names.stems})[\w.\-]*\\*["']?,\s*\\*["']"""
        r"""|(?i)(?:name|key|header|field|param|parameter|id|k)\\*["']?\s*[=:]\s*\\*["']?"""
        rf"""[\w.\-]*(?:{names.stems}|authorization|cookie)[\w.\-]*(?:\\*["',;>\s]|\\+n)"""
    )


class Elements:
    """The finder for XML and HTML: the text of secret-named elements."""

    __slots__ = ("_names", "_shape")

    def __init__(self, names: KeyNames) -> None:
        self._names = names
        self._shape = Shape(element_pattern(names))

    def __call__(self, raw: bytes) -> Iterator[Span]:
        """Spans of the text of secret-named elements."""
        position = 0
        while (found := self._shape.search(raw, position)) is not None:
            start, position = found
            tag_end = raw.index(b">", start) + 1
            name = re.split(rb"[\s>]", raw[start + 1 : tag_end], maxsplit=1)[0].rpartition(b":")[2]
            value = _ELEMENT_VALUE.match(raw, tag_end)
            kind = self._names.kind(name.decode("utf-8", "replace"))
            yield start, start
            if value is None or kind not in BY_NAME:
                continue
            if value.end() == len(raw) and raw[start - 1 : start].strip(b" \t\r\n>n") and start:
                continue  # <password> as a placeholder in running text
            if is_secret(self._names, name.decode("utf-8", "replace"), kind, value.group(1)):
                yield value.span(1)
                position = max(position, value.end(1))


class Named:
    """The finder for names in a sibling: `"name": "DB_PASSWORD", "value": …`, forms, multipart."""

    __slots__ = ("_names", "_shape")

    def __init__(self, names: KeyNames) -> None:
        self._names = names
        self._shape = Shape(named_pattern(names))

    def __call__(self, raw: bytes) -> Iterator[Span]:
        """Spans of the values beside secret names."""
        position = 0
        while (found := self._shape.search(raw, position)) is not None:
            start, position = found[0], found[1] - 1
            if raw[start] in _TUPLES:
                yield from self._second(raw, start, position)
                continue
            text = raw[start:position].rstrip(b"\\\"' \t")
            name = re.split(rb"[=:(]", text)[-1].strip(b"\\\"' \t").decode("utf-8", "replace")
            kind = self._names.kind(name)
            is_call = b"(" in text
            following = (_ARGUMENT if is_call else _VALUE_FIELD).match(raw, start + len(text))
            yield start, start
            if kind is Kind.PLAIN or following is None:
                continue
            for span in self._values(raw, start, following):
                for hidden in _in_value(self._names, name, kind, raw, span):
                    yield hidden
                    position = max(position, hidden[1])
        for match in _VALUE_FIRST.finditer(raw):
            yield match.start(), match.start()
            name = match.group(2).decode("utf-8", "replace")
            if self._names.kind(name) in BY_NAME and not harmless(match.group(1)):
                yield match.span(1)

    def _second(self, raw: bytes, start: int, end: int) -> Iterator[Span]:
        """The second of two: `('password', 'x')`, `{token,"x"}`, unless it is a list of names."""
        yield start, start
        name = raw[start + 1 : end].strip(b"\\\"', \t").decode("utf-8", "replace")
        value = _SECOND.match(raw, end)
        if value is not None and self._names.kind(name) in BY_NAME and looks_secret(value[1]):
            yield value.span(1)

    @staticmethod
    def _values(raw: bytes, start: int, following: re.Match[bytes]) -> Iterator[Span]:
        if following.group().endswith(b">"):
            element = _ELEMENT_VALUE.match(raw, following.end())
            if element is not None:
                yield element.span(1)
        elif following.group().endswith((b"\n", b"\\n")):
            end = min(
                (
                    at
                    for at in (
                        raw.find(stop, following.end()) for stop in (b"\r\n", b"\n", b"\\r\\n")
                    )
                    if at >= 0
                ),
                default=len(raw),
            )
            yield following.end(), end
        else:
            yield from extents(raw, start, following.end(), skip=never, wide=False)


def _in_value(names: KeyNames, name: str, kind: Kind, raw: bytes, span: Span) -> Iterator[Span]:
    """The secret part of a value: the credentials of a header, or all of it."""
    begin, end = span
    value = raw[begin:end]
    if kind in BY_NAME:
        if is_secret(names, name, kind, value):
            yield span
        return
    read = authorization_value if kind is Kind.AUTHORIZATION else cookie_value
    for start, stop in read(value):
        yield begin + start, begin + stop
