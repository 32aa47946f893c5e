"""A filter tree as JSON that outlives releases, and back: holds and purges are stored so.

{"Text": {"text": "x", "ignores_case": false}}        members by name, so that one may be added
"""

import json
from collections.abc import Callable
from dataclasses import fields
from ipaddress import ip_network
from typing import Any, get_args
from uuid import UUID

from config.levels import Level
from storage.filtering.filters import Comparison, Filter, plain
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


class NotAFilter(ValueError):
    """The JSON is not one that `dump` made, or of a newer opslog."""


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
    """The filter that `dump` showed. Raises NotAFilter."""
    try:
        return _node(json.loads(text))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotAFilter(f"this is not a filter that opslog can read: {error}") from error


def _node(shown: Any) -> Filter:
    ((name, members),) = shown.items()
    field = _FIELDS[members["field"]] if "field" in members else None
    made: Filter = _NODES[name](
        **{key: _member(key, value, field) for key, value in members.items()}
    )
    return made


def _member(key: str, value: Any, field: Field | None) -> object:  # noqa: PLR0911 - one a member
    match key:
        case "of":
            return tuple(map(_node, value)) if isinstance(value, list) else _node(value)
        case "field":
            return field
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
