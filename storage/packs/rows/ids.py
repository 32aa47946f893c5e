"""The part of an id that cannot be derived from time and position (storage/record/record_ids.py).

`id_tail` is the id's last 54 bits minus `position` times 2 to the 34: the same for all records of
a request. An id of another layout is stored in `id_exact`.
"""

from collections.abc import Sequence

import numpy as np

from storage.packs.parquet.encode import Array

_MASK = np.uint64((1 << 54) - 1)
_SHIFT = np.uint64(34)
_MAX_US = (1 << 63) // 1000 - 1

SQL = """CASE WHEN id_exact IS NOT NULL THEN id_exact ELSE CAST(
 lpad(to_hex(CAST((epoch_us(created_at) * 1000 + created_ns) // 1000000 AS UBIGINT) * 65536
  + 28672 + CAST((epoch_us(created_at) * 1000 + created_ns) % 1000000 // 256 AS UBIGINT)), 16, '0')
 || lpad(to_hex(CAST(9223372036854775808
  + CAST((epoch_us(created_at) * 1000 + created_ns) % 1000000 % 256 AS HUGEINT) * 18014398509481984
  + (CAST(id_tail AS HUGEINT) + CAST(position AS HUGEINT) * 17179869184) % 18014398509481984
  AS UBIGINT)), 16, '0') AS UUID) END"""
"""The inverse in DuckDB's dialect."""


def _time_parts(created: Array, created_ns: Array) -> tuple[Array, Array]:
    """The 64 high bits of an id of these times, and the 10 bits above the tail."""
    moments = created * 1000 + created_ns
    rest = moments % 1_000_000
    high = (moments // 1_000_000 << 16) | 0x7000 | (rest >> 8)
    low = np.uint64(1 << 63) | ((rest & 0xFF).astype(np.uint64) << np.uint64(54))
    return high.astype(np.uint64), low


def tails_of(
    ids: Sequence[bytes | None], created: Array, created_ns: Array, position: Array
) -> tuple[Array, Array]:
    """(`id_tail`, which rows have one)."""
    raw = np.frombuffer(b"".join([value or b"" for value in ids]), ">u8").reshape(-1, 2)
    high, low = _time_parts(created, created_ns)
    given = raw[:, 1].astype(np.uint64)
    follows = (raw[:, 0] == high) & (given & ~_MASK == low)
    follows &= (created >= 0) & (created <= _MAX_US)
    places = position.astype(np.uint64) << _SHIFT
    tails = (given - places) & _MASK
    return np.where(follows, tails, 0).astype(np.int64), follows


def same_id(raw: bytes, tails: Array, follows: Array | None, *numbers: Array) -> Array:
    """Which rows have this id, of those whose id follows; `numbers` as of `ids_of`."""
    created, created_ns, position = numbers
    high, low = _time_parts(created, created_ns)
    places = position.astype(np.uint64) << _SHIFT
    low |= (tails.astype(np.uint64) + places) & _MASK
    found: Array = high == np.uint64(int.from_bytes(raw[:8]))
    found &= low == np.uint64(int.from_bytes(raw[8:]))
    return found if follows is None else found & follows


def ids_of(
    tails: Array,
    follows: Array | None,
    exact: Sequence[bytes | None],
    created: Array,
    created_ns: Array,
    position: Array,
) -> list[bytes]:
    """The ids of the rows."""
    high, low = _time_parts(created, created_ns)
    places = position.astype(np.uint64) << _SHIFT
    table = np.empty((len(tails), 2), ">u8")
    table[:, 0] = high
    table[:, 1] = low | ((tails.astype(np.uint64) + places) & _MASK)
    data = table.tobytes()
    made = [data[at : at + 16] for at in range(0, len(data), 16)]
    if follows is None:
        return made
    return [whole if whole is not None else one for whole, one in zip(exact, made, strict=True)]
