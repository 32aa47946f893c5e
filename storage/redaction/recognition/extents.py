"""Where a value ends: at its closing quote or bracket, at its last line, or after a bare word.

Quotes are not part of the span. Every function moves forward and reads each byte a bounded number
of times.
"""

import re
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias

from storage.redaction.recognition.shapes import Span

Skip: TypeAlias = Callable[[bytes], bool]
"""Whether the value of this name, inside a secret-named map, is harmless."""

_SPACE: Final = re.compile(rb"[ \t]*+(?:\r?\n\s*+(?=[\"'\[{]|string\())?")
_OPENER: Final = re.compile(
    rb"""(?:[bBrRuUfFNE@]{1,2})?(?:"""
    rb"""(?P<other>&quot;|%(?:25)*22|\\u0022|\xe2\x80\x9c|""(?=[^\s,;:}\])"]))"""
    rb"""|(?P<slashes>\\*+)(?P<quote>["'`]))"""
)
_CLOSERS: Final = {b"\xe2\x80\x9c": b"\xe2\x80\x9d"}
_BARE: Final = re.compile(
    rb"""(?x)(?:
      \$\{[^{}\n]{0,200}+\} | \{\{[^{}\n]{0,200}+\}\} | [A-Z]\w{1,16}+\[\w+\]
    | [^\s"'`,;&<>(){}\[\]|\\]++ | (?<=\w)'(?=\w)
    | ,(?![\s"'\\]|\Z|[\w.\-]{1,64}\s*[=:])
    | ;(?![\s"'\\]|\Z|[\w.\-]{1,64}=|[A-Z]\w{0,32}(?:[ ][A-Z]\w{0,32}){1,3}=)
    | &(?!(?:amp;)?[\w.\-\[\]%]{1,64}=|\Z|quot;|lt;|gt;)
    | \|(?![\s"']|\Z|[\w.\-]{1,64}[=:])
    | [)\]}>](?![\s,;:.)\]}"'&<>|\\]|\Z)
    | [({\[] | <(?!/)
    | \\(?!\\*[nrt"']|u00)
    )++"""
)
_WORDS: Final = re.compile(rb"[^\n\r,;\"'`<>{}\\|&=]++")
_QUERY: Final = re.compile(
    rb"""(?x)(?: \$\{[^{}\n]{0,200}+\} | [^\s"'`<>&#\\|(){}\[\],;]++
    | [,;(){}\[\]|](?![\s"'\\]|\Z|[\w.\-]{1,64}=) | \\(?!\\*[nrt"']|u00) )++"""
)
_ENCODED: Final = re.compile(rb"""(?:[^\s"'`<>&%|(){}\[\],;\\]|%(?!(?:25)*2[267]))++""")
_IS_ENCODED: Final = re.compile(rb"%(?:25)*3[aAdD]\Z")
_TYPE: Final = re.compile(
    rb"""[ \t]*+(?:!{1,2}[\w./:\-]+[ \t]+|&?[\w.\[\]<>|? ]{1,40}?[ \t]*(?<![=!<>])=[ \t]*(?=[bruf]?["'`]))"""
)
_PLACEHOLDER: Final = re.compile(
    rb"\{\{[^{}\n]{0,200}+\}\}|\$\{[^{}\n\"',]{0,200}+\}{1,2}(?![\w/+$])|\{\w*\}(?![\w/+$])|\$\([^()\n]{0,200}+\)|<[\w \-]{0,40}+>"
)
_BRACED: Final = re.compile(
    rb"\{(?:([^{}\"':=\n]{1,256}+)\}(?=[\s;,\"']|\Z)|([^{}\"'\n]{1,256}+)\}(?=;|\Z))"
)
_LINE: Final = re.compile(rb"[^\n\r]++")
_CALL: Final = re.compile(rb"""[A-Za-z_][\w.:]*\(\s*(?=[bru]?\\*["'])|string\(\d+\)\s*(?=")""")
_CONTAINER: Final = re.compile(
    rb"""\{\s*(?:\\*["'{\[}]|[\w.$\-]+\s*[:=])|[\[(](?=[^\])]{0,4096}[\])]|\\*["'])"""
)
_GETTER: Final = re.compile(rb"(?i)(?:^|[._:])(?:get\w*|fetch\w*|lookup\w*|env|read\w*)\(")
_MARKER: Final = re.compile(rb"\[REDACTED:[a-z0-9_]{1,64}(?::\d{0,4})?\]")
_BLOCK: Final = re.compile(rb"[|>][+\-]?\d?[ \t]*\r?(?=\n)")
_ITEMS: Final = re.compile(rb"[ \t]*\r?(?=\n[ \t]*-[ \t]+[^\s\-])")
_INDENT: Final = re.compile(rb"\n([ \t]*)(- +)?([^\n\r]*)\r?")
_NEIGHBOUR: Final = re.compile(rb"[ \t]*(?:export[ ]+)?[\w.\-]{1,64}[ \t]*[:=]")
_TOKEN: Final = re.compile(
    rb"""(?x)(?P<open>[\[{(<]) | (?P<close>[\]})>]) | (?P<quote>[bru]?\\*+["'`])
    | (?P<bare>[^\s,;:=\[\]{}()<>"'`\\]++) | (?P<other>.)""",
    re.DOTALL,
)
_SEPARATOR: Final = re.compile(rb"""\s*+(?:=>|[:=])""")
_MOST_INNER_QUOTES: Final = 256
_MOST_TOKENS: Final = 1024
_LONGEST_LINE_BYTES: Final = 1024


