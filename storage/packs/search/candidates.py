"""Selects blocks that may have matching rows, by zone maps and signatures; misses none."""

from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from storage.filtering.filters import (
    And,
    AttrEquals,
    AttrPrefix,
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    Filter,
    IpIn,
    Or,
    Regex,
    Text,
    TimeRange,
    ValueAt,
    ValueTest,
)
from storage.packs.index.folding import delimited_words, folded
from storage.packs.index.grams import gram_places, scaled, token_places
from storage.packs.index.layout import IndexFile
from storage.packs.index.signature import WORDS, column_path
from storage.packs.index.tokens import hashes, number_text, seed_of
from storage.packs.parquet.encode import Array
from storage.packs.scalars import DECIMAL, DELAY, DOUBLE, LINK
from storage.packs.schema import Plan, Promoted
from storage.packs.search.attributes import TOP
from storage.packs.search.matching import stored
from storage.packs.search.patterns import clauses
from storage.packs.search.texts import NUMBER, time_bounds
from storage.record.fields import DURATION_NS, MESSAGE, Field, FieldValue

_MOST_PLACES = 64
"""Maximum bits that are looked up for one text."""
_LARGE = 18
"""Maximum digits of an integer that all JSON parsers read alike."""


class SearchedPack(Protocol):
    """The parts of a pack that are used here."""

    index: IndexFile
    blocks: Array
    plan: Plan


class Candidates:
    """Evaluates filters over the blocks of one pack."""

    def __init__(self, pack: SearchedPack) -> None:
        self._pack = pack
        self._count = len(pack.blocks)
        facts = pack.index.header["signature"]
        self._facts = facts
        self._matrix = pack.index.signature

    def of(self, condition: Filter) -> Array:
        """Which blocks may match."""
        method = _METHODS.get(type(condition))
        return self._every() if method is None else method(self, condition)

    def in_zones(self, condition: Filter) -> Array:
        """Which blocks may match by their times and durations alone."""
        found = self._every()
        for item in condition.of if isinstance(condition, And) else (condition,):
            if isinstance(item, TimeRange) or (
                isinstance(item, FieldCompare | FieldEquals) and item.field == DURATION_NS
            ):
                found &= self.of(item)
        return found

    def _every(self) -> Array:
        return np.ones(self._count, np.bool_)

    def _none(self) -> Array:
        return np.zeros(self._count, np.bool_)

    def _with(self, places: Array) -> Array:
        """Blocks that have all of these places."""
        if not len(places):
            return self._every()
        numbers = scaled(places[:_MOST_PLACES], self._facts["bits"])
        found = np.bitwise_and.reduce(self._matrix[numbers], axis=0)
        return np.unpackbits(found, count=self._count, bitorder="little").view(np.bool_)

    def _token(self, path: bytes, values: Iterable[bytes], bits: int) -> Array:
        """Blocks that have one of the values."""
        each = [self._with(_places(path, value, bits)) for value in values]
        return np.logical_or.reduce(each) if each else self._none()

    def _all(self, condition: And) -> Array:
        found = self._every()
        for item in condition.of:
            found &= self.of(item)
        return found

    def _any(self, condition: Or) -> Array:
        found = self._none()
        for item in condition.of:
            found |= self.of(item)
        return found

    def _equals(self, condition: FieldEquals) -> Array:
        return self._field(condition.field, condition.value)

    def _in(self, condition: FieldIn) -> Array:
        found = self._none()
        for value in condition.values:
            found |= self._field(condition.field, value)
        return found

    def _field(self, field: Field, value: FieldValue) -> Array:
        raw, name = stored(value), field.column
        if name == "id":
            return self._id(raw)
        if name == "duration_ns":
            zones = self._pack.blocks
            within: Array = (zones["min_duration"] <= raw) & (zones["max_duration"] >= raw)
            return within
        if name == "message":
            return self._phrase(raw.decode())
        bits = self._facts["column_bits"].get(name)
        if bits is None:
            return self._every()
        value_bytes = raw if isinstance(raw, bytes) else b"%d" % raw
        return self._token(column_path(name), [value_bytes], bits)

    def _id(self, raw: bytes) -> Array:
        """By the time in the id; ids of another layout by token."""
        start = (int.from_bytes(raw[:6], "big")) * 1000
        zones = self._pack.blocks
        found: Array = (zones["min_created"] <= start + 999) & (zones["max_created"] >= start)
        bits = self._facts["column_bits"]["id_exact"]
        return found | self._token(column_path("id_exact"), [raw], bits)

    def _compare(self, condition: FieldCompare) -> Array:
        if condition.field.column != "duration_ns":
            return self._every()
        zones, value = self._pack.blocks, condition.value
        has = zones["min_duration"] <= zones["max_duration"]
        if condition.comparison in {Comparison.LESS, Comparison.LESS_OR_EQUAL}:
            found: Array = has & (zones["min_duration"] <= value)
        else:
            found = has & (zones["max_duration"] >= value)
        return found

    def _prefix(self, condition: FieldPrefix) -> Array:
        if condition.field.column != "message":
            return self._every()
        return self._phrase(condition.prefix)

    def _text(self, condition: Text) -> Array:
        return self._phrase(condition.text)

    def _phrase(self, text: str) -> Array:
        found = self._every()
        for line in folded(text).split(b"\n"):
            found &= self._line(line)
        return found

    def _line(self, line: bytes) -> Array:
        if len(line) < 3:
            return self._every()
        grams, words = _line_places(line, self._facts["word_bits"])
        found = self._with(grams)
        if len(words):
            found &= self._with(words)
        return found

    def _regex(self, condition: Regex) -> Array:
        if condition.field is not MESSAGE and condition.field.column != "message":
            return self._every()
        found = self._every()
        for clause in clauses(condition.pattern):
            there = self._none()
            for text in clause:
                there |= self._phrase(text)
            found &= there
        return found

    def _ip(self, condition: IpIn) -> Array:
        network = condition.network
        if network.num_addresses > 1:
            return self._every()
        bits = self._facts["column_bits"]["ip_address"]
        if network.version == 6:
            return self._every()
        text = str(network.network_address).encode()
        return self._token(column_path("ip_address"), [text], bits)

    def _time(self, condition: TimeRange) -> Array:
        start, end = time_bounds(condition)
        zones = self._pack.blocks
        found: Array = (zones["max_created"] >= start) & (zones["min_created"] <= end)
        return found

    def _attribute(self, condition: AttrEquals) -> Array:
        return self._key((TOP, condition.name), condition.value)

    def _key(self, path: tuple[str, ...], value: str) -> Array:
        """Blocks that may have this value at a path of keys, or in a list there."""
        values = {value.encode()}
        item = next((i for i in self._pack.plan.promoted if (i.top, i.key) == path), None)
        if NUMBER.fullmatch(value):
            number = number_text(value)
            if number is None or len(number) > _LARGE:
                return self._every()
            if item is not None and item.kind in {DECIMAL, DOUBLE, DELAY}:
                return self._every()
            values.add(number.encode())
        bits = self._facts["path_bits"]
        found = self._token("\x1f".join(path).encode(), values, bits)
        if item is not None and item.kind == LINK:
            of_column = self._facts["column_bits"].get(item.link)
            if of_column is None:
                return self._every()
            found |= self._token(column_path(item.link), values, of_column)
        return found

    def _attribute_prefix(self, condition: AttrPrefix) -> Array:
        prefix = condition.prefix
        found = self._pack.plan.promoted_at(TOP, condition.name)
        is_linked = found is not None and found[1].kind == LINK
        return self._phrase(prefix) if _is_of_text(prefix) and not is_linked else self._every()

    def _value_at(self, condition: ValueAt) -> Array:
        is_text = condition.test is ValueTest.CONTAINS or (
            condition.test is ValueTest.PREFIX and _is_of_text(condition.text)
        )
        if is_text:
            is_linked = any(
                item.kind == LINK and _may_be_at(condition, item)
                for item in self._pack.plan.promoted
            )
            return self._every() if is_linked else self._phrase(condition.text)
        if condition.test is not ValueTest.EQUALS or not all(map(len, condition.paths)):
            return self._every()
        found = self._none()
        for path in condition.paths:
            found |= self._key(path, condition.text)
        return found


