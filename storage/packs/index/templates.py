"""Message templates: words with a digit are variables, the rest is the template.

A pack keeps its 1,000 most frequent templates with their counts per block, and one count for all
others, so that counting a phrase of fixed text reads no rows. The template of each row tells which
rows have such a phrase, without their messages. The grams of all variables show whether a phrase
can be part of a variable.
"""

import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import zstandard

from storage.packs.index.folding import blob_of
from storage.packs.index.grams import UNIVERSE_BITS, gram_places
from storage.packs.index.tokens import variables_out
from storage.packs.parquet.encode import Array

MOST = 1000
_LOOKED_AT = 20_000
_TOO_MANY = 10_000
GRAM_BITS = 19
"""Size of the table of the variables' grams: 64 kB."""
_LONGEST = 2_000
"""Maximum bytes of a message with a template; longer ones count as others."""
COUNT = np.dtype([("template", "<u2"), ("block", "<u2"), ("rows", "<u4")])
OTHER = 0xFFFF
_compress = zstandard.ZstdCompressor(level=3).compress
_WIDEST = 255
"""Maximum number of templates whose codes, with that of all others, take one byte."""
SECTIONS = ("templates", "template_counts", "row_templates", "variable_grams")
_REMEMBERED = 16
"""Maximum number of conditions whose verdicts a pack keeps."""
_local = threading.local()


class TemplateCounts:
    """Counts templates block by block."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._counts: list[Counter[int]] = []
        self._others: list[int] = []
        self._of_rows: list[Array] = []
        """The template of each row, by block; -1: none."""
        self._grams = np.zeros(1 << GRAM_BITS, np.bool_)
        self._rows = 0
        self._are_kept = True

    def add(self, messages: Sequence[bytes]) -> None:
        """Add the messages of a block."""
        if not self._are_kept:
            return
        short = messages
        joined = b"\n".join(messages)
        if joined.count(b"\n") >= len(messages) or max(map(len, messages)) > _LONGEST:
            short = [text for text in messages if len(text) <= _LONGEST and b"\n" not in text]
            joined = b"\n".join(short)
        templated, words = variables_out(joined)
        lines = templated.split(b"\n") if short else []
        numbers = self._numbers
        counts: Counter[int] = Counter()
        for template, rows in Counter(lines).items():
            counts[numbers.setdefault(template, len(numbers))] = rows
        self._counts.append(counts)
        of_rows = np.fromiter(map(numbers.__getitem__, lines), np.int32, len(lines))
        if len(short) < len(messages):
            is_short = [len(text) <= _LONGEST and b"\n" not in text for text in messages]
            of_short, of_rows = of_rows, np.full(len(messages), -1, np.int32)
            of_rows[is_short] = of_short
        self._of_rows.append(of_rows)
        self._others.append(len(messages) - len(short))
        self._rows += len(messages)
        variables = blob_of(words.split(b"\n"))
        for places in gram_places(variables):
            self._grams[places >> (UNIVERSE_BITS - GRAM_BITS)] = True
        if len(numbers) > _TOO_MANY and self._rows >= _LOOKED_AT:
            self._are_kept = len(numbers) * 10 < self._rows
        if not self._are_kept:
            self._numbers, self._counts, self._of_rows = {}, [], []

    def sections(self) -> dict[str, bytes]:
        """The sections of the index."""
        if not self._are_kept or len(self._numbers) * 4 > self._rows or len(self._counts) > OTHER:
            self._are_kept = False
            return dict.fromkeys(SECTIONS, b"")
        total: Counter[int] = Counter()
        for counts in self._counts:
            total.update(counts)
        kept = [number for number, _ in sorted(total.items(), key=lambda item: (-item[1], item[0]))]
        place = {number: at for at, number in enumerate(kept[:MOST])}
        names = list(self._numbers)
        rows: list[tuple[int, int, int]] = []
        for block, counts in enumerate(self._counts):
            others = self._others[block]
            for number, count in counts.items():
                if number in place:
                    rows.append((place[number], block, count))
                else:
                    others += count
            if others:
                rows.append((OTHER, block, others))
        texts = orjson.dumps([names[number].decode("utf-8", "replace") for number in place])
        return {
            "templates": zlib.compress(texts, 6),
            "template_counts": np.array(sorted(rows), COUNT).tobytes(),
            "row_templates": self._rows_section(place),
            "variable_grams": np.packbits(self._grams).tobytes(),
        }

    def _rows_section(self, place: dict[int, int]) -> bytes:
        """Where each block's bodies end, then the bodies: the template of each row."""
        # The last place is of -1.
        codes = np.full(len(self._numbers) + 1, len(place), np.uint16)
        codes[list(place)] = list(place.values())
        bodies = []
        for of_rows in self._of_rows:
            of_block = codes[of_rows]
            low = of_block.astype(np.uint8).tobytes()
            high = b"" if len(place) <= _WIDEST else (of_block >> 8).astype(np.uint8).tobytes()
            bodies.append(_compress(low + high))
        ends = np.cumsum([0, *map(len, bodies)]).astype("<u4")
        return ends.tobytes() + b"".join(bodies)

    def facts(self) -> dict[str, Any]:
        """Entry for the header; call after `sections`."""
        return {"kept": self._are_kept, "seen": len(self._numbers)}