def extents(raw: bytes, key: int, position: int, *, skip: Skip, wide: bool) -> Iterator[Span]:
    """The spans of the value whose separator ends at `position`.

    Args:
        raw: the text.
        key: where the name begins.
        position: the byte after the separator.
        skip: names inside a map whose values are skipped.
        wide: the unquoted value may contain blanks (phrases of words).
    """
    lines = _BLOCK.match(raw, _skip_blanks(raw, position)) or _ITEMS.match(raw, position)
    if lines is not None:
        yield from _indented(raw, key, lines.end())
        return
    type_ = _TYPE.match(raw, position)
    space = _SPACE.match(raw, type_.end() if type_ is not None else position)
    assert space is not None
    start = space.end()
    call = _CALL.match(raw, start)
    if call is not None:
        if _GETTER.search(call.group()):
            return
        start = call.end()
    opener = _OPENER.match(raw, start)
    whole = _PLACEHOLDER.match(raw, start) or _BRACED.match(raw, start)
    if opener is not None:
        yield opener.end(), closing(raw, opener.end(), opener)
    elif whole is not None:
        yield whole.span(whole.lastindex or 0)
    elif _CONTAINER.match(raw, start):
        marker = _MARKER.match(raw, start)
        yield from leaves(raw, start, skip) if marker is None else _bare(raw, key, start, wide)
    else:
        yield from _bare(raw, key, start, wide)


def _bare(raw: bytes, key: int, start: int, wide: bool) -> Iterator[Span]:  # noqa: FBT001
    if wide:
        found = _WORDS.match(raw, start)
    elif _IS_ENCODED.search(raw, max(0, start - 9), start):
        found = _ENCODED.match(raw, start)
    elif raw[key - 1 : key] in {b"?", b"&"} and key:
        found = _QUERY.match(raw, start)
    elif _is_line(raw, key):
        found = _LINE.match(raw, start)
    else:
        found = _BARE.match(raw, start)
    if found is not None:
        yield start, start + len(found.group().rstrip())


def _skip_blanks(raw: bytes, position: int) -> int:
    return position + (raw[position : position + 1] == b" ")


def _is_line(raw: bytes, key: int) -> bool:
    """Whether the name begins a line among lines of the same kind (YAML, .env, properties)."""
    line = raw.rfind(b"\n", max(0, key - _LONGEST_LINE_BYTES), key) + 1
    if raw[line:key].strip(b" \t-") not in {b"", b"export"}:
        return False
    end = raw.find(b"\n", key, key + _LONGEST_LINE_BYTES)
    if end >= 0 and _NEIGHBOUR.match(raw, end + 1):
        return True
    before = raw.rfind(b"\n", max(0, line - _LONGEST_LINE_BYTES), max(0, line - 1)) + 1
    return line > 0 and _NEIGHBOUR.match(raw, before) is not None


def _indented(raw: bytes, key: int, position: int) -> Iterator[Span]:
    """The lines below a name that are indented deeper, or are its list items."""
    line = raw.rfind(b"\n", max(0, key - _LONGEST_LINE_BYTES), key) + 1
    indent = len(raw[line:key]) - len(raw[line:key].lstrip(b" \t"))
    while (found := _INDENT.match(raw, position)) is not None:
        position = found.end()
        content = found.group(3).rstrip()
        if content and len(found.group(1)) <= indent and not found.group(2):
            return
        if content:
            yield found.start(3), found.start(3) + len(content)


def closing(raw: bytes, position: int, opener: re.Match[bytes]) -> int:
    """Where the quoted value after `opener` ends; the end of the text when it is not closed.

    Text inside JSON inside JSON has 1, 3, 7 … backslashes before each of its quotes; a quote with
    more of them belongs to the value, one with fewer ends the text around it.
    """
    other = opener.group("other")
    if other is not None:
        end = raw.find(_CLOSERS.get(other, other), position)
        return end if end >= 0 else len(raw)
    level, quote = len(opener.group("slashes")), opener.group("quote")
    for _ in range(_MOST_INNER_QUOTES):
        end = raw.find(quote, position)
        if end < 0:
            return len(raw)
        slashes = len(raw[position:end]) - len(raw[position:end].rstrip(b"\\"))
        doubled = quote == b"'" and raw.startswith(b"''", end)
        if (slashes % (2 * level + 2) == level or slashes < level) and not doubled:
            return end - min(slashes, level)
        position = end + 1 + doubled
    return len(raw)


def leaves(raw: bytes, position: int, skip: Skip) -> Iterator[Span]:
    """The values inside the brackets that open at `position`, without names and harmless fields."""
    depth = 0
    skipping = False
    for _ in range(_MOST_TOKENS):
        token = _TOKEN.match(raw, position)
        if token is None:
            return
        kind, start, position = token.lastgroup, token.start(), token.end()
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
            if depth <= 0:
                return
        elif kind in {"quote", "bare"}:
            span, position = _leaf(raw, start, token)
            if _SEPARATOR.match(raw, position):
                skipping = skip(raw[span[0] : span[1]])
            elif skipping:
                skipping = False
            else:
                yield span
    yield position, len(raw)


def _leaf(raw: bytes, start: int, token: re.Match[bytes]) -> tuple[Span, int]:
    """A string or bare word, and the position after it."""
    if token.lastgroup == "bare":
        return token.span(), token.end()
    opener = _OPENER.match(raw, start)
    assert opener is not None
    end = closing(raw, opener.end(), opener)
    return (opener.end(), end), min(len(raw), end + len(opener.group().lstrip(b"bru")))