def _is_of_text(prefix: str) -> bool:
    """Whether only a string can begin like this, not a number or a boolean."""
    words = ("true", "false", "null")
    return prefix[:1].isalpha() and not any(word.startswith(prefix) for word in words)


def _may_be_at(condition: ValueAt, item: Promoted) -> bool:
    """Whether one of the paths leads to a promoted key, or above it."""
    own = (item.top, item.key)
    is_beyond = condition.is_beyond and item.top == TOP  # a promoted value is no list
    return not is_beyond and any(own[: len(path)] == path for path in condition.paths)


@lru_cache(maxsize=256)
def _line_places(line: bytes, bits: int) -> tuple[Array, Array]:
    """(places of the grams, of the words) of a line of folded text."""
    three, five = gram_places(b"\n" + line + b"\n")
    words = sorted(delimited_words(line))
    return five if len(five) else three, token_places(hashes(seed_of(WORDS), words), bits)


@lru_cache(maxsize=4096)
def _places(path: bytes, value: bytes, bits: int) -> Array:
    """The places of a token: the same in each pack of a query."""
    return token_places(hashes(seed_of(path), [value]), bits)


_METHODS: dict[type[Any], Callable[[Candidates, Any], Array]] = {
    And: Candidates._all,  # noqa: SLF001 - this table is the class's own
    Or: Candidates._any,  # noqa: SLF001
    FieldEquals: Candidates._equals,  # noqa: SLF001
    FieldIn: Candidates._in,  # noqa: SLF001
    FieldCompare: Candidates._compare,  # noqa: SLF001
    FieldPrefix: Candidates._prefix,  # noqa: SLF001
    Text: Candidates._text,  # noqa: SLF001
    Regex: Candidates._regex,  # noqa: SLF001
    IpIn: Candidates._ip,  # noqa: SLF001
    TimeRange: Candidates._time,  # noqa: SLF001
    AttrEquals: Candidates._attribute,  # noqa: SLF001
    AttrPrefix: Candidates._attribute_prefix,  # noqa: SLF001
    ValueAt: Candidates._value_at,  # noqa: SLF001
}
"""Other filters may match any block."""
