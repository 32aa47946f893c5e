"""Records of the index that locate the pages of each column chunk."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from storage.packs.parquet.encode import Array

ZSTD_FLAG = 16
"""Flag in `coding`, beside the encoding."""
PAGE = np.dtype([
    ("at", "<u4"), ("dictionary_size", "<u4"), ("data_size", "<u4"), ("crc", "<u4"),
    ("gap", "u1"), ("coding", "u1"), ("unused", "<u2"),
])  # fmt: skip
"""A chunk: offset of the body of its first page (from the block's `at`), sizes of both bodies and
of the header between them (`gap`), CRC-32 from the first body to the end of the last, and encoding
(low four bits) plus ZSTD_FLAG."""


def page_of(place: int, chunk: Any, gap: int, crc: int) -> tuple[int, ...]:
    """A record of the index's section `pages`."""
    coding = chunk.encoding | (ZSTD_FLAG if chunk.codec else 0)
    return (place, len(chunk.dictionary), len(chunk.data), crc, gap, coding, 0)


def pages_array(records: Sequence[tuple[int, ...]]) -> Array:
    """Records of one block."""
    return np.array(list(records), PAGE)
