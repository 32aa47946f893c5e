"""Places of grams and exact tokens in a block's signature, computed with NumPy.

A signature is built as a set of places below 2 to the 21, and stored in fewer bits (`bits`), each
of which covers neighbouring places: place * bits >> 21.
"""

from collections.abc import Sequence

import numpy as np

from storage.packs.parquet.encode import Array

UNIVERSE_BITS = 21
_THREE = np.uint32(0x9E3779B1)
_FIVE = np.uint64(0x9E3779B97F4A7C15)
_LINE = 10


def gram_places(blob: bytes) -> tuple[Array, Array]:
    """(places of the 3-grams, of the 5-grams) of folded text, without those across a line feed."""
    size = len(blob)
    padded = np.frombuffer(blob + bytes(8), np.uint8)
    lines = np.flatnonzero(padded[:size] == _LINE)
    valid = np.ones(size + 8, np.bool_)
    valid[size - 2 :] = False
    for back in range(3):
        valid[np.maximum(lines - back, 0)] = False
    words = np.ndarray((size,), "<u4", padded, strides=(1,))
    with np.errstate(over="ignore"):
        three = ((words & np.uint32(0xFFFFFF)) * _THREE) >> np.uint32(32 - UNIVERSE_BITS)
        three = three[valid[:size]]
        valid[max(size - 4, 0) :] = False
        for back in (3, 4):
            valid[np.maximum(lines - back, 0)] = False
        longs = np.ndarray((size,), "<u8", padded, strides=(1,))
        five = (longs << np.uint64(24)) * _FIVE >> np.uint64(64 - UNIVERSE_BITS)
    return three, five[valid[:size]].astype(np.uint32)


def token_places(hashes: Sequence[int] | Array, count: int) -> Array:
    """`count` places for each token's hash."""
    seeds = np.asarray(hashes, np.uint64)
    with np.errstate(over="ignore"):
        mixed = (seeds + np.uint64(1)) * np.uint64(0xBF58476D1CE4E5B9)
        mixed ^= mixed >> np.uint64(31)
        step = mixed * np.uint64(0x94D049BB133111EB) | np.uint64(1)
        steps = np.arange(count, dtype=np.uint64)[:, None]
        places = (mixed + steps * step) >> np.uint64(64 - UNIVERSE_BITS)
    return places.ravel().astype(np.uint32)


def distinct(places: Array) -> Array:
    """The distinct places, sorted. Sorting beats a table of the whole universe six times."""
    ordered = np.sort(places)
    if not len(ordered):
        return ordered
    kept = np.empty(len(ordered), np.bool_)
    kept[0] = True
    np.not_equal(ordered[1:], ordered[:-1], out=kept[1:])
    return ordered[kept]


def scaled(places: Array, bits: int) -> Array:
    """Places as bit numbers of a signature of `bits`."""
    return places.astype(np.uint64) * np.uint64(bits) >> np.uint64(UNIVERSE_BITS)
