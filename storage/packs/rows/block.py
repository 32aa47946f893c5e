"""Converts the COPY tuples of a block to columns of the file, and back.

What can be derived from other columns is not stored: the time in `id` (rows/ids.py), and keys of
metadata that equal a column. Exceptions are stored verbatim, so that every tuple is restored byte
for byte.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
from librt.strings import BytesWriter

from storage.packs.errors import NotPackable
from storage.packs.parquet.encode import Array, Data
from storage.packs.rows.addresses import raw_of, text_of
from storage.packs.rows.ids import ids_of, same_id, tails_of
from storage.packs.rows.merge import JSON, NUMBER, QUOTED, Member, Top, restored
from storage.packs.rows.tuples import INTS, OTHERS, join, split
from storage.packs.rows.walk import WHOLE, Walker
from storage.packs.scalars import BOOLEAN, DECIMAL, DELAY, INTEGER, LINK, STRING, unscaled
from storage.packs.schema import SYSTEM, Kind, Plan, Promoted

PG_EPOCH_US = 946_684_800_000_000
INT_NAMES = (
    *("created_at", "received_at", "batch_id", "stream_id", "duration_ns", "position"),
    *("ingest_key_id", "tenant", "created_ns", "severity_number"),
)
OTHER_NAMES = (
    *("level", "kind", "id", "trace_id", "span_id", "parent_span_id", "nonce", "ip_address"),
    *("source_module", "action", "resource_type", "resource_id", "actor_id", "correlation_id"),
    *("message", "metadata"),
)
_MAX_US = (1 << 63) // 1000 - 1
_NUMBERS = frozenset(spec.name for spec in SYSTEM if spec.kind.is_number)
_DERIVED = {"id", "metadata", "nonce"}
LEAF = b"\0"
"""The first byte of what a leaf hash covers; the tuple follows."""
_QUOTED = orjson.dumps
_SPECIAL = bytes(range(0x20)) + b'"\\'

Getter = Callable[[str], Any]
"""A decoded column (parquet/decode.py) by name."""


def walker_of(plan: Plan) -> Walker:
    """A walker for this plan."""
    slots: dict[bytes, dict[bytes, int]] = {}
    for number, item in enumerate(plan.promoted):
        slots.setdefault(_QUOTED(item.top), {})[_QUOTED(item.key)] = number
    return Walker(
        slots, [item.kind for item in plan.promoted], [item.scale for item in plan.promoted]
    )


def columns_of(rows: list[bytes], versions: Array, plan: Plan, walker: Walker) -> dict[str, Data]:
    """The columns of a block. Raises NotPackable, and Misfit if the plan must be widened."""
    ints, spans = BytesWriter(), BytesWriter()
    others: list[list[bytes | None]] = [[] for _ in range(OTHERS)]
    try:
        split(rows, ints, spans, others)
    except (ValueError, IndexError) as error:
        raise NotPackable(str(error)) from error
    table = np.frombuffer(ints.getvalue(), "<i8").reshape(-1, INTS)
    numbers = {name: np.ascontiguousarray(table[:, at]) for at, name in enumerate(INT_NAMES)}
    texts = dict(zip(OTHER_NAMES, others, strict=True))
    out: dict[str, Data] = {
        name: (numbers[name], None) for name in INT_NAMES if name != "duration_ns"
    }
    for name in ("created_at", "received_at"):
        numbers[name] = numbers[name] + np.int64(PG_EPOCH_US)
        out[name] = (numbers[name], None)
    out["duration_ns"] = (
        numbers["duration_ns"],
        np.frombuffer(spans.getvalue(), np.uint8).astype(np.bool_),
    )
    out["encoding_version"] = (versions.astype(np.int64), None)
    out |= {name: texts[name] for name in OTHER_NAMES if name not in {"id", "metadata"}}
    out["ip_address"] = [None if raw is None else text_of(raw) for raw in texts["ip_address"]]
    tails, follows = tails_of(
        texts["id"], numbers["created_at"], numbers["created_ns"], numbers["position"]
    )
    out["id_tail"] = (tails, follows)
    out["id_exact"] = (
        [None] * len(rows)
        if follows.all()
        else [None if fit else raw for raw, fit in zip(texts["id"], follows.tolist(), strict=True)]
    )
    _shred(out, texts["metadata"], numbers, plan, walker)
    return out


def _moments(numbers: Mapping[str, Array]) -> list[int | None]:
    """The records' times in nanoseconds; None beyond 64 bits."""
    created = numbers["created_at"]
    moments: list[int | None] = (created * 1000 + numbers["created_ns"]).tolist()
    if int(created.min()) < 0 or int(created.max()) > _MAX_US:
        fits = ((created >= 0) & (created <= _MAX_US)).tolist()
        return [at if fit else None for at, fit in zip(moments, fits, strict=True)]
    return moments


