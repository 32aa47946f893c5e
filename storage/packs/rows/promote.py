"""Chooses the keys of metadata that become columns, from a sample of the rows."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from storage.packs.parquet.encode import Data
from storage.packs.rows.block import json_of
from storage.packs.rows.ends import follows, key_end, value_end
from storage.packs.scalars import (
    BOOLEAN,
    DECIMAL,
    DELAY,
    DOUBLE,
    INTEGER,
    LINK,
    STRING,
    fraction,
    plain_text,
    typed,
    whole,
)
from storage.packs.schema import LINKABLE, Plan, Promoted

MOST = 24
MOST_LINKED = 30
"""Maximum including links, each of which needs a bit of `exceptions`."""
_SHARE = 0.01
_LINKED = 0.99
"""Minimum share of rows in which a link must equal its column."""
_TIME_KEY = ("otel", "observed_ns")
_MOST_DECIMALS = 6
_LONGEST_KEY = 128


def plan_of(metadata: Sequence[bytes], columns: Mapping[str, Data]) -> Plan:
    """The plan for a pack, from a sample of its rows."""
    found: dict[tuple[str, str], list[bytes | None]] = defaultdict(lambda: [None] * len(metadata))
    for row, text in enumerate(metadata):
        for path, raw in _scalars(text):
            found[path][row] = raw
    least = max(1, int(len(metadata) * _SHARE))
    counted = {path: sum(raw is not None for raw in values) for path, values in found.items()}
    texts = {name: json_of(columns[name]) for name in LINKABLE}
    promoted: list[Promoted] = []
    names: set[str] = set()
    stored = 0
    for path in sorted(found, key=lambda path: (-counted[path], path)):
        if counted[path] < least:
            break
        item = _promoted(path, found[path], texts)
        if item is None or item.name.lower() in names:
            continue
        if len(promoted) == MOST_LINKED or (stored == MOST and item.kind != LINK):
            continue
        names.add(item.name.lower())
        stored += item.kind != LINK
        promoted.append(item)
    return Plan(tuple(promoted))


def _scalars(text: bytes) -> list[tuple[tuple[str, str], bytes]]:
    """(path, JSON) of the scalars one object deep, if the text is canonical."""
    out: list[tuple[tuple[str, str], bytes]] = []
    for top, raw in members(text):
        if raw[:1] == b"{":
            out += [
                ((top, key), value)
                for key, value in members(raw)
                if value[:1] not in {b"{", b"[", b"n"} and len(key) <= _LONGEST_KEY
            ]
    return out


def members(text: bytes) -> list[tuple[str, bytes]]:
    """(key, JSON) of the members of a canonical object; empty for anything else."""
    size = len(text)
    if size < 3 or text[:1] != b"{" or text[-1:] != b"}":
        return []
    found: list[tuple[str, bytes]] = []
    at, before = 1, b""
    escapes = b"\\" in text
    while True:
        after = key_end(text, at)
        if after < 0 or not follows(before, text[at:after]):
            return []
        before = text[at:after]
        end = value_end(text, after + 2, escapes)
        if end < 0:
            return []
        found.append((text[at + 1 : after - 1].decode(), text[after + 2 : end]))
        if end == size - 1:
            return found
        at = end + 2


def _promoted(
    path: tuple[str, str],
    values: Sequence[bytes | None],
    texts: Mapping[str, Sequence[bytes | None]],
) -> Promoted | None:
    """How to store a key; None: as part of the rest."""
    there = [raw for raw in values if raw is not None]
    for name, column in texts.items():
        either = equal = 0
        for raw, other in zip(values, column, strict=True):
            if raw is not None or other is not None:
                either += 1
                equal += raw == other
        if equal >= _LINKED * either:
            return Promoted(*path, LINK, link=name)
    kinds = Counter(_kind(raw) for raw in there)
    kind = kinds.most_common(1)[0][0]
    if kind is None:
        return None
    if path == _TIME_KEY and kind == INTEGER:
        return Promoted(*path, DELAY)
    if kind != DOUBLE:
        return Promoted(*path, kind)
    fractions = [raw for raw in there if _kind(raw) == DOUBLE]
    scale = max(len(raw) - raw.index(b".") - 1 for raw in fractions)
    if scale <= _MOST_DECIMALS and all(
        typed(DECIMAL, raw, scale, None) is not None for raw in fractions
    ):
        return Promoted(*path, DECIMAL, scale)
    return Promoted(*path, DOUBLE)


def _kind(raw: bytes) -> int | None:
    first = raw[:1]
    if first == b'"':
        return STRING if plain_text(raw) is not None else None
    if first in {b"t", b"f"}:
        return BOOLEAN
    if whole(raw) is not None:
        return INTEGER
    return DOUBLE if fraction(raw) is not None else None
