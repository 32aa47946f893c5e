"""Values of secret-named fields inside text.

`key=value`, `key: value`, JSON at any depth of escaping, YAML, flags; names in a sibling: named.py.

RE2 finds a key word with its separator; the whole name is classified (keys.py), the value is
delimited by extents.py. Every step moves forward.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from storage.redaction.recognition.extents import extents
from storage.redaction.recognition.harmless import begins_with_word, harmless, looks_secret
from storage.redaction.recognition.keys import KeyNames, Kind, split_words
from storage.redaction.recognition.shapes import Shape, Span

_CLOSERS: Final = r"""(?:%(?:25){0,2}22|%5[dD]|&quot;|\\u0022|\\*["'`]|\])*"""
_SEPARATOR: Final = r"(?:=>|:=|={1,3}|::?|%(?:25){0,2}3[aAdD]|[ \t]->|→|\t)"
_NAME: Final = re.compile(
    rb"(?s)(.*?)(?:%(?:25){0,2}22|%5[dD]|&quot;|\\u0022|\\*[\"'`]|\])*\s*(?:=>|:=|={1,3}|::?|%(?:25){0,2}3[aAdD]|->|\xe2\x86\x92|[\"'\\, \t]*)\Z"
)
_MARKER: Final = re.compile(
    rb"\[REDACTED:[a-z0-9_]{1,64}(?::\d{0,4})?\]|hmac:[a-z0-9-]{1,32}:[0-9a-f]{32}"
)
# Fast path: the usual forms of a value, matched in one step; all others use extents.py.
_SIMPLE: Final = re.compile(
    rb"""[ ]?(?:"([^"\\]{1,256}+)"|((?!%(?:25)*2[27])[\w+/=@$%^*~\-][\w+/=!@$%^*~.\-]{0,255}+)"""
    rb"""(?=[\s"]|[,;)][\s"]|\Z|&\w+=)(?![ ]?=))"""
)
_QUERY_BEGINS: Final = frozenset((b"?", b"&", b'"', b"'"))
_SELF_PREFIXES: Final = ("self.", "this.")
_IDENTIFIER: Final = re.compile(rb"[a-z_]+;?")
_SPOKEN: Final = frozenset((b": ", b"> "))
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
_FIRST_OF_FIELDS: Final = re.compile(rb"[A-Za-z_][\w.\-]{0,40}=[^=\s]")
# Placeholders of tools for values that they do not show: (sensitive value), <not set>.
_NOT_SHOWN: Final = re.compile(rb"[ \t]?[(<\[][A-Za-z][A-Za-z']*(?:[ \-][A-Za-z']+)+[)>\]]")
# The continuation of a message after a file path: passwd: 42 lines.
_AFTER_PATH: Final = re.compile(rb": (?:\d+|[A-Za-z]+) [a-z]")
_PATH_MARKS: Final = frozenset((b":", b"/"))
_SLASH: Final = 0x2F
_LONGEST_ARN_BYTES: Final = 120
_PATH: Final = re.compile(rb"(?:~|\.{0,2}/|[A-Za-z]:\\)\S*")
_SETTERS: Final = "setenv|env|setx|fastcgi_param|uwsgi_param|config set|env:set|secrets set"
_SETTER: Final = re.compile(rf"(?i)\W*(?:{_SETTERS})[ \t]+(.*)\Z".encode())


def pair_pattern(names: KeyNames) -> str:
    """RE2 for a secret-looking name and the separator after it."""
    return rf"(?i)[\w$.\-]*(?:{names.stems})[\w$.\-]*{_CLOSERS}[ \t]*{_SEPARATOR}"


def flag_pattern(names: KeyNames) -> str:
    """RE2 for a secret-looking flag, or a name after a command that sets it, and the value's start."""
    return (
        rf"""(?i)(?:^|[^\w\-]|\\[nrt])(?:--?|(?:{_SETTERS})[ \t]+)[\w.\-]*(?:{names.stems})[\w.\-]*"""
        r"""(?:[ \t]+|\\*["'],[ \t]*\\*["'])[^\s\-=]"""
    )


@dataclass(frozen=True, slots=True)
class _Label:
    """A name with its quotes and separator, as written in a text, and its classification."""

    name: str
    kind: Kind
    is_wide: bool
    """Its value may contain blanks."""
    is_awaited: bool
    """Parsers use it in error messages: token."""
    is_scope: bool
    """It ends with two colons, as in C++."""
    is_plural: bool
    """Fields may follow it instead of a value."""
    is_plain: bool
    """Its separator is not escaped, and its unquoted value has no blanks."""


class Pairs:
    """The finder for names followed by a separator."""

    __slots__ = ("_labels", "_names", "_shape")

    def __init__(self, names: KeyNames) -> None:
        self._names = names
        self._shape = Shape(pair_pattern(names))
        self._labels: dict[bytes, _Label] = {}

    def __call__(self, raw: bytes) -> Iterator[Span]:
        """Spans of secret values, left to right; an empty span is a rejected candidate."""
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
            if label.kind not in BY_NAME or self._is_other(raw, start, position, label, before):
                continue
            simple = _SIMPLE.match(raw, position) if label.is_plain else None
            if simple is not None and (
                simple.start(1) >= 0
                or not has_lines
                or raw[simple.end() : simple.end() + 1] in _LINE_ENDS
            ):
                spans: Iterable[Span] = (simple.span(simple.lastindex or 0),)
            elif _NOT_SHOWN.match(raw, position):
                continue
            else:
                yield start, start  # the slow path costs twice as much
                yield start, start
                spans = extents(
                    raw, start, position, skip=self._names.is_beside, wide=label.is_wide
                )
            for begin, end in spans:
                value = raw[begin:end]
                if raw[begin - 2 : begin] in _SPOKEN and (
                    begins_with_word(value)
                    or (value == b"password" and raw[end : end + 1] == b" ")
                    or (label.is_awaited and _WORD.fullmatch(value))
                    or (label.is_plural and self._begins_fields(value))
                ):
                    continue  # a sentence or fields continue; "token: IDENT" is a parser's message
                kind = label.kind
                if kind is Kind.DOUBTFUL and _is_query_pass(label.name, before, value):
                    kind = Kind.SECRET
                if is_secret(self._names, label.name, kind, value):
                    yield begin, end
                    position = max(position, end)

    def _learn(self, text: bytes) -> _Label:
        match = _NAME.match(text)
        assert match is not None
        name = match.group(1).decode("utf-8", "replace").lstrip("$-. ")
        words = split_words(name)
        kind = self._names.kind(name)
        if kind is Kind.SECRET and text.endswith(b"\t"):
            kind = Kind.DOUBTFUL  # in a table the next column may be anything
        label = _Label(
            name,
            kind,
            is_wide=not _WIDE.isdisjoint(words),
            is_awaited=words == ["token"],
            is_scope=text.endswith(b"::"),
            is_plural=self._names.is_plural(name),
            is_plain=text[-1] in _PLAIN_ENDS and _WIDE.isdisjoint(words),
        )
        if len(self._labels) >= _MEMO_ENTRIES:
            self._labels.clear()
        self._labels[text] = label
        return label

    def _begins_fields(self, value: bytes) -> bool:
        """Whether fields follow the name of their group: `credentials: user=bob`."""
        if _FIRST_OF_FIELDS.match(value):
            return True
        return self._names.kind(value.decode("utf-8", "replace")) is Kind.SECRET

    @staticmethod
    def _is_other(raw: bytes, start: int, end: int, label: _Label, before: bytes) -> bool:
        """Whether it is not a field: a scope (`a::b`), a marker, a user in a URI, a parser's word."""
        return (
            before == b"//"
            or raw[end : end + 1] == b":"
            or (label.is_scope and raw[end : end + 1] != b" ")
            or (before == b"D:" and raw.endswith(b"[REDACTED:", 0, start))
            or (before[-1:] in _PATH_MARKS and _is_end_of_path(raw, start, end))
            or (label.is_awaited and _AWAITED.search(raw, max(0, start - 12), start) is not None)
        )


def _is_query_pass(name: str, before: bytes, value: bytes) -> bool:
    """Whether it is `&pass=` or `"pass":`; elsewhere `pass` is about the results of tests."""
    return before[-1:] in _QUERY_BEGINS and name == "pass" and not value.isdigit()


def _is_end_of_path(raw: bytes, start: int, end: int) -> bool:
    """Whether the name ends a file path before a message, or is part of an Amazon resource name.

    `/etc/passwd: 42 lines`, `arn:aws:…:secret:prod/db`.
    """
    if raw[start - 1] == _SLASH:
        return _AFTER_PATH.match(raw, end - 1) is not None
    before = raw[max(0, start - _LONGEST_ARN_BYTES) : start]
    at = before.rfind(b"arn:")
    return at >= 0 and len(before[at:].split(None, 1)) == 1


BY_NAME: Final = frozenset((Kind.SECRET, Kind.DOUBTFUL))
"""Kinds whose value itself is the secret."""


def is_secret(names: KeyNames, name: str, kind: Kind, value: bytes) -> bool:
    """Whether a value under a name of this kind must be hidden."""
    if kind is Kind.SECRET and value.isalnum() and not value.isdigit() and _DIGIT.search(value):
        return True  # the most frequent form, and never harmless
    if harmless(value) or _MARKER.fullmatch(value):
        return False
    if name.startswith(_SELF_PREFIXES) and _IDENTIFIER.fullmatch(value):
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
            setter = _SETTER.match(flag)
            named = flag[flag.index(b"-") :] if setter is None else setter.group(1)
            name = named.decode("utf-8", "replace").lstrip("-")
            kind = self._names.kind(name)
            yield start, start
            if kind not in BY_NAME:
                continue
            quote = len(raw[start:position]) - len(raw[start:position].rstrip(b"\"'\\"))
            for span in extents(raw, start, position - quote, skip=never, wide=False):
                if is_secret(self._names, name, kind, raw[span[0] : span[1]]):
                    yield span
                    position = max(position, span[1])


def never(name: bytes) -> bool:
    """Skip nothing: for values that are not maps."""
    del name
    return False
