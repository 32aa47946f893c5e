"""The tail of a record's id (layout: storage/record/record_ids.py).

A hash of the natural key, so that the same record gets the same id again; without a natural key,
its position in the request (20 bits: order within equal times) and 34 random bits.
"""

from hashlib import sha256

from otlp_receiver.mapping.columns.texts import Places, first_text
from storage.record.record import Attribute
from storage.record.record_ids import TAIL_MASK

_RANDOM_BITS = 34
NEXT_POSITION = 1 << _RANDOM_BITS
"""Increment from the tail of one position in a request to the next (then `& TAIL_MASK`)."""

NATURAL_KEYS = ("log.record.uid", "audit.record.id")
"""Attributes that identify a record (semantic conventions; audit: OTEP 0267)."""


def random_bits_of(random: bytes) -> int:
    """34 bits from at least five random bytes: the tail of the first position in a request."""
    return int.from_bytes(random[:5], "big") >> 6


def tail_of_key(kind: str, key: bytes) -> int:
    """Hash of a natural key; `kind` separates kinds of keys."""
    digest = sha256(kind.encode() + b"\0" + key).digest()
    return int.from_bytes(digest[:8], "big") & TAIL_MASK


def tail_of(attributes: list[Attribute], places: Places) -> tuple[int | None, str]:
    """(tail, source) from the attributes that identify a record; None if they are missing."""
    text, key = first_text(attributes, places)
    return (None, "") if text is None else (tail_of_key(key, text.encode()), key)
