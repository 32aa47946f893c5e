"""Decodes some rows of a page, without the others. Compiled by mypyc; hot loops.

The results are those of decode.py, which decodes whole pages with NumPy, and is used where this
module runs interpreted.
"""

from typing import Any, Final

from librt.strings import read_i64_le
from mypy_extensions import i64

IS_COMPILED: Final = not __file__.endswith(".py")
DICTIONARY: Final = 8
DELTA: Final = 5
DELTA_LENGTH: Final = 6
_UUID: Final = 16


class Unusual(ValueError):
    """A page that encode.py does not write."""


class Page:
    """The decompressed body of a data page, read from `at` on."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size: i64 = len(data)
        self.at: i64 = 0

    def varint(self) -> i64:
        """An unsigned number of 7 bits a byte, of at most 64 bits."""
        value: i64 = 0
        shift: i64 = 0
        while True:
            if self.at >= self.size or shift > 63:
                raise Unusual("a number does not end")
            byte = i64(self.data[self.at])
            self.at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def word(self, at: i64) -> i64:
        """Eight bytes, little endian; zeros beyond the end."""
        if at + 8 <= self.size:
            return read_i64_le(self.data, at)
        value: i64 = 0
        shift: i64 = 0
        while at < self.size:
            value |= i64(self.data[at]) << shift
            shift += 8
            at += 1
        return value


def pick(
    encoding: i64,
    is_optional: bool,
    is_short: bool,
    values: tuple[Any, ...],
    data: bytes,
    rows: i64,
    wanted: list[int],
) -> list[Any]:
    """The values of the rows `wanted`, ascending; None for NULL. Raises Unusual.

    `is_short`: integers of 32 bits. `values`: the dictionary. PLAIN is of 16 bytes a value.
    """
    page = Page(data)
    places, present = wanted, rows
    picked: list[Any] = []
    ranks: list[int] = []
    if is_optional:
        ranks, present = _ranks(page, rows, wanted)
        places = [rank for rank in ranks if rank >= 0]
    if encoding == DICTIONARY:
        picked = _codes(page, present, values, places)
    elif encoding == DELTA:
        picked = _numbers(page, present, places, is_short)
    elif encoding == DELTA_LENGTH:
        picked = _texts(page, present, places)
    else:
        if page.size - page.at != _UUID * present:
            raise Unusual("values of another size")
        base = page.at
        for place in places:
            start: i64 = base + i64(place) * _UUID
            picked.append(data[start : start + _UUID])
    if not is_optional or len(picked) == len(wanted):
        return picked
    spread: list[Any] = []
    number = 0
    for rank in ranks:
        if rank < 0:
            spread.append(None)
        else:
            spread.append(picked[number])
            number += 1
    return spread


def _ranks(page: Page, rows: i64, wanted: list[int]) -> tuple[list[int], i64]:
    """(for each row its number among those with a value, or -1; how many have one)."""
    if page.size < 5:
        raise Unusual("no definition levels")
    end: i64 = 4 + (page.word(0) & 0xFFFFFFFF)
    page.at = 4
    head = page.varint()
    base = page.at
    page.at = end
    if head & 1 == 0:
        if head >> 1 != rows or base >= page.size:
            raise Unusual("levels of another number of rows")
        if page.data[base] != 0:
            return wanted, rows
        return [-1] * len(wanted), 0
    if head >> 1 != (rows + 7) // 8 or base + (rows + 7) // 8 > page.size:
        raise Unusual("levels of another number of rows")
    ranks: list[int] = []
    count: i64 = 0
    row: i64 = 0
    for next_ in wanted:
        stop: i64 = i64(next_)
        while row < stop:
            count += i64(page.data[base + (row >> 3)]) >> (row & 7) & 1
            row += 1
        is_there = i64(page.data[base + (row >> 3)]) >> (row & 7) & 1
        ranks.append(int(count) if is_there else -1)
    while row < rows:
        count += i64(page.data[base + (row >> 3)]) >> (row & 7) & 1
        row += 1
    return ranks, count


def _codes(page: Page, count: i64, values: tuple[Any, ...], places: list[int]) -> list[Any]:
    if page.at >= page.size:
        raise Unusual("no indices")
    width: i64 = i64(page.data[page.at])
    page.at += 1
    head = page.varint()
    size: i64 = len(values)
    if head & 1 == 0:
        if head >> 1 != count or page.at >= page.size:
            raise Unusual("indices of another number of rows")
        code: i64 = i64(page.data[page.at])
        if code >= size and count > 0:
            raise Unusual("no such value")
        return [values[code]] * len(places) if places else []
    if head >> 1 != (count + 7) // 8 or width < 1 or width > 8:
        raise Unusual("indices of another number of rows")
    base = page.at
    if base + (count * width + 7) // 8 > page.size:
        raise Unusual("truncated")
    mask = _mask(width)
    picked: list[Any] = []
    for place in places:
        bit: i64 = i64(place) * width
        code = (page.word(base + (bit >> 3)) >> (bit & 7)) & mask
        if code >= size:
            raise Unusual("no such value")
        picked.append(values[code])
    return picked


def _mask(width: i64) -> i64:
    """The lowest `width` bits. A literal 1 would be shifted as a C int, of 32 bits."""
    bits: i64 = -1
    if width > 63:
        return bits
    bits <<= width
    return ~bits


def _start(page: Page, count: i64) -> tuple[i64, i64, i64]:
    """(the first number, the least delta, the bits of a delta); `page.at` is at the deltas."""
    size = page.varint()
    if page.at >= page.size or page.data[page.at] != 1 or size != _padded(count):
        raise Unusual("more than one miniblock")
    page.at += 1
    if page.varint() != count:
        raise Unusual("numbers of another number of rows")
    first = _unzigzag(page.varint())
    if count < 2:
        return first, 0, 0
    least = _unzigzag(page.varint())
    if page.at >= page.size:
        raise Unusual("truncated")
    width: i64 = i64(page.data[page.at])
    page.at += 1
    if (width > 56 and width != 64) or page.at + size * width // 8 > page.size:
        raise Unusual("truncated")
    return first, least, width


def _padded(count: i64) -> i64:
    size: i64 = (count - 1 + 127) // 128 * 128
    return size if size > 128 else 128


def _unzigzag(value: i64) -> i64:
    half: i64 = (value >> 1) & 0x7FFFFFFFFFFFFFFF
    return half if value & 1 == 0 else -half - 1


def _numbers(page: Page, count: i64, places: list[int], is_short: bool) -> list[Any]:
    value, least, width = _start(page, count)
    base = page.at
    if base + (0 if count < 2 else _padded(count) * width // 8) != page.size:
        raise Unusual("bytes are left over")
    mask = _mask(width)
    picked: list[Any] = []
    at: i64 = 0
    bit: i64 = 0
    for place in places:
        stop: i64 = i64(place)
        while at < stop:
            value += least + ((page.word(base + (bit >> 3)) >> (bit & 7)) & mask)
            bit += width
            at += 1
        if is_short:
            picked.append(int((value + 0x80000000 & 0xFFFFFFFF) - 0x80000000))
        else:
            picked.append(int(value))
    return picked


def _texts(page: Page, count: i64, places: list[int]) -> list[Any]:
    length, least, width = _start(page, count)
    base = page.at
    text: i64 = base + (0 if count < 2 else _padded(count) * width // 8)
    mask = _mask(width)
    data, size = page.data, page.size
    picked: list[Any] = []
    at: i64 = 0
    bit: i64 = 0
    for place in places:
        stop: i64 = i64(place)
        while at < stop:
            if length < 0:
                raise Unusual("a text of negative length")
            text += length
            length += least + ((page.word(base + (bit >> 3)) >> (bit & 7)) & mask)
            bit += width
            at += 1
        if length < 0 or text + length > size:
            raise Unusual("texts are longer than the page")
        picked.append(data[text : text + length])
    return picked
