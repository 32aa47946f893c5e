"""Case folding of text for signatures, letter by letter.

Texts that ILIKE regards as equal (simple lower case) have the same folded form, so that a search
never misses a block. A text that NFC changes is indexed in both forms.
"""

import re
import unicodedata
from collections.abc import Iterable

_WORDS = re.compile(rb"[a-z0-9\x80-\xff]+")
_DIGITS = b"0123456789"
LEAST_WORD = 4
"""Minimum bytes of a word with a digit that gets a token."""


def folded(text: str) -> bytes:
    """Case folded, in UTF-8. The dotted capital I is an i, as PostgreSQL's C.UTF-8 has it."""
    if text.isascii():
        return text.lower().encode()
    return text.replace("\u0130", "i").casefold().encode()


def forms(text: str) -> tuple[bytes, ...]:
    """The indexed forms of a text: its folding, and that of its NFC if different."""
    plain = folded(text)
    if text.isascii():
        return (plain,)
    composed = folded(unicodedata.normalize("NFC", text))
    return (plain,) if composed == plain else (plain, composed)


def blob_of(texts: Iterable[bytes]) -> bytes:
    """The distinct lines of texts, folded, each between line feeds."""
    values = set(texts)
    joined = b"\n".join(values)
    if b"\n" in joined and joined.count(b"\n") != len(values) - 1:
        values = {line for value in values for line in value.split(b"\n")}
        joined = b"\n".join(values)
    if joined.isascii():
        return b"\n" + joined.lower() + b"\n"
    lines = [form for value in values for form in forms(value.decode("utf-8", "replace"))]
    return b"\n" + b"\n".join(lines) + b"\n"


def delimited_words(text: bytes) -> set[bytes]:
    """Words with a digit that are complete in a folded phrase, whatever surrounds the phrase."""
    found = set()
    for match in _WORDS.finditer(text):
        word = match.group()
        is_delimited = match.start() > 0 and match.end() < len(text)
        has_digit = len(word.translate(None, _DIGITS)) != len(word)
        if is_delimited and has_digit and len(word) >= LEAST_WORD:
            found.add(word)
    return found
