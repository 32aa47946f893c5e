"""Rows of a block with the values that the SQL of query/planning/compile.py gives."""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from asyncpg.pgproto.pgproto import UUID

from query.planning.compile import EMPTY_METADATA, Columns
from storage.packs.blocks import Block, Picked
from storage.packs.errors import PackDamaged
from storage.packs.pack import Pack
from storage.packs.parquet.decode import Column
from storage.packs.parquet.encode import Array
from storage.packs.rows import block as rows_block
from storage.packs.schema import Plan
from storage.packs.search.attributes import json_text, printed
from storage.packs.search.coded import Coded, coded_attribute
from storage.record.times import datetime_of

_DEFAULT_JSON = {key: printed(value) for key, value in json.loads(EMPTY_METADATA).items()}
_DEFAULTS = {key: raw.decode() for key, raw in _DEFAULT_JSON.items()}
_ORDERED = sorted(_DEFAULTS.items(), key=lambda item: (len(item[0].encode()), item[0].encode()))
"""In jsonb's order."""
_WHOLE = "{" + ", ".join([f'"{key}": %s' for key, _ in _ORDERED]) + "}"
_EMPTY = _WHOLE % tuple([text for _, text in _ORDERED])


class Selected:
    """Some rows of a block, as if they were the block."""

    def __init__(self, block: Block, numbers: list[int]) -> None:
        """`numbers` are ascending."""
        self.rows = len(numbers)
        self._block = block
        self._numbers = numbers
        self._columns: dict[str, Column | Picked] = {}

    def get(self, name: str) -> Column | Picked:
        """A column, of the selected rows only."""
        column = self._columns.get(name)
        if column is None:
            column = self._columns[name] = self._block.some(name, self._numbers)
        return column

    def ids(self) -> list[bytes]:
        """The column `id`."""
        numbers = [self.get(name).array() for name in ("created_at", "created_ns", "position")]
        return rows_block.ids(self.get, *numbers)


def rows_of(
    pack: Pack, block: Block, numbers: Sequence[int] | Array, columns: Columns
) -> list[dict[str, Any]]:
    """The rows with these numbers, which ascend or descend, in this order. Raises PackDamaged."""
    wanted = [int(number) for number in numbers]
    is_descending = len(wanted) > 1 and wanted[0] > wanted[-1]
    selected = Selected(block, wanted[::-1] if is_descending else wanted)
    try:
        values = [_column(selected, pack.plan, name) for name in columns.names]
        names = [*columns.names]
        for place, attribute in enumerate(columns.attributes):
            names.append(f"a{place}")
            values.append(_attribute(selected, pack.plan, attribute))
    except (ValueError, TypeError, IndexError, OverflowError) as error:
        raise PackDamaged(pack.path, str(error), block=block.number) from error
    rows = [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]
    return rows[::-1] if is_descending else rows


def _column(selected: Selected, plan: Plan, name: str) -> list[Any]:
    if name == "id":
        return [UUID(raw) for raw in selected.ids()]
    if name == "metadata":
        texts = rows_block.metadata(selected.get, plan, _DEFAULT_JSON, _completed)
        return [text.decode() for text in texts]
    values, convert = selected.get(name).values(), _CONVERTERS.get(name)
    if convert is None:
        return values
    return [None if value is None else convert(value) for value in values]


def _attribute(selected: Selected, plan: Plan, name: str) -> list[str | None]:
    coded = coded_attribute(selected, plan, name)
    texts = [None if raw is None else json_text(raw) for raw in coded.values]
    return Coded(coded.codes, texts).each()


def _completed(raw: bytes) -> bytes:
    return with_defaults(raw).encode()


def with_defaults(raw: bytes) -> str:
    """Metadata in any form with the members that every record has, as jsonb prints it."""
    if raw == b"{}":
        return _EMPTY
    own = _members(raw.decode())
    if own.keys() <= _DEFAULTS.keys():
        return _WHOLE % tuple([own.get(key) or text for key, text in _ORDERED])
    every = own.keys() | _DEFAULTS.keys()
    keys = sorted(every, key=lambda key: (len(key.encode()), key.encode()))
    texts = [f"{_quoted(key)}: {own.get(key) or _DEFAULTS[key]}" for key in keys]
    return "{" + ", ".join(texts) + "}"


def _members(text: str) -> dict[str, str]:
    """The members of an object as jsonb prints it, values as they stand."""
    found: dict[str, str] = {}
    at, last = 1, len(text) - 1
    while at < last:
        key, end = _scan(text, at)
        start = end + 2
        _, end = _scan(text, start)
        found[key] = text[start:end]
        at = end + 2
    return found


_quoted = json.encoder.encode_basestring
_scan = json.JSONDecoder(strict=False, parse_int=str, parse_float=str).raw_decode
"""(the value at a place, where it ends); numbers are not converted."""
_TEXTS = (
    *("level", "kind", "source_module", "action", "resource_type", "resource_id", "actor_id"),
    *("correlation_id", "message"),
)
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(_TEXTS, bytes.decode),
    "created_at": datetime_of,
    "received_at": lru_cache(maxsize=1024)(datetime_of),
    "trace_id": UUID,
    # host() leaves out the length of the network.
    "ip_address": lambda text: text.decode().partition("/")[0],
}
"""All others are as the file has them."""
