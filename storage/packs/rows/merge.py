"""Restores metadata from its rest and the promoted keys. Compiled by mypyc; hot loops.

Rows with the same rest and the same promoted keys differ in values only: what is between these is
put together once (`_Pattern`).
"""

from typing import Final

from librt.strings import BytesWriter, read_i64_le
from mypy_extensions import i64

from storage.packs.rows.ends import follows, key_end, value_end
from storage.packs.scalars import unscaled

JSON: Final = 0
QUOTED: Final = 1
NUMBER: Final = 2
"""How a member's values are given: as JSON; as texts without quotes; as integers (times 10 to the
`scale`)."""
_MOST_PATTERNS = 256
_GAP = b"\x00"
"""Marks a value in a pattern: JSON has no NUL."""
_MANY_DIGITS = 1_000_000_000_000_000


class Member:
    """A promoted key: its values row by row."""

    def __init__(
        self,
        key: bytes,
        form: int,
        texts: list[bytes | None],
        numbers: bytes = b"",
        valid: bytes = b"",
        scale: int = 0,
    ) -> None:
        self.key = key
        """Quoted."""
        self.form = form
        self.texts = texts
        """Of the forms JSON and QUOTED."""
        self.numbers = numbers
        """Eight bytes each, little endian; `valid` has a 1 for each row with a value."""
        self.valid = valid
        self.scale = scale
        self.power: i64 = 10**scale
        self.least: i64 = 10 ** max(0, scale - 4)
        self.code: i64 = form

    def has(self, row: i64) -> bool:
        """Whether the row has a value."""
        if self.code == NUMBER:
            return self.valid[row] != 0
        return self.texts[row] is not None

    def write(self, writer: BytesWriter, row: i64) -> None:
        """Write the value of a row that has one, without quotes."""
        if self.code != NUMBER:
            text = self.texts[row]
            assert text is not None
            writer.write(text)
            return
        number = read_i64_le(self.numbers, row * 8)
        if self.scale == 0:
            _digits(writer, number)
            return
        above = number if number >= 0 else -number
        if above >= _MANY_DIGITS or above < self.least:
            writer.write(unscaled(int(number), self.scale))
            return
        if number < 0:
            writer.append(45)
        _digits(writer, above // self.power)
        writer.append(46)
        _fraction(writer, above % self.power, self.power)


def _digits(writer: BytesWriter, number: i64) -> None:
    """An integer in digits."""
    if number < 0:
        if number < -1_000_000_000_000_000_000:
            writer.write(b"%d" % int(number))
            return
        writer.append(45)
        number = -number
    power: i64 = 1
    while power <= number // 10:
        power *= 10
    while power > 0:
        writer.append(48 + number // power % 10)
        power //= 10


def _fraction(writer: BytesWriter, number: i64, power: i64) -> None:
    """The digits behind the point, without zeros at the end; at least one."""
    while True:
        power //= 10
        writer.append(48 + number // power)
        number %= power
        if number == 0:
            return


class Top:
    """Promoted keys of one top-level object, in jsonb's order."""

    def __init__(self, key: bytes, members: list[Member], default: bytes = b"") -> None:
        self.key = key
        self.members = members
        self.default = default
        """Its value in rows that lack it; empty: none."""


class _Pattern:
    """The pieces around the values of rows with the same rest and the same promoted keys."""

    def __init__(self, pieces: list[bytes], members: list[Member]) -> None:
        self.pieces = pieces
        self.members = members


def restored(rests: list[bytes], exceptions: bytes, tops: list[Top]) -> list[bytes]:
    """The metadata of each row; bit 0 of `exceptions`: the rest is the whole metadata."""
    made: list[bytes] = []
    members = [member for top in tops for member in top.members]
    patterns: dict[bytes, dict[i64, _Pattern]] = {}
    writer = BytesWriter()
    row: i64 = 0
    for rest in rests:
        if exceptions[row]:
            made.append(rest)
            row += 1
            continue
        mask: i64 = 0
        bit: i64 = 1
        for member in members:
            if member.has(row):
                mask |= bit
            bit <<= 1
        pattern: _Pattern | None = None
        known = patterns.get(rest)
        if known is not None:
            pattern = known.get(mask)
        if pattern is None:
            pattern = _pattern(rest, tops, row)
            if known is not None:
                known[mask] = pattern
            elif len(patterns) < _MOST_PATTERNS:
                patterns[rest] = {mask: pattern}
        writer.truncate(0)
        number: i64 = 0
        for member in pattern.members:
            writer.write(pattern.pieces[number])
            member.write(writer, row)
            number += 1
        writer.write(pattern.pieces[number])
        made.append(writer.getvalue())
        row += 1
    return made


def _pattern(rest: bytes, tops: list[Top], row: i64) -> _Pattern:
    """The pattern of a row."""
    there: list[Member] = []
    top_texts: list[tuple[bytes, list[bytes], list[bytes], bytes]] = []
    for top in tops:
        keys: list[bytes] = []
        texts: list[bytes] = []
        for member in top.members:
            if member.has(row):
                there.append(member)
                keys.append(member.key)
                gap = b'"\x00"' if member.form == QUOTED else _GAP
                texts.append(member.key + b": " + gap)
        if keys or top.default:
            top_texts.append((top.key, keys, texts, top.default))
    whole = _merged(rest, top_texts) if top_texts else rest
    return _Pattern(whole.split(_GAP), there)


def _merged(rest: bytes, tops: list[tuple[bytes, list[bytes], list[bytes], bytes]]) -> bytes:
    """The rest with promoted members, and defaults of members that it lacks, in order."""
    size: i64 = len(rest)
    if size == 2:
        return b"{" + b", ".join([_object(top) for top in tops]) + b"}"
    escapes = b"\\" in rest
    out: list[bytes] = []
    waiting: i64 = 0
    count: i64 = len(tops)
    at: i64 = 1
    while at < size - 1:
        after: i64 = key_end(rest, at)
        key = rest[at:after]
        end: i64 = value_end(rest, after + 2, escapes)
        while waiting < count and follows(tops[waiting][0], key):
            out.append(_object(tops[waiting]))
            waiting += 1
        if waiting < count and tops[waiting][0] == key:
            _, keys, texts, _ = tops[waiting]
            if keys:
                out.append(key + b": " + _members(rest[after + 2 : end], keys, texts))
            else:
                out.append(rest[at:end])
            waiting += 1
        else:
            out.append(rest[at:end])
        at = end + 2
    while waiting < count:
        out.append(_object(tops[waiting]))
        waiting += 1
    return b"{" + b", ".join(out) + b"}"


def _object(top: tuple[bytes, list[bytes], list[bytes], bytes]) -> bytes:
    key, keys, texts, default = top
    if not keys:
        return key + b": " + default
    return key + b": {" + b", ".join(texts) + b"}"


def _members(kept: bytes, keys: list[bytes], texts: list[bytes]) -> bytes:
    """An object with the promoted members merged in."""
    size: i64 = len(kept)
    escapes = b"\\" in kept
    out: list[bytes] = []
    waiting: i64 = 0
    count: i64 = len(keys)
    at: i64 = 1
    while at < size - 1:
        after: i64 = key_end(kept, at)
        key = kept[at:after]
        end: i64 = value_end(kept, after + 2, escapes)
        while waiting < count and follows(keys[waiting], key):
            out.append(texts[waiting])
            waiting += 1
        out.append(kept[at:end])
        at = end + 2
    while waiting < count:
        out.append(texts[waiting])
        waiting += 1
    return b"{" + b", ".join(out) + b"}"
