"""Message templates: words with a digit are variables, the rest is the template.

A pack keeps its 1,000 most frequent templates with their counts per block, and one count for all
others, so that counting a phrase of fixed text reads no rows. The grams of all variables show
whether a phrase can be part of a variable.
"""

import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

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


class TemplateCounts:
    """Counts templates block by block."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, int] = {}
        self._counts: list[Counter[int]] = []
        self._others: list[int] = []
        self._grams = np.zeros(1 << GRAM_BITS, np.bool_)
        self._rows = 0
        self._are_kept = True

    def add(self, messages: Sequence[bytes]) -> None:
        """Add the messages of a block."""
        if not self._are_kept:
            return
        short = [
            message for message in messages if len(message) <= _LONGEST and b"\n" not in message
        ]
        templated, words = variables_out(b"\n".join(short))
        templates = Counter(templated.split(b"\n")) if short else Counter()
        numbers = self._numbers
        counts: Counter[int] = Counter()
        for template, rows in templates.items():
            counts[numbers.setdefault(template, len(numbers))] = rows
        self._counts.append(counts)
        self._others.append(len(messages) - len(short))
        self._rows += len(messages)
        variables = blob_of(words.split(b"\n"))
        for places in gram_places(variables):
            self._grams[places >> (UNIVERSE_BITS - GRAM_BITS)] = True
        if len(numbers) > _TOO_MANY and self._rows >= _LOOKED_AT:
            self._are_kept = len(numbers) * 10 < self._rows
        if not self._are_kept:
            self._numbers, self._counts = {}, []

    def sections(self) -> tuple[bytes, bytes, bytes]:
        """(templates as zlib of JSON, their counts, the variables' grams)."""
        if not self._are_kept or len(self._numbers) * 4 > self._rows or len(self._counts) > OTHER:
            self._are_kept = False
            return b"", b"", b""
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
        table = np.array(sorted(rows), COUNT)
        return zlib.compress(texts, 6), table.tobytes(), np.packbits(self._grams).tobytes()

    def facts(self) -> dict[str, Any]:
        """Entry for the header; call after `sections`."""
        return {"kept": self._are_kept, "seen": len(self._numbers)}


class Templates:
    """The templates of a pack."""

    def __init__(self, texts: bytes, counts: Array, grams: bytes) -> None:
        self.texts: list[str] = orjson.loads(zlib.decompress(texts))
        self._counts = counts
        self._grams = grams

    def may_be_in_variable(self, folded: bytes) -> bool:
        """Whether folded text may be part of a variable; False is certain."""
        if len(folded) < 3:
            return True
        three, five = gram_places(b"\n" + folded + b"\n")
        places = np.unique(np.concatenate([three, five]) >> (UNIVERSE_BITS - GRAM_BITS))
        table = self._grams
        return all(table[at >> 3] & 0x80 >> (at & 7) for at in places.tolist())

    def verdicts(self, matches: Any) -> tuple[int, list[int]]:
        """(rows of templates for which `matches` returns True, blocks to read for None).

        Rows of blocks to read are not counted.
        """
        sure = {at for at, text in enumerate(self.texts) if matches(text) is True}
        open_ = {at for at, text in enumerate(self.texts) if matches(text) is None} | {OTHER}
        table = self._counts
        blocks = set(table["block"][np.isin(table["template"], list(open_))].tolist())
        read = np.isin(table["block"], list(blocks))
        rows = int(table["rows"][np.isin(table["template"], list(sure)) & ~read].sum())
        return rows, sorted(blocks)