class Templates:
    """The templates of a pack. The last verdict, or code, is that of all others."""

    def __init__(
        self, texts: bytes, counts: Array, rows: Callable[[], Array], grams: Array, blocks: int
    ) -> None:
        # Packs of a class have much the same templates: their texts are shared.
        self.texts: list[str] = [sys.intern(text) for text in orjson.loads(zlib.decompress(texts))]
        self._counts = counts
        self._read_rows = rows
        """Reads the section of rows' templates, which counts alone do not need."""
        self._blocks = blocks
        self._grams = grams
        self._known: dict[Hashable, Array] = {}

    @cached_property
    def has_others(self) -> bool:
        """Whether some messages have none of the templates."""
        return bool((self._counts["template"] == OTHER).any())

    def entries(self) -> tuple[Array, Array, Array]:
        """Rows by template and block: (template, block, rows) of each entry."""
        templates = self._counts["template"].astype(np.intp)
        templates[templates == OTHER] = len(self.texts)
        return templates, self._counts["block"].astype(np.intp), self._counts["rows"]

    def may_be_in_variable(self, folded: bytes) -> bool:
        """Whether folded text may be part of a variable; False is certain."""
        if len(folded) < 3:
            return True
        three, five = gram_places(b"\n" + folded + b"\n")
        places = np.unique(np.concatenate([three, five]) >> (UNIVERSE_BITS - GRAM_BITS))
        return bool((self._grams[places >> 3] & 0x80 >> (places & 7)).all())

    def remembered(self, key: Hashable, compute: Callable[[], Array]) -> Array:
        """An array about the templates that is computed once for each key."""
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[key] = compute()
        return known

    @cached_property
    def _of_blocks(self) -> tuple[list[int], Array]:
        """(where each block's codes end in the bodies, the bodies)."""
        section, size = self._read_rows(), 4 * (self._blocks + 1)
        return section[:size].view("<u4").tolist(), section[size:]

    def of_rows(self, block: int, rows: int) -> Array:
        """The number of each row's template. Raises ValueError for damage."""
        ends, bodies = self._of_blocks
        body = bodies[ends[block] : ends[block + 1]]
        try:
            codes: Array = np.frombuffer(_inflater().decompress(body), np.uint8)
        except zstandard.ZstdError as error:
            raise ValueError(f"templates of rows: {error}") from error
        if len(self.texts) > _WIDEST and len(codes) == 2 * rows:
            codes = codes[:rows] | codes[rows:].astype(np.uint16) << 8
        if len(codes) != rows or (rows and int(codes.max()) > len(self.texts)):
            raise ValueError("templates of rows do not fit the block")
        return codes


def _inflater() -> Any:
    """This thread's decompressor: they are not thread-safe."""
    found = getattr(_local, "inflater", None)
    if found is None:
        found = _local.inflater = zstandard.ZstdDecompressor()
    return found
