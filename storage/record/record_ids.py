r"""Time-ordered ids: the layout of UUIDv7 (RFC 9562, 5.7) with the time of the record.

    48 bits  milliseconds since 1970          4 bits   version 7
    12 bits  \\ nanoseconds within the         2 bits   variant
     8 bits  / millisecond, 0-999999          54 bits  tail

The tail is a hash where a record has its own identity, so that the same record always gets the same
id; else its position in the request (20 bits: order within equal times) and 34 random bits.
"""

from struct import Struct

from mypy_extensions import i64

_pack = Struct(">qq").pack
_TAIL_BITS = 54
_VARIANT = -(1 << 63)
"""0b10 in the two highest bits of a signed number."""
TAIL_MASK = (1 << _TAIL_BITS) - 1


def id_of(unix_ns: int, tail: int) -> bytes:
    """The 16 bytes of the id of a record of that time (0 <= unix_ns < 2**64).

    >>> id_of(1, 0).hex(), id_of(2**64 - 1, 2**54 - 1).hex()
    ('00000000000070008040000000000000', '10c6f7a0b5ed786aafffffffffffffff')
    """
    milliseconds: i64 = unix_ns // 1_000_000
    rest: i64 = unix_ns % 1_000_000
    return _pack(
        milliseconds << 16 | 0x7000 | rest >> 8,
        _VARIANT | (rest & 0xFF) << _TAIL_BITS | i64(tail),
    )
