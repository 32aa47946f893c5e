"""Values of attributes as JSON, and the rows with a value in a promoted column."""

import json
from decimal import Decimal
from typing import Any, TypeAlias

import numpy as np
import orjson

from storage.packs.blocks import Block
from storage.packs.parquet.encode import Array
from storage.packs.rows.block import is_number_column
from storage.packs.rows.promote import members
from storage.packs.scalars import INTEGER, LINK, STRING
from storage.packs.schema import Promoted
from storage.packs.search.texts import NUMBER

Json: TypeAlias = bytes
"""JSON as jsonb prints it."""
TOP = "attributes"
_LARGE = 1 << 62


def own_rows(block: Block, item: Promoted, slot: int, value: str) -> Array | None:
    """The rows of a promoted column with this text; None where values must be printed first."""
    if item.kind == LINK and not is_number_column(item.link):
        flags = block.get("exceptions").array()
        holds: Array = flags & (2 << slot) == 0
        return holds & block.get(item.link).equal(value.encode())
    if item.kind == STRING:
        return block.get(item.name).equal(value.encode())
    if item.kind == INTEGER:
        number = Decimal(value) if NUMBER.fullmatch(value) else None
        if number is None or number != number.to_integral_value() or abs(number) >= _LARGE:
            return None if number is not None else np.zeros(block.rows, np.bool_)
        return block.get(item.name).equal(int(number))
    return None


def in_rest(text: bytes, name: str, key: bytes) -> Json | None:
    """The attribute in metadata without promoted keys; `key`: its name as JSON."""
    if key not in text and b"\\" not in text:
        return None
    tops = dict(members(text))
    if not tops or b"\\" in text:
        return _parsed(text, name)
    raw = tops.get(TOP, b"{}")
    inner = dict(members(raw))
    return inner.get(name) if inner or raw[:1] != b"{" or raw == b"{}" else _parsed(text, name)


def _parsed(text: bytes, name: str) -> Json | None:
    """Look up the attribute in JSON that is not canonical, or has escapes."""
    try:
        document = json.loads(text, parse_float=Decimal)
    except ValueError:
        return None
    attributes = document.get(TOP) if isinstance(document, dict) else None
    if not isinstance(attributes, dict) or name not in attributes:
        return None
    return printed(attributes[name])


def printed(value: Any) -> Json:
    """A parsed value as jsonb prints it."""
    if isinstance(value, dict):
        ordered = sorted(value.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
        return b"{" + b", ".join([orjson.dumps(k) + b": " + printed(v) for k, v in ordered]) + b"}"
    if isinstance(value, list):
        return b"[" + b", ".join([printed(item) for item in value]) + b"]"
    if isinstance(value, Decimal):
        return format(value, "f").encode()
    if isinstance(value, int) and not isinstance(value, bool):
        return b"%d" % value
    return orjson.dumps(value)


def json_text(raw: Json) -> str | None:
    """The result of `->>`: a string decoded, null as None, anything else as printed."""
    if raw[:1] == b'"':
        text: str = orjson.loads(raw)
        return text
    return None if raw == b"null" else raw.decode()


def elements(raw: Json) -> list[Json]:
    """The elements of a list, or the value itself, as lax jsonpath unwraps."""
    if raw[:1] != b"[":
        return [raw]
    return [printed(item) for item in json.loads(raw, parse_float=Decimal)]
