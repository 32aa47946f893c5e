"""The correlation id as the column keeps it; searches turn what people type the same way."""

from uuid import UUID, uuid5

CHARACTERS = 36
"""Of the column: a UUID with dashes."""

_NAMESPACE = UUID("6f70736c-6f67-5063-8f72-72656c617465")
"""Ours; never change it, or stored long ids are not found any more."""


def stored_correlation(text: str) -> str:
    """`text`, or a UUID (version 5) of it where the column is too short for it.

    >>> stored_correlation("req-1"), len(stored_correlation("x" * 37))
    ('req-1', 36)
    """
    return text if len(text) <= CHARACTERS else str(uuid5(_NAMESPACE, text))
