"""Splits canonical JSON of metadata without parsing it. Compiled by mypyc; hot loops.

    Walker.take     metadata -> the rest without promoted keys, and a value per promoted key

Only text exactly as jsonb prints it is split: `", "` and `": "`, members by length of key, then
bytes. Anything else is stored whole.
"""

from collections.abc import Sequence
from typing import cast

import orjson
from librt.strings import BytesWriter, read_i64_le, write_f64_le, write_i64_le
from mypy_extensions import i64

from storage.packs.rows.ends import follows, key_end, value_end
from storage.packs.scalars import DECIMAL, DOUBLE, LINK, STRING, Scalar, fraction, typed

WHOLE = 1
"""Bit of `exceptions`: the rest is the whole metadata."""
_MOST_LEARNED = 256
_TRIED = 4096
"""Rows after which shapes are given up, unless half of the rows have one."""


class Misfit(Exception):
    """A number does not fit its DECIMAL column, which must become DOUBLE."""

    def __init__(self, slot: int) -> None:
        super().__init__(slot)
        self.slot = slot


class _Step:
    """A fixed piece of text, then the value of a promoted key, then one of `following`."""

    def __init__(self, literal: bytes, slot: int, *, is_quoted: bool) -> None:
        self.literal = literal
        self.size: i64 = len(literal)
        self.slot: i64 = slot
        """-1: the text ends after the literal."""
        self.is_quoted = is_quoted
        """Whether the value is a string: the literals around it have the quotes."""
        self.following: list[_Step] = []
        self.rest = b""
        """At the end of a text: what is not in a column."""
        self.absent_links: list[int] = []


def _is_at(text: bytes, at: i64, literal: bytes, size: i64) -> bool:
    """Whether the literal is at this place of the text."""
    if at + size > len(text):
        return False
    if size < 8:
        return text[at : at + size] == literal
    last: i64 = size - 8
    if read_i64_le(text, at + last) != read_i64_le(literal, last):
        return False
    place: i64 = 0
    while place < last:
        if read_i64_le(text, at + place) != read_i64_le(literal, place):
            return False
        place += 8
    return True


def _added(steps: list[_Step], step: _Step) -> _Step:
    """The same step of a list, added if it is new; longer literals come first."""
    place = 0
    for each in steps:
        if each.literal == step.literal and each.slot == step.slot:
            return each
        if each.size >= step.size:
            place += 1
    steps.insert(place, step)
    return step


