"""Finds the chunks of a Parquet file without its index, to rebuild the index."""

from pathlib import Path
from typing import Any
from zlib import crc32

from storage.packs.errors import PackDamaged
from storage.packs.parquet.encode import DELTA, DELTA_LENGTH, DICTIONARY, PLAIN, Array
from storage.packs.parquet.places import ZSTD_FLAG, pages_array

_ENCODINGS = {
    "PLAIN": PLAIN,
    "DELTA_BINARY_PACKED": DELTA,
    "DELTA_LENGTH_BYTE_ARRAY": DELTA_LENGTH,
    "RLE_DICTIONARY": DICTIONARY,
}
_I32, _STRUCT = 5, 12


def chunks(path: Path, metadata: Any) -> list[tuple[int, int, Array]]:
    """(place, rows, page records) of each block; `metadata` is pyarrow's."""
    found = []
    with path.open("rb") as file:
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            places = [_chunk(group.column(at)) for at in range(group.num_columns)]
            start = places[0][0]
            file.seek(start)
            data = file.read(sum(size for _, size, *_ in places))
            try:
                records = [_record(data, at - start, size, of) for at, size, of in places]
            except (IndexError, KeyError, ValueError) as error:
                raise PackDamaged(path, f"page header: {error}", block=number) from error
            found.append((start, group.num_rows, pages_array(records)))
    return found


def _chunk(column: Any) -> tuple[int, int, tuple[bool, int, int]]:
    """(place, size, (has a dictionary, encoding, flag of its codec))."""
    has_dictionary = column.dictionary_page_offset is not None
    at = column.dictionary_page_offset if has_dictionary else column.data_page_offset
    encodings = [_ENCODINGS[name] for name in column.encodings if name in _ENCODINGS]
    encoding = DICTIONARY if has_dictionary else encodings[0]
    flag = ZSTD_FLAG if column.compression == "ZSTD" else 0
    return at, column.total_compressed_size, (has_dictionary, encoding, flag)


def _record(data: bytes, at: int, size: int, of: tuple[bool, int, int]) -> tuple[int, ...]:
    has_dictionary, encoding, flag = of
    end = at + size
    first = dictionary = gap = 0
    header, body = page_header(data, at)
    first = at + header
    if has_dictionary:
        dictionary = body
        gap, body = page_header(data, first + dictionary)
    if first + dictionary + gap + body != end:
        raise ValueError("more than one data page")
    return (first, dictionary, body, crc32(data[first:end]), gap, encoding | flag, 0)


def page_header(data: bytes, at: int) -> tuple[int, int]:
    """(size of the header at `at`, compressed size of its page)."""
    start, sizes = at, dict[int, int]()
    at = _skip_struct(data, at, sizes)
    return at - start, sizes[3]


def _skip_struct(data: bytes, at: int, integers: dict[int, int]) -> int:
    """The end of the struct at `at`; adds its integers to `integers`."""
    number = 0
    while data[at]:
        number += data[at] >> 4
        kind = data[at] & 15
        at += 1
        if kind == _I32:
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            integers[number] = value >> 1
        elif kind == _STRUCT:
            at = _skip_struct(data, at, {})
        else:
            raise ValueError("an unexpected field in a page header")
    return at + 1
