"""Splits canonical JSON of metadata without parsing it. Compiled by mypyc; hot loops.

    Walker.take     metadata -> the rest without promoted keys, and a value per promoted key

Only text exactly as jsonb prints it is split: `", "` and `": "`, members by length of key, then
bytes. Anything else is stored whole.
"""

from collections.abc import Sequence

import orjson
from mypy_extensions import i64

from storage.packs.rows.ends import follows, key_end, value_end
from storage.packs.scalars import DECIMAL, LINK, STRING, Scalar, fraction, typed

WHOLE = 1
"""Bit of `exceptions`: the rest is the whole metadata."""


class Misfit(Exception):
    """A number does not fit its DECIMAL column, which must become DOUBLE."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.slot = slot


class Walker:
    """Splits metadata row by row, for a fixed set of promoted keys."""

    def __init__(
        self, slots: dict[bytes, dict[bytes, int]], kinds: list[int], scales: list[int]
    ) -> None:
        self.slots = slots
        """Quoted top-level key -> quoted key -> number of its slot."""
        self.kinds = kinds
        self.codes: list[i64] = [i64(kind) for kind in kinds]
        self.scales = scales
        self.end: i64 = 0
        self.columns: list[list[Scalar]] = [[] for _ in kinds]
        self.links: list[list[bytes | None]] = [[] for _ in kinds]
        """Per slot of kind LINK: the JSON of the column it should equal, row by row."""
        self.link_slots: list[int] = [at for at, kind in enumerate(kinds) if kind == LINK]
        self.rest: list[bytes] = []
        self.exceptions: list[int] = []
        self.found: list[Scalar] = []
        self.seen: list[bytes | None] = []

    def start(self) -> None:
        """Reset for the next block."""
        self.columns = [[] for _ in self.kinds]
        self.rest = []
        self.exceptions = []

    def take(self, texts: Sequence[bytes], moments: Sequence[int | None]) -> None:
        """Split each row; `moments` are the records' times in ns (None: beyond 64 bits)."""
        slots: i64 = len(self.kinds)
        row: i64 = 0
        for text in texts:
            self.found = [None] * len(self.kinds)
            self.seen = [None] * len(self.kinds)
            moment = moments[row]
            rest = self._apart(text, moment)
            flags = 0
            if rest is None:
                flags = WHOLE
                rest = text
                self._fill(text, moment)
                for slot in self.link_slots:
                    flags |= 2 << slot
            else:
                for slot in self.link_slots:
                    if self.seen[slot] != self.links[slot][row]:
                        flags |= 2 << slot
                if flags:
                    rest = self._again(text, moment, flags)
            self.rest.append(rest)
            self.exceptions.append(flags)
            number: i64 = 0
            while number < slots:
                self.columns[number].append(self.found[number])
                number += 1
            row += 1

    def _again(self, text: bytes, moment: int | None, flags: int) -> bytes:
        """The rest of a row in which a link does not hold: it keeps the key."""
        allowed = self.slots
        self.slots = {
            top: {
                key: slot
                for key, slot in keys.items()
                if self.kinds[slot] != LINK or not flags & (2 << slot)
            }
            for top, keys in allowed.items()
        }
        try:
            rest = self._apart(text, moment)
        finally:
            self.slots = allowed
        assert rest is not None
        return rest

    def _apart(self, text: bytes, moment: int | None) -> bytes | None:
        """The rest without the promoted keys; None: the text is not canonical."""
        size: i64 = len(text)
        if size < 2 or text[0] != 123 or text[size - 1] != 125:
            return None
        if size == 2:
            return text
        kept: list[bytes] = []
        escapes = b"\\" in text
        at: i64 = 1
        before = b""
        while True:
            after: i64 = key_end(text, at)
            if after < 0:
                return None
            key = text[at:after]
            if not follows(before, key):
                return None
            before = key
            start: i64 = after + 2
            end: i64 = 0
            keys = self.slots.get(key)
            if keys is None or start >= size or text[start] != 123:
                end = value_end(text, start, escapes)
                if end < 0:
                    return None
                kept.append(text[at:end])
            else:
                inner = self._inside(text, start, keys, moment, escapes)
                if inner is None:
                    return None
                if inner:
                    kept.append(key + b": " + inner)
                end = self.end
            if end == size - 1:
                break
            if end >= size or text[end] != 44 or text[end + 1] != 32:
                return None
            at = end + 2
        return b"{" + b", ".join(kept) + b"}"

    def _inside(
        self, text: bytes, start: i64, keys: dict[bytes, int], moment: int | None, escapes: bool
    ) -> bytes | None:
        """The rest of the object at `start`; b"": all members promoted; None: not canonical.

        Sets `self.end` to the object's end.
        """
        size: i64 = len(text)
        if text[start + 1] == 125:
            self.end = start + 2
            return b"{}"
        kept: list[bytes] = []
        at: i64 = start + 1
        before = b""
        while True:
            after: i64 = key_end(text, at)
            if after < 0:
                return None
            key = text[at:after]
            if not follows(before, key):
                return None
            before = key
            end: i64 = value_end(text, after + 2, escapes)
            if end < 0 or end >= size:
                return None
            slot = keys.get(key)
            if slot is None or not self._promote(slot, text, after + 2, end, moment, escapes):
                kept.append(text[at:end])
            if text[end] == 125:
                self.end = end + 1
                break
            if text[end] != 44 or end + 1 >= size or text[end + 1] != 32:
                return None
            at = end + 2
        if not kept:
            return b""
        return b"{" + b", ".join(kept) + b"}"

    def _promote(
        self, slot: int, text: bytes, start: i64, end: i64, moment: int | None, escapes: bool
    ) -> bool:
        """Store a value in its column; False: it has another type and remains in the rest."""
        kind: i64 = self.codes[slot]
        first: i64 = i64(text[start])
        if kind == LINK:
            self.seen[slot] = text[start:end]
            return True
        if kind == STRING and not escapes:
            if first != 34:
                return False
            self.found[slot] = text[start + 1 : end - 1]
            return True
        raw = text[start:end]
        value = typed(kind, raw, self.scales[slot], moment)
        if value is None:
            if kind == DECIMAL and fraction(raw) is not None:
                raise Misfit(slot)
            return False
        self.found[slot] = value
        return True

    def _fill(self, text: bytes, moment: int | None) -> None:
        """Fill the columns of a row whose metadata is stored whole."""
        self.found = [None] * len(self.kinds)
        try:
            document = orjson.loads(text)
        except ValueError:
            return
        if not isinstance(document, dict):
            return
        for top, keys in self.slots.items():
            members = document.get(orjson.loads(top))
            if not isinstance(members, dict):
                continue
            for key, slot in keys.items():
                if self.kinds[slot] != LINK:
                    member = members.get(orjson.loads(key))
                    if member is not None and not isinstance(member, dict | list):
                        raw = orjson.dumps(member)
                        self._promote(slot, raw, 0, len(raw), moment, True)
