"""Turns what people write into what the settings' types take: units, lists, paths."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from config.errors import SetupError
from config.loading.names import Field
from config.units import duration_s, size_bytes

_DURATIONS = {"_ms": 1000.0, "_s": 1.0, "_hours": 1 / 3600, "_days": 1 / 86400}
"""Ending of a name to how many of its unit a second has."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands."""

    name: str
    """For messages: a variable, or file, line and name."""
    folder: Path
    """What relative paths are relative to."""


def from_text(field: Field, text: str, place: Place) -> Any:
    """The value of an environment variable: numbers with units, `a,b` or JSON for lists."""
    kind = get_origin(field.type) or field.type
    if kind in (list, dict):
        return _structure(kind, text, place)
    return in_units(field, resolve_path(field, text, place), place)


def in_units(field: Field, value: Any, place: Place) -> Any:
    """`"64MiB"` for a name that ends in bytes, `"2h"` for one that ends in a unit of time."""
    if not isinstance(value, str) or field.type not in (int, float) or _is_number(value):
        return value
    try:
        if field.name.endswith(("_bytes", "_bytes_per_s")):
            return size_bytes(value)
        for ending, per_second in _DURATIONS.items():
            if field.name.endswith(ending):
                amount = duration_s(value) * per_second
                return int(amount) if amount.is_integer() else amount
    except SetupError as error:
        raise SetupError(f"{place.name}: {error}") from error
    return value


def resolve_path(field: Field, value: Any, place: Place) -> Any:
    """An absolute path; `~` is the home, anything else is relative to its place."""
    if field.type is not Path or not isinstance(value, str) or not value:
        return value
    return place.folder / Path(value).expanduser()


def _structure(kind: type, text: str, place: Place) -> Any:
    if kind is list and not text.lstrip().startswith("["):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text)
    except ValueError as error:
        shape = '["a", "b"] or a,b' if kind is list else '{"name": "value"}'
        raise SetupError(f"{place.name} is not valid; write {shape} ({error})") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
