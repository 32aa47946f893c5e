"""Key-value metadata of a pack's Parquet file: identity, streams, and SQL for what is not stored.

The entry `opslog.sql` has an expression per column of system_logs, over the file's columns and in
DuckDB's dialect; `opslog.sql.attributes` has one per promoted attribute.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from storage.packs.errors import PackDamaged
from storage.packs.parquet.fallback import open_file
from storage.packs.rows.ids import SQL as ID_SQL
from storage.packs.scalars import DECIMAL, DELAY, DOUBLE, LINK, STRING
from storage.packs.schema import FORMAT_VERSION, SYSTEM_NAMES, Plan, Promoted

_NOT_SQL = {"id_tail", "id_exact", "exceptions", "metadata_rest", "encoding_version", "nonce"}


def key_values(
    plan: Plan, class_name: str, segment: int, streams: Mapping[int, Mapping[str, str]]
) -> dict[str, str]:
    """Build the key-value metadata of a pack."""
    promoted = [[i.top, i.key, i.kind, i.scale, i.link] for i in plan.promoted]
    attributes = {
        f"{item.top}.{item.key}": value_sql(plan, slot) for slot, item in enumerate(plan.promoted)
    }
    return {
        "opslog.format": str(FORMAT_VERSION),
        "opslog.class": class_name,
        "opslog.segment": str(segment),
        "opslog.promoted": _json(promoted),
        "opslog.streams": _json({str(number): dict(texts) for number, texts in streams.items()}),
        "opslog.sql": _json(column_sql(plan)),
        "opslog.sql.attributes": _json(attributes),
    }


def plan_of_promoted(promoted: list[list[Any]]) -> Plan:
    """The plan that `opslog.promoted` (or the index's header) describes."""
    return Plan(tuple(Promoted(*item) for item in promoted))


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def column_sql(plan: Plan) -> dict[str, str]:
    """An expression per column of system_logs."""
    sql = {name: name for name in SYSTEM_NAMES if name not in _NOT_SQL}
    sql["id"] = " ".join(ID_SQL.split())
    sql["nonce"] = "CASE WHEN encoding_version = 1 THEN nonce END"
    sql["metadata"] = metadata_sql(plan)
    return sql


def quoted(name: str) -> str:
    """Quote an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _path(*keys: str) -> str:
    """A JSON pointer, as a literal."""
    escaped = [key.replace("~", "~0").replace("/", "~1") for key in keys]
    return _text("".join(f"/{key}" for key in escaped))


def value_sql(plan: Plan, slot: int) -> str:
    """The SQL expression of a promoted key's value."""
    item = plan.promoted[slot]
    rest = f"(metadata_rest ->> {_path(item.top, item.key)})"
    if item.kind == LINK:
        return f"CASE WHEN exceptions & {2 << slot} = 0 THEN {item.link} ELSE {rest} END"
    if item.kind == DELAY:
        name = quoted(item.name)
        return (
            f"coalesce(epoch_us(created_at) * 1000 + created_ns + {name},"
            f" try_cast({rest} AS BIGINT))"
        )
    return quoted(item.name)


def _member_sql(plan: Plan, slot: int) -> str:
    """`"key": value` of a promoted key; NULL where the row lacks it or keeps it in the rest."""
    item = plan.promoted[slot]
    key = _text(orjson.dumps(item.key).decode() + ": ")
    if item.kind == LINK:
        value = f"to_json({item.link})"
        return f"CASE WHEN exceptions & {2 << slot} = 0 THEN {key} || {value} END"
    name = quoted(item.name)
    if item.kind == DELAY:
        return f"{key} || (epoch_us(created_at) * 1000 + created_ns + {name})"
    if item.kind == STRING:
        return f"{key} || to_json({name})"
    if item.kind in {DECIMAL, DOUBLE}:
        return f"{key} || to_json(CAST({name} AS DOUBLE))"
    return f"{key} || {name}"


def metadata_sql(plan: Plan) -> str:
    """Metadata as JSON: the same value as the stored jsonb, its members in another order."""
    tops: dict[str, list[int]] = {}
    for slot, item in enumerate(plan.promoted):
        tops.setdefault(item.top, []).append(slot)
    if not tops:
        return "metadata_rest"
    names = ", ".join(_text(top) for top in tops)
    others = (
        "[CASE WHEN metadata_rest <> '{}' THEN nullif(array_to_string([to_json(k) || ': ' ||"
        " json_extract(metadata_rest, '/' || replace(replace(k, '~', '~0'), '/', '~1'))"
        f" FOR k IN json_keys(metadata_rest) IF k NOT IN ({names})], ', '), '') END]"
    )
    pieces = [others]
    for top, slots in tops.items():
        members = ", ".join(_member_sql(plan, slot) for slot in slots)
        kept = f"json_extract(metadata_rest, {_path(top)})"
        inner = (
            f"list_filter([{members}, CASE WHEN json_type({kept}) = 'OBJECT' AND {kept} <> '{{}}'"
            f" THEN substr({kept}, 2, length({kept}) - 2) END], lambda x: x IS NOT NULL)"
        )
        head = _text(orjson.dumps(top).decode() + ": ")
        pieces.append(
            f"[CASE WHEN len({inner}) > 0 THEN {head} || '{{' || array_to_string({inner}, ', ')"
            f" || '}}' WHEN {kept} IS NOT NULL THEN {head} || {kept} END]"
        )
    joined = " || ".join(pieces)
    return (
        "CASE WHEN exceptions & 1 = 1 THEN metadata_rest ELSE '{' ||"
        f" array_to_string(list_filter({joined}, lambda x: x IS NOT NULL), ', ') || '}}' END"
    )


def read_key_values(path: Any) -> dict[str, str]:
    """Read them from a file, with pyarrow. Raises PackDamaged."""
    found = open_file(path).metadata.metadata or {}
    values = {key.decode(): value.decode() for key, value in found.items()}
    if values.get("opslog.format") != str(FORMAT_VERSION):
        raise PackDamaged(path, "not a pack of this format")
    return values
