"""Serializes a filter tree as JSON that is stable across releases, for holds and purges.

{"Text": {"text": "x", "ignores_case": false}}        members by name, so that more can be added
"""

import json
from collections.abc import Callable
from dataclasses import fields
from ipaddress import ip_network
from typing import Any, get_args
from uuid import UUID

from config.levels import Level
from storage.filtering.filters import Comparison, Filter, ValueTest, plain
from storage.record.fields import FIELDS, KIND_WORDS, STREAM_ID, Field, FieldValue, ValueType

_NODES: dict[str, type] = {node.__name__: node for node in get_args(Filter)}
_FIELDS = FIELDS | {STREAM_ID.name: STREAM_ID}
_VALUES: dict[ValueType, Callable[[Any], FieldValue]] = {
    ValueType.TEXT: str,
    ValueType.LEVEL: lambda name: Level[name],
    ValueType.KIND: lambda word: KIND_WORDS[word],
    ValueType.UUID: UUID,
    ValueType.BYTES: bytes.fromhex,
    ValueType.INTEGER: int,
}


class InvalidFilter(ValueError):
    """The JSON was not written by `dump`, or by a newer opslog."""


def dump(condition: Filter) -> str:
    """The filter as JSON text, the same for equal filters."""
    return json.dumps(_shown(condition), sort_keys=True, ensure_ascii=False)


def _shown(value: object) -> object:
    if isinstance(value, tuple):
        return [_shown(item) for item in value]
    if type(value).__name__ in _NODES:
        members = fields(value)  # type: ignore[arg-type]
        return {type(value).__name__: {m.name: _shown(getattr(value, m.name)) for m in members}}
    return plain(value)


def load(text: str) -> Filter:
    """The filter that `dump` serialized. Raises InvalidFilter."""
    try:
        return _node(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidFilter(f"not a valid filter: {error}") from error


def _node(shown: Any) -> Filter:
    ((name, members),) = shown.items()
    field = _FIELDS[members["field"]] if "field" in members else None
    node: Filter = _NODES[name](
        **{key: _member(key, value, field) for key, value in members.items()}
    )
    return node


def _member(key: str, value: Any, field: Field | None) -> object:  # noqa: PLR0911 - one a member
    match key:
        case "of":
            return tuple(map(_node, value)) if isinstance(value, list) else _node(value)
        case "field":
            return field
        case "paths":
            return tuple(map(tuple, value))
        case "test":
            return ValueTest(value)
        case "comparison":
            return Comparison(value)
        case "network":
            return ip_network(value)
        case "value" if field is not None:
            return _VALUES[field.type](value)
        case "values" if field is not None:
            return tuple(map(_VALUES[field.type], value))
        case _:
            return value
