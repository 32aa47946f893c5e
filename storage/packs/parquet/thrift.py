"""Writes the part of Thrift's compact protocol that Parquet footers and page headers need."""

from collections.abc import Sequence

BOOL_TRUE, BOOL_FALSE, I32, I64, BINARY, LIST, STRUCT = 1, 2, 5, 6, 8, 9, 12


def varint(value: int) -> bytes:
    """ULEB128 of a number that is not negative."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def zigzag(value: int) -> int:
    """Zigzag encoding of a signed number."""
    return value << 1 if value >= 0 else (-value << 1) - 1


class Struct:
    """Fields of a struct, in order of their numbers."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._last = 0

    def _head(self, number: int, kind: int) -> None:
        self._out.append((number - self._last) << 4 | kind)
        self._last = number

    def i32(self, number: int, value: int) -> "Struct":
        """A 32-bit integer."""
        self._head(number, I32)
        self._out += varint(zigzag(value))
        return self

    def i64(self, number: int, value: int) -> "Struct":
        """A 64-bit integer."""
        self._head(number, I64)
        self._out += varint(zigzag(value))
        return self

    def flag(self, number: int, *, value: bool) -> "Struct":
        """A boolean."""
        self._head(number, BOOL_TRUE if value else BOOL_FALSE)
        return self

    def binary(self, number: int, value: bytes) -> "Struct":
        """Bytes, or text in UTF-8."""
        self._head(number, BINARY)
        self._out += varint(len(value)) + value
        return self

    def struct(self, number: int, value: "Struct") -> "Struct":
        """A nested struct."""
        self._head(number, STRUCT)
        self._out += value.done()
        return self

    def many(self, number: int, kind: int, values: Sequence[bytes]) -> "Struct":
        """A list of encoded values."""
        self._head(number, LIST)
        count = len(values)
        self._out += bytes([count << 4 | kind]) if count < 15 else bytes([0xF0 | kind])
        if count >= 15:
            self._out += varint(count)
        self._out += b"".join(values)
        return self

    def done(self) -> bytes:
        """The encoded struct."""
        return bytes(self._out) + b"\0"


def text(value: bytes) -> bytes:
    """Bytes as an element of a list."""
    return varint(len(value)) + value
