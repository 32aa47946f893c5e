# ruff: noqa: PLC0415 - a command imports what it needs when it runs, so that --help is fast
"""`opslog config`: the effective settings and their origin."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from opslog.cli.options import ConfigOption
from opslog.installation.opening import loaded

if TYPE_CHECKING:
    from config.loading.load import Loaded

_MASK = "********"


def config(
    config: ConfigOption = None,
    *,
    changed: Annotated[bool, typer.Option("--changed", help="Omit default values.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="JSON output.")] = False,
) -> None:
    """Show the effective settings and their origin; secrets are masked."""
    found = loaded(config)
    rows = [row for row in _rows(found) if not changed or row["origin"] != "default"]
    if as_json:
        print(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    print(f"# settings file: {found.file or 'none'}")
    width = max((len(row["name"]) + len(row["shown"]) for row in rows), default=0) + 3
    for row in rows:
        print(f"{row['name']} = {row['shown']}".ljust(min(width, 72)) + f"  # {row['origin']}")


def _rows(found: "Loaded") -> list[dict[str, Any]]:
    from config.loading.names import FIELDS, variable_of

    rows = []
    for name, field in FIELDS.items():
        value = found.value(name)
        if field.is_secret:
            value = None if value is None else _MASK
        plain = _plain(value)
        rows.append(
            {
                "name": name,
                "variable": variable_of(name),
                "value": plain,
                "shown": "(not set)" if plain is None else json.dumps(plain, ensure_ascii=False),
                "origin": str(found.origins[name]),
            }
        )
    return rows


def _plain(value: Any) -> Any:
    """The value as JSON types."""
    from pydantic import BaseModel

    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", exclude_defaults=True)
    return str(value) if isinstance(value, Path) else value