class Walker:
    """Splits metadata row by row, for a fixed set of promoted keys.

    Most rows have one of few shapes: the same keys, and the same values of all keys that are not
    promoted. A shape is learned from the first row that has it, as a path in a tree of steps.
    """

    def __init__(
        self, slots: dict[bytes, dict[bytes, int]], kinds: list[int], scales: list[int]
    ) -> None:
        self.slots = slots
        """Quoted top-level key -> quoted key -> number of its slot."""
        self.kinds = kinds
        self.codes: list[i64] = [i64(kind) for kind in kinds]
        self.scales = scales
        self.end: i64 = 0
        self.texts: list[list[bytes | None]] = [[] for _ in kinds]
        """Values of slots of kind STRING."""
        self.numbers = [BytesWriter() for _ in kinds]
        """Values of the others but links, eight bytes each; 0 where `valid` has a 0."""
        self.valid = [BytesWriter() for _ in kinds]
        self.links: list[list[bytes | None]] = [[] for _ in kinds]
        """Per slot of kind LINK: the column it should equal, row by row."""
        self.quotes: list[bool] = [False for _ in kinds]
        """Whether these are texts that become JSON in quotes; else they are JSON."""
        self.link_slots: list[int] = [at for at, kind in enumerate(kinds) if kind == LINK]
        self.rest: list[bytes] = []
        self.exceptions: list[int] = []
        self.found: list[Scalar] = []
        self.seen: list[bytes | None] = []
        self.first_steps: list[_Step] = []
        self.uses_shapes = len(kinds) > 0
        self.learned: i64 = 0
        self.hits: i64 = 0
        self.rows: i64 = 0

    def start(self) -> None:
        """Reset for the next block."""
        self.texts = [[] for _ in self.kinds]
        for number in range(len(self.kinds)):
            self.numbers[number].truncate(0)
            self.valid[number].truncate(0)
        self.rest = []
        self.exceptions = []

    def take(self, texts: Sequence[bytes], moments: Sequence[int | None]) -> None:
        """Split each row; `moments` are the records' times in ns (None: beyond 64 bits)."""
        row: i64 = 0
        for text in texts:
            moment = moments[row]
            if not (self.uses_shapes and self._by_shape(text, moment, row)):
                self._by_key(text, moment, row)
            self._keep()
            row += 1
        self.rows += row
        if self.rows > _TRIED and self.hits * 2 < self.rows:
            self.uses_shapes = False

    def _keep(self) -> None:
        """Append what was found in a row to the columns."""
        slots: i64 = len(self.kinds)
        number: i64 = 0
        while number < slots:
            kind = self.codes[number]
            value = self.found[number]
            if kind == STRING:
                self.texts[number].append(cast("bytes | None", value))
            elif kind == DOUBLE:
                write_f64_le(self.numbers[number], cast("float", 0.0 if value is None else value))
                self.valid[number].append(0 if value is None else 1)
            elif kind != LINK:
                write_i64_le(self.numbers[number], i64(cast("int", 0 if value is None else value)))
                self.valid[number].append(0 if value is None else 1)
            number += 1

    def _by_shape(self, text: bytes, moment: int | None, row: i64) -> bool:
        """Split a row of a known shape; False: it has none, or a value that needs more care."""
        size: i64 = len(text)
        found: list[Scalar] = [None] * len(self.kinds)
        steps = self.first_steps
        at: i64 = 0
        while True:
            step: _Step | None = None
            for each in steps:
                if _is_at(text, at, each.literal, each.size):
                    step = each
                    break
            if step is None:
                return False
            at += step.size
            slot: i64 = step.slot
            if slot < 0:
                break
            start: i64 = at
            while at < size:
                letter: i64 = i64(text[at])
                if step.is_quoted:
                    if letter == 34:
                        break
                    if letter == 92:
                        return False
                elif letter == 44 or letter == 125:
                    break
                at += 1
            raw = text[start:at]
            kind = self.codes[slot]
            if kind == LINK:
                if raw != self.links[slot][row]:
                    return False
            elif kind == STRING:
                found[slot] = raw
            else:
                value = typed(kind, raw, self.scales[slot], moment)
                if value is None:
                    return False
                found[slot] = value
            steps = step.following
        if at != size:
            return False
        for absent in step.absent_links:
            if self.links[absent][row] is not None:
                return False
        self.found = found
        self.rest.append(step.rest)
        self.exceptions.append(0)
        self.hits += 1
        return True

    def _by_key(self, text: bytes, moment: int | None, row: i64) -> None:
        """Split a row key by key."""
        self.found = [None] * len(self.kinds)
        self.seen = [None] * len(self.kinds)
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
                if self.seen[slot] != self._link(slot, row):
                    flags |= 2 << slot
            if flags:
                rest = self._again(text, moment, flags)
            elif self.uses_shapes and self.learned < _MOST_LEARNED:
                self.learned += 1
                self._learn(text, rest)
        self.rest.append(rest)
        self.exceptions.append(flags)

    def _link(self, slot: int, row: i64) -> bytes | None:
        """The JSON that a link must have in this row."""
        value = self.links[slot][row]
        if value is None or not self.quotes[slot]:
            return value
        return b'"' + value + b'"'

    def _learn(self, text: bytes, rest: bytes) -> None:
        """Add the shape of a canonical text that was just split."""
        steps = self.first_steps
        present: list[int] = []
        literal: i64 = 0
        for slot, start, end in self._stored_values(text):
            is_quoted = text[start] == 34
            first: i64 = start + 1 if is_quoted else start
            steps = _added(steps, _Step(text[literal:first], slot, is_quoted=is_quoted)).following
            literal = end - 1 if is_quoted else end
            present.append(slot)
        last = _added(steps, _Step(text[literal:], -1, is_quoted=False))
        last.rest = rest
        last.absent_links = [slot for slot in self.link_slots if slot not in present]

    def _stored_values(self, text: bytes) -> list[tuple[int, int, int]]:
        """(slot, start, end) of the values that are not in the rest, in order."""
        found: list[tuple[int, int, int]] = []
        escapes = b"\\" in text
        size: i64 = len(text)
        at: i64 = 1
        while at < size - 1:
            after: i64 = key_end(text, at)
            keys = self.slots.get(text[at:after])
            start: i64 = after + 2
            end: i64 = value_end(text, start, escapes)
            if keys is not None and text[start] == 123 and text[start + 1] != 125:
                inner: i64 = start + 1
                while inner < end:
                    after = key_end(text, inner)
                    value: i64 = value_end(text, after + 2, escapes)
                    slot = keys.get(text[inner:after])
                    if slot is not None and self._is_stored(slot):
                        found.append((slot, int(after + 2), int(value)))
                    inner = value + 2
            at = end + 2
        return found

    def _is_stored(self, slot: int) -> bool:
        """Whether the row's value of a slot is not in the rest."""
        return self.found[slot] is not None or (
            self.kinds[slot] == LINK and self.seen[slot] is not None
        )

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
