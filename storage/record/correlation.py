"""The correlation id as stored in its column; searches convert their values the same way."""

from uuid import UUID, uuid5

CHARACTERS = 36
"""Width of the column: a UUID with dashes."""

_NAMESPACE = UUID("6f70736c-6f67-5063-8f72-72656c617465")
"""Specific to opslog; never change it, or stored long ids can no longer be found."""


def stored_correlation(text: str) -> str:
    """`text`, or a UUID (version 5) of it if it is too long for the column.

    >>> stored_correlation("req-1"), len(stored_correlation("x" * 37))
    ('req-1', 36)
    """
    return text if len(text) <= CHARACTERS else str(uuid5(_NAMESPACE, text))
