"""What the tail of an id is made of (storage/record/record_ids.py has the layout).

A hash where a record has an identity of its own, so that the same record gets the same id again;
else its place in the request (20 bits: order within equal times) and 34 random bits.
"""

from hashlib import sha256

from otlp_receiver.mapping.columns.texts import Places, first_text
from storage.record.record import Attribute
from storage.record.record_ids import TAIL_MASK

_RANDOM_BITS = 34
NEXT_PLACE = 1 << _RANDOM_BITS
"""From the tail of one place in a request to that of the next (then `& TAIL_MASK`)."""

NATURAL_KEYS = ("log.record.uid", "audit.record.id")
"""Attributes that identify a record (semantic conventions; audit: OTEP 0267)."""


def random_bits_of(random: bytes) -> int:
    """34 bits out of at least five random bytes: the tail of the first place in a request."""
    return int.from_bytes(random[:5], "big") >> 6


def tail_of_key(kind: str, key: bytes) -> int:
    """For a record that carries its identity: a hash of it. `kind` keeps kinds of keys apart."""
    digest = sha256(kind.encode() + b"\0" + key).digest()
    return int.from_bytes(digest[:8], "big") & TAIL_MASK


def tail_of(attributes: list[Attribute], places: Places) -> tuple[int | None, str]:
    """(tail, source) by the attributes that identify a record; None where they say nothing."""
    text, key = first_text(attributes, places)
    return (None, "") if text is None else (tail_of_key(key, text.encode()), key)
