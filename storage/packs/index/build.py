"""Builds the index of a pack, block by block: while it is written, or from its file alone."""

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from storage.packs.index.grams import UNIVERSE_BITS, scaled
from storage.packs.index.layout import BLOCK, stripe_sums, write
from storage.packs.index.signature import PATH_BITS, TOKEN_BITS, WORD_BITS, Getter, Parts
from storage.packs.index.signature import signature as signature_of
from storage.packs.index.templates import TemplateCounts
from storage.packs.parquet.encode import Array
from storage.packs.parquet.places import PAGE
from storage.packs.schema import Plan

_LOAD = 0.868
"""Places a bit. At 0.69 half of the bits are set, and tokens need the fewest; texts have more grams
than they need, so that fewer bits cost them little: 58 % are set, a fifth of the bytes is saved."""
_ROUNDING = 64


class IndexBuilder:
    """Collects blocks; `finish` writes the file."""

    def __init__(self, plan: Plan, scratch: Path) -> None:
        self._plan = plan
        self._blocks: list[tuple[int, ...]] = []
        self._pages: list[Array] = []
        self._sizes: list[int] = []
        self._spill: BinaryIO = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - closed below
        self.distinct_by_part: Counter[str] = Counter()
        """Number of places by origin, if `measures` is set."""
        self.measures = False
        self._templates = TemplateCounts()
        self._ids: list[Array] = []

    def add(
        self, get: Getter, rows: int, at: int, pages: Array, parts: Parts | None = None
    ) -> None:
        """Add a block: its columns, offset and chunks."""
        parts = parts or signature_of(get, self._plan)
        places = parts.together()
        if self.measures:
            self.distinct_by_part.update(parts.counts())
        self._ids.append(np.array(parts.ids, np.uint32))
        self._spill.write(places.tobytes())
        self._sizes.append(len(places))
        first = self._blocks[-1][0] + self._blocks[-1][1] if self._blocks else 0
        ranges: list[int] = []
        for name in ("created_at", "received_at", "batch_id"):
            values = get(name).array()
            ranges += [int(values.min()), int(values.max())]
        duration = get("duration_ns")
        values = duration.array() if duration.valid is None else duration.array()[duration.valid]
        ranges += [int(values.min()), int(values.max())] if len(values) else [1, 0]
        self._blocks.append((first, rows, at, *ranges))
        self._pages.append(pages)
        self._templates.add(get("message").values())

    def ids(self) -> Array:
        """Distinct hashes of the ids for the class's filters (bloom.py)."""
        return np.unique(np.concatenate(self._ids))

    def close(self) -> None:
        """Close the scratch file."""
        self._spill.close()

    def signature_bits(self) -> int:
        """Bits per block, so that the fullest block has 58 % of them set."""
        most = max(self._sizes, default=1)
        return -(-int(most / _LOAD + 1) // _ROUNDING) * _ROUNDING

    def finish(self, path: Path, header: Mapping[str, Any], proof: Mapping[str, bytes]) -> str:
        """Write the index file; returns its SHA-256."""
        bits = self.signature_bits()
        stride = -(-len(self._blocks) // 8)
        matrix = np.zeros((bits, stride), np.uint8)
        self._spill.seek(0)
        for block, size in enumerate(self._sizes):
            places = np.frombuffer(self._spill.read(4 * size), "<u4")
            numbers = scaled(places, bits)
            matrix[numbers, block >> 3] |= np.uint8(1 << (block & 7))
        self._spill.close()
        signature = matrix.tobytes()
        sections = {
            "blocks": np.array(self._blocks, BLOCK).tobytes(),
            "pages": np.concatenate(self._pages).astype(PAGE).tobytes(),
            **self._templates.sections(),
            "signature": signature,
            "signature_sums": stripe_sums(signature, stride),
            **proof,
        }
        whole = {
            **header,
            "signature": {
                "bits": bits,
                "stride": stride,
                "universe_bits": UNIVERSE_BITS,
                "column_bits": TOKEN_BITS,
                "path_bits": PATH_BITS,
                "word_bits": WORD_BITS,
                "fullest_block": max(self._sizes, default=0),
            },
            "templates": self._templates.facts(),
        }
        return write(path, whole, sections)
