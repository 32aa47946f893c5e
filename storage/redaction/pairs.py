"""Values of secret-named fields inside text.

`key=value`, `key: value`, JSON at any depth of escaping, YAML, flags, elements, names in a sibling.

RE2 finds a key word with its separator; the name is judged whole (keys.py), the value is delimited
by extents.py. Every step moves forward.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from storage.redaction.extents import extents
from storage.redaction.harmless import begins_with_word, harmless, looks_secret
from storage.redaction.headers import authorization_value, cookie_value
from storage.redaction.keys import KeyNames, Kind, words_of
from storage.redaction.shapes import Shape, Span

_CLOSERS: Final = r"""(?:%(?:25){0,2}22|%5[dD]|&quot;|\\u0022|\\*["'`]|\])*"""
_SEPARATOR: Final = r"(?:=>|:=|={1,3}|::?|%(?:25){0,2}3[aAdD]|[ \t]->|→)"
_NAME: Final = re.compile(
    rb"(?s)(.*?)(?:%(?:25){0,2}22|%5[dD]|&quot;|\\u0022|\\*[\"'`]|\])*\s*(?:=>|:=|={1,3}|::?|%(?:25){0,2}3[aAdD]|->|\xe2\x86\x92|[\"'\\, \t]*)\Z"
)
_MARKER: Final = re.compile(
    rb"\[REDACTED:[a-z0-9_]{1,64}(?::\d{0,4})?\]|hmac:[a-z0-9-]{1,32}:[0-9a-f]{32}"
)
# The usual shapes of a value, found in one step; everything else goes the long way (extents.py).
_SIMPLE: Final = re.compile(
    rb"""[ ]?(?:"([^"\\]{1,256}+)"|((?!%(?:25)*2[27])[\w+/=@$%^*~\-][\w+/=!@$%^*~.\-]{0,255}+)"""
    rb"""(?=[\s"]|[,;)][\s"]|\Z|&\w+=)(?![ ]?=))"""
)
_LINE_ENDS: Final = frozenset((b"", b"\n", b"\r"))
_PLAIN_ENDS: Final = frozenset(b"=:> ")
_WORD: Final = re.compile(rb"[a-z]{1,12}|[A-Z]{1,12}")
_ESCAPED: Final = frozenset((b"n", b"r", b"t"))
_MEMO_ENTRIES: Final = 4096
_DIGIT: Final = re.compile(rb"[0-9]")
_PIN_DIGITS: Final = range(4, 9)
_AWAITED: Final = re.compile(
    rb"(?i)(?:unexpected|expected|illegal|next|unknown|invalid|current)[ _]?\Z"
)
_WIDE: Final = frozenset(("mnemonic", "phrase", "passphrase", "passphrases"))
_PATH: Final = re.compile(rb"(?:~|\.{0,2}/|[A-Za-z]:\\)\S*")
_VALUE_FIELD: Final = re.compile(
    rb"""(?xi) \\*["']? \s*+ (?: ,?\s*+ (?:[^{}<>\n]{0,60}?[\s,{"'\\])?? (?:value|val|content|data|v) \\*["']? \s* [=:]
      | [^<>\r\n]{0,60}> | [^\r\n\\]{0,80}(?:\r?\n|\\r\\n){2}(?!-) )"""
)
_VALUE_FIRST: Final = re.compile(
    rb"""(?xi) (?:value|val) \\*["'] \s*[:=]\s* \\*["'] ([^"'\\]{1,4096}+) \\*["'] \s*,?\s*
    \\*["']? (?:name|key|header) \\*["']? \s*[:=]\s* \\*["'] ([\w.\-]{1,128}+) \\*["']"""
)
_ELEMENT_VALUE: Final = re.compile(rb"\s*(?:<!\[CDATA\[)?((?:[^<]|<(?!/))+?)\s*(?:\]\]>)?(?=</|\Z)")
_ARGUMENT: Final = re.compile(rb"""\\*["']\s*,\s*(?=\\*["'])""")


def pair_pattern(names: KeyNames) -> str:
    """RE2 for a secret-looking name and the separator after it."""
    return rf"(?i)[\w$.\-]*(?:{names.stems})[\w$.\-]*{_CLOSERS}[ \t]*{_SEPARATOR}"


def flag_pattern(names: KeyNames) -> str:
    """RE2 for a secret-looking flag and the first character of its value."""
    return (
        rf"""(?i)(?:^|[^\w\-]|\\[nrt])--?[\w.\-]*(?:{names.stems})[\w.\-]*"""
        r"""(?:[ \t]+|\\*["'],[ \t]*\\*["'])[^\s\-]"""
    )


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
        r"""|(?i)(?:name|key|header|field|param|parameter|id|k)\\*["']?\s*[=:]\s*\\*["']?"""
        rf"""[\w.\-]*(?:{names.stems}|authorization|cookie)[\w.\-]*\\*["',;>\s]"""
    )


@dataclass(frozen=True, slots=True)
class _Label:
    """A name with its quotes and separator, as it stands in a text, and what it announces."""

    name: str
    kind: Kind
    is_wide: bool
    """Its value may have blanks in it."""
    is_awaited: bool
    """Parsers say it of what they found: token."""
    is_scope: bool
    """It ends with two colons, as in C++."""
    is_plain: bool
    """Its separator is not escaped, and its value has no blanks in it without quotes."""


class Pairs:
    """The finder for names followed by a separator."""

    __slots__ = ("_labels", "_names", "_shape")

    def __init__(self, names: KeyNames) -> None:
        self._names = names
        self._shape = Shape(pair_pattern(names))
        self._labels: dict[bytes, _Label] = {}

    def __call__(self, raw: bytes) -> Iterator[Span]:
        """Spans of secret values, left to right; an empty span is a value that was let pass."""
        position = 0
        search, labels = self._shape.search, self._labels
        has_lines = b"\n" in raw
        while (found := search(raw, position)) is not None:
            start, position = found
            before = raw[start - 2 : start] if start > 1 else raw[:start]
            if before[-1:] == b"\\" and raw[start : start + 1] in _ESCAPED:
                start += 1
            text = raw[start:position]
            label = labels.get(text) or self._learn(text)
            yield start, start
            if label.kind not in _BY_NAME or self._is_other(raw, start, position, label, before):
                continue
            simple = _SIMPLE.match(raw, position) if label.is_plain else None
            if simple is not None and (
                simple.start(1) >= 0
                or not has_lines
                or raw[simple.end() : simple.end() + 1] in _LINE_ENDS
            ):
                spans: Iterable[Span] = (simple.span(simple.lastindex or 0),)
            else:
                yield start, start  # the long way costs twice as much
                yield start, start
                spans = extents(
                    raw, start, position, skip=self._names.is_beside, wide=label.is_wide
                )
            for begin, end in spans:
                value = raw[begin:end]
                if raw[begin - 2 : begin] == b": " and (
                    begins_with_word(value) or (label.is_awaited and _WORD.fullmatch(value))
                ):
                    continue  # a sentence goes on; "token: IDENT" is what parsers say
                if is_secret(self._names, label.name, label.kind, value):
                    yield begin, end
                    position = max(position, end)

    def _learn(self, text: bytes) -> _Label:
        match = _NAME.match(text)
        assert match is not None
        name = match.group(1).decode("utf-8", "replace").lstrip("$-. ")
        words = words_of(name)
        label = _Label(
            name,
            self._names.kind(name),
            is_wide=not _WIDE.isdisjoint(words),
            is_awaited=words == ["token"],
            is_scope=text.endswith(b"::"),
            is_plain=text[-1] in _PLAIN_ENDS and _WIDE.isdisjoint(words),
        )
        if len(self._labels) >= _MEMO_ENTRIES:
            self._labels.clear()
        self._labels[text] = label
        return label

    @staticmethod
    def _is_other(raw: bytes, start: int, end: int, label: _Label, before: bytes) -> bool:
        """Whether it is no field: a scope (`a::b`), a marker, a user in a URI, a parser's word."""
        return (
            before == b"//"
            or raw[end : end + 1] == b":"
            or (label.is_scope and raw[end : end + 1] != b" ")
            or (before == b"D:" and raw.endswith(b"[REDACTED:", 0, start))
            or (label.is_awaited and _AWAITED.search(raw, max(0, start - 12), start) is not None)
        )


_BY_NAME: Final = frozenset((Kind.SECRET, Kind.DOUBTFUL))


def is_secret(names: KeyNames, name: str, kind: Kind, value: bytes) -> bool:
    """Whether a value under a name of this kind is to be hidden."""
    if kind is Kind.SECRET and value.isalnum() and not value.isdigit() and _DIGIT.search(value):
        return True  # most are like this, and nothing harmless is
    if harmless(value) or _MARKER.fullmatch(value):
        return False
    if names.is_directory(name) and _PATH.fullmatch(value):
        return False
    if kind is Kind.DOUBTFUL:
        return looks_secret(value) or (
            value.isdigit() and len(value) in _PIN_DIGITS and names.is_pin(name)
        )
    return not (value.isdigit() and names.is_plural(name))


class Flags:
    """The finder for command lines: `--password x`, `["--token", "x"]`."""

    __slots__ = ("_names", "_shape")

    def __init__(self, names: KeyNames) -> None:
        self._names = names
        self._shape = Shape(flag_pattern(names))

    def __call__(self, raw: bytes) -> Iterator[Span]:
        """Spans of the values of secret-named flags."""
        position = 0
        while (found := self._shape.search(raw, position)) is not None:
            start, position = found[0], found[1] - 1
            flag = raw[start:position].rstrip(b" \t\"'\\,")
            name = flag[flag.index(b"-") :].decode("utf-8", "replace").lstrip("-")
            kind = self._names.kind(name)
            yield start, start
            if kind not in _BY_NAME:
                continue
            quote = len(raw[start:position]) - len(raw[start:position].rstrip(b"\"'\\"))
            for span in extents(raw, start, position - quote, skip=_never, wide=False):
                if is_secret(self._names, name, kind, raw[span[0] : span[1]]):
                    yield span
                    position = max(position, span[1])


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
            if value is None or kind not in _BY_NAME:
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
            if self._names.kind(name) in _BY_NAME and not harmless(match.group(1)):
                yield match.span(1)

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
            yield from extents(raw, start, following.end(), skip=_never, wide=False)


def _in_value(names: KeyNames, name: str, kind: Kind, raw: bytes, span: Span) -> Iterator[Span]:
    """What is secret in a value: the credentials of a header, or all of it."""
    begin, end = span
    value = raw[begin:end]
    if kind in _BY_NAME:
        if is_secret(names, name, kind, value):
            yield span
        return
    read = authorization_value if kind is Kind.AUTHORIZATION else cookie_value
    for start, stop in read(value):
        yield begin + start, begin + stop


def _never(name: bytes) -> bool:
    del name
    return False
