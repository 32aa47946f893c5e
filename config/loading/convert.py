"""Convert setting values from text: units, lists, paths."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_origin

from config.errors import SetupError
from config.loading.names import Field
from config.units import duration_s, size_bytes

_DURATIONS = {"_ms": 1000.0, "_s": 1.0, "_hours": 1 / 3600, "_days": 1 / 86400}
"""Suffix of a setting's name to the number of its units per second."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value is set."""

    name: str
    """For messages: the variable, or file, line and name."""
    folder: Path
    """Base of relative paths."""


def from_text(field: Field, text: str, place: Place) -> Any:
    """Convert an environment variable: numbers with units, `a,b` or JSON for lists."""
    kind = get_origin(field.type) or field.type
    if kind in (list, dict):
        return _structure(kind, text, place)
    return in_units(field, resolve_path(field, text, place), place)


def in_units(field: Field, value: Any, place: Place) -> Any:
    """Convert `"64MiB"` if the name ends in bytes, `"2h"` if it ends in a unit of time."""
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
    """Make a path absolute: expand `~`, resolve relative paths against the place's folder."""
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
