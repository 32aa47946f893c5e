"""Attribute values as texts of columns, and truncation to the column's limit."""

from hashlib import sha256

from storage.record.record import Attribute, Value

_HASH_DIGITS = 8

ID_CHARACTERS = 255
"""Maximum resource_id and actor_id: a B-tree entry takes 2,704 bytes, and ids are far shorter."""


def scalar_text(value: Value) -> str | None:
    """A string or integer as text; None for empty strings and other types.

    >>> [scalar_text(value) for value in ("u-42", 42, "", True, {"a": 1})]
    ['u-42', '42', None, None, None]
    """
    if type(value) is str:
        return value or None
    if type(value) is int:
        return str(value)
    return None


def first_scalar_text(value: Value) -> str | None:
    """The same; of a list (a repeated header) the first element."""
    if type(value) is list and value:
        return scalar_text(value[0])
    return scalar_text(value)


def fit(text: str, characters: int) -> str:
    """`text`, or if too long its prefix and a hash, so that different texts remain different.

    >>> fit("a" * 12, 12), fit("a" * 13, 12)
    ('aaaaaaaaaaaa', 'aaa-a689d786')
    """
    if len(text) <= characters:
        return text
    digest = sha256(text.encode()).hexdigest()[:_HASH_DIGITS]
    return f"{text[: characters - _HASH_DIGITS - 1]}-{digest}"


def cut(text: str, max_bytes: int) -> str:
    """`text` truncated to `max_bytes` of UTF-8 at a character boundary."""
    return text.encode()[:max_bytes].decode(errors="ignore")


def first_text(attributes: list[Attribute], places: "Places") -> tuple[str | None, str]:
    """The first non-empty of the attributes at `places`, and its name."""
    for place, key in places:
        value = attributes[place].value
        text = value if type(value) is str else scalar_text(value)
        if text:
            return text, key
    return None, ""


Places = tuple[tuple[int, str], ...]
"""(position in a record's attributes, name) of the sources of one column, best first."""