def _shred(
    out: dict[str, Data],
    metadata: Sequence[bytes | None],
    numbers: Mapping[str, Array],
    plan: Plan,
    walker: Walker,
) -> None:
    walker.start()
    for slot in walker.link_slots:
        column = out[plan.promoted[slot].link]
        is_plain = isinstance(column, list) and not _has_special(column)
        walker.quotes[slot] = is_plain
        walker.links[slot] = column if isinstance(column, list) and is_plain else json_of(column)
    walker.take([text for text in metadata if text is not None], _moments(numbers))
    out["metadata_rest"] = list(walker.rest)
    out["exceptions"] = (np.array(walker.exceptions, np.int64), None)
    for slot, item in enumerate(plan.promoted):
        if item.kind == LINK:
            continue
        if item.kind == STRING:
            out[item.name] = walker.texts[slot]
            continue
        kind = "<f8" if item.spec is not None and item.spec.kind is Kind.DOUBLE else "<i8"
        there = np.frombuffer(walker.valid[slot].getvalue(), np.bool_)
        out[item.name] = (np.frombuffer(walker.numbers[slot].getvalue(), kind), there)


def json_of(data: Data) -> list[bytes | None]:
    """A column's values as JSON, row by row."""
    if isinstance(data, tuple):
        return [b"%d" % value for value in data[0].tolist()]
    if _has_special(data):
        return [None if value is None else _QUOTED(value.decode()) for value in data]
    return [None if value is None else b'"' + value + b'"' for value in data]


def _has_special(values: Sequence[bytes | None]) -> bool:
    joined = b"".join([value for value in values if value is not None])
    return len(joined.translate(None, _SPECIAL)) != len(joined)


def tuples_of(get: Getter, rows: int, plan: Plan) -> tuple[list[bytes], list[bytes | None]]:
    """(COPY tuples of a block, stored nonces of its rows of encoding version 2)."""
    versions = get("encoding_version").array().astype(np.uint8)
    nonces = get("nonce").values()
    made = _joined(get, rows, plan, nonces, versions.tobytes())
    if (versions == 1).all():
        return made, [None] * rows
    return made, [
        None if version == 1 else nonce
        for version, nonce in zip(versions.tolist(), nonces, strict=True)
    ]


def hashed_of(get: Getter, rows: int, plan: Plan, derived: list[bytes | None]) -> list[bytes]:
    """What the leaf hashes of a block's rows cover; `derived`: nonces of rows that store none."""
    stored = get("nonce").values()
    if get("nonce").any_value():
        versions = get("encoding_version").array().tolist()
        derived = [
            nonce if nonce is not None or version == 1 else other
            for nonce, version, other in zip(stored, versions, derived, strict=True)
        ]
    return _joined(get, rows, plan, derived, b"\1" * rows, LEAF)


def _joined(
    get: Getter,
    rows: int,
    plan: Plan,
    nonces: list[bytes | None],
    versions: bytes,
    head: bytes = b"",
) -> list[bytes]:
    table = np.empty((rows, INTS), "<i8")
    for at, name in enumerate(INT_NAMES):
        table[:, at] = get(name).array()
    created = table[:, 0].copy()
    table[:, 0] -= PG_EPOCH_US
    table[:, 1] -= PG_EPOCH_US
    duration = get("duration_ns").valid
    spans = b"\1" * rows if duration is None else duration.astype(np.uint8).tobytes()
    texts = {name: get(name).values() for name in OTHER_NAMES if name not in _DERIVED}
    texts["ip_address"] = [None if text is None else raw_of(text) for text in texts["ip_address"]]
    texts["id"] = ids(get, created, table[:, 8], table[:, 5])
    texts["metadata"] = metadata(get, plan)
    texts["nonce"] = nonces
    return join(rows, table.tobytes(), spans, [texts[n] for n in OTHER_NAMES], versions, head)


def ids(get: Getter, created: Array, created_ns: Array, position: Array) -> list[bytes]:
    """The column `id`."""
    tail = get("id_tail")
    return ids_of(tail.array(), tail.valid, get("id_exact").values(), created, created_ns, position)


