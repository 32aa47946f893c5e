"""Values as the texts of columns, and texts cut to what a column takes."""

from hashlib import sha256

from storage.record.record import Attribute, Value

_HASH_DIGITS = 8

ID_CHARACTERS = 255
"""Longest resource_id and actor_id: a B-tree entry takes 2,704 bytes, and ids are far shorter."""


def scalar_text(value: Value) -> str | None:
    """A scalar as an id or a name; None for what names nothing (empty, flags, maps).

    >>> scalar_text("u-42"), scalar_text(42), scalar_text(""), scalar_text(True), scalar_text({"a": 1})
    ('u-42', '42', None, None, None)
    """
    if type(value) is str:
        return value or None
    if type(value) is int:
        return str(value)
    return None


def first_scalar_text(value: Value) -> str | None:
    """The same, and of a list (a repeated header) its first element."""
    if type(value) is list and value:
        return scalar_text(value[0])
    return scalar_text(value)


def fit(text: str, characters: int) -> str:
    """`text`, or where it is longer its beginning and a hash, so that two of them stay two.

    >>> fit("a" * 12, 12), fit("a" * 13, 12)
    ('aaaaaaaaaaaa', 'aaa-a689d786')
    """
    if len(text) <= characters:
        return text
    digest = sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{text[: characters - _HASH_DIGITS - 1]}-{digest}"


def cut(text: str, max_bytes: int) -> str:
    """`text` cut to `max_bytes` of UTF-8 at a character; the size before belongs into metadata."""
    return text.encode()[:max_bytes].decode(errors="ignore")


def first_text(attributes: list[Attribute], places: "Places") -> tuple[str | None, str]:
    """The first of the attributes at `places` that says something, and its name."""
    for place, key in places:
        value = attributes[place].value
        text = value if type(value) is str else scalar_text(value)
        if text:
            return text, key
    return None, ""


Places = tuple[tuple[int, str], ...]
"""Where in a record's attributes the sources of one column stand, best first, and their names."""