def has_id(get: Getter, some: Callable[[str, list[int]], Any], raw: bytes) -> Array:
    """Which rows have this id; `some` returns a column of some rows.

    Ids that follow from the time are looked for in the rows of their millisecond only.
    """
    found: Array = get("id_exact").equal(raw)
    created = get("created_at").array()
    at_us = int.from_bytes(raw[:6]) * 1000
    first, after = np.searchsorted(created, (at_us, at_us + 1000)).tolist()
    rows = list(range(first, after))
    if rows:
        tail = some("id_tail", rows)
        numbers = [some(name, rows).array() for name in ("created_ns", "position")]
        same = same_id(raw, tail.array(), tail.valid, created[first:after], *numbers)
        found[first:after] |= same
    return found


def metadata(
    get: Getter,
    plan: Plan,
    defaults: Mapping[str, bytes] | None = None,
    completed: Callable[[bytes], bytes] = bytes,
) -> list[bytes]:
    """The column `metadata`; with `defaults`, the JSON of top-level members for rows without them.

    `completed` adds the defaults to metadata that is stored whole, in any form.
    """
    rest = get("metadata_rest").values()
    if not plan.promoted:
        return [completed(text) for text in rest]
    flags = get("exceptions").array()
    tops: dict[str, list[Member]] = {top: [] for top in defaults or ()}
    for slot, item in enumerate(plan.promoted):
        tops.setdefault(item.top, []).append(_member(get, item, slot, flags))
    made = []
    for top, members in tops.items():
        members.sort(key=lambda member: (len(member.key), member.key))
        made.append(Top(_QUOTED(top), members, (defaults or {}).get(top, b"")))
    made.sort(key=lambda top: (len(top.key), top.key))
    whole = (flags & WHOLE).astype(np.uint8).tobytes()
    texts = restored(rest, whole, made)
    if defaults and any(whole):
        return [completed(t) if w else t for t, w in zip(texts, whole, strict=True)]
    return texts


def _member(get: Getter, item: Promoted, slot: int, flags: Array) -> Member:
    """A promoted key's values in the form that is restored fastest."""
    key = _QUOTED(item.key)
    if item.kind in {INTEGER, DECIMAL, DELAY}:
        column = get(item.name)
        numbers = column.array()
        if item.kind == DELAY:
            numbers = get("created_at").array() * 1000 + get("created_ns").array() + numbers
        valid = b"\1" * len(numbers) if column.valid is None else column.valid.tobytes()
        return Member(key, NUMBER, [], numbers.astype("<i8").tobytes(), valid, item.scale)
    if item.kind == STRING or (item.kind == LINK and not is_number_column(item.link)):
        values = get(item.name if item.kind == STRING else item.link).values()
        if not _has_special(values):
            return Member(key, QUOTED, _unless(values, item, slot, flags))
    return Member(key, JSON, promoted_json(get, item, slot, flags))


def _unless(
    values: list[bytes | None], item: Promoted, slot: int, flags: Array
) -> list[bytes | None]:
    """The values of a link, without those of rows in which it does not hold."""
    broken = flags & (2 << slot) != 0
    if item.kind != LINK or not broken.any():
        return values
    return [None if b else v for v, b in zip(values, broken.tolist(), strict=True)]


def promoted_json(get: Getter, item: Promoted, slot: int, flags: Array) -> list[bytes | None]:
    """A promoted key's values as JSON; None where the row lacks it or keeps it in the rest."""
    if item.kind == LINK:
        column = get(item.link)
        values = json_of((column.array(), None) if is_number_column(item.link) else column.values())
        return _unless(values, item, slot, flags)
    column = get(item.name)
    if item.kind == DELAY:
        moments = get("created_at").array() * 1000 + get("created_ns").array() + column.array()
        texts: list[bytes | None] = [b"%d" % value for value in moments.tolist()]
        if column.valid is None:
            return texts
        return [t if there else None for t, there in zip(texts, column.valid.tolist(), strict=True)]
    if item.kind == STRING:
        return json_of(column.values())
    return [None if value is None else number_json(item, value) for value in column.values()]


def is_number_column(name: str) -> bool:
    """Whether this is a column of numbers."""
    return name in _NUMBERS


def number_json(item: Promoted, value: Any) -> bytes:
    """A number or boolean as JSON."""
    if item.kind == INTEGER:
        return b"%d" % value
    if item.kind == BOOLEAN:
        return b"true" if value else b"false"
    if item.kind == DECIMAL:
        return unscaled(value, item.scale)
    return repr(value).encode()
