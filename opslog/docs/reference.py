"""Writes docs/reference/settings.md from the settings themselves, errors.md from the errors.

`python -m opslog.reference`.

A test holds the pages equal to what this makes, so that a setting cannot change without its text.
"""

import sys
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic_core import PydanticUndefined

from config.loading.names import FIELDS, RESERVED, Field, variable_of
from config.settings import Section, Settings
from config.units import duration_text, size_text
from opslog.docs import reference_errors
from opslog.docs.reference_errors import errors_page

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
_HEAD = """\
# Settings

Written by `make docs` from `config/settings.py`; change the texts there.

Every setting has a name in the settings file (`opslog.toml`, TOML) and one in the environment:
`OPSLOG_`, the name in capitals, `__` for each dot. The environment wins over the file, the file
over the defaults. `opslog config` shows what is in force and where each value comes from.

- The file is the one that `--config` or `OPSLOG_CONFIG` names, else `./opslog.toml`, else
  `opslog.toml` in the data directory.
- SIGHUP makes a running `opslog up` read the file anew; its processes start again one by one, and
  nothing is refused or lost meanwhile. A file that is broken, or that changes folders, ports,
  servers or the number of receivers, is refused in the log, and what was in force stays.
- A name that is not in this list is an error, in the file and in the environment.
- An empty variable counts as not set.
- Sizes may have a unit (`64MiB`, `500MB`, `2G`), times as well (`90s`, `12h`, `7d`, `1y`).
- Lists are `a,b` or JSON in the environment; maps are JSON.
- Secrets can come from a file: `OPSLOG_DATABASE_URL_FILE=/run/secrets/dsn`.
- Relative paths are relative to the file they stand in, or to the working folder.
"""


def settings_page() -> str:
    """The whole page."""
    parts = [_HEAD, _section("General", "", Settings)]
    for key, info in Settings.model_fields.items():
        kind = info.annotation
        if isinstance(kind, type) and issubclass(kind, Section):
            parts.append(_section(f"`[{key}]`", f"{key}.", kind))
    rows = "".join(f"| `{name}` | {text} |\n" for name, text in sorted(RESERVED.items()))
    parts.append(f"## Other variables\n\n| variable | what it is |\n| --- | --- |\n{rows}")
    return "\n".join(parts)


def _section(title: str, prefix: str, section: type[Section]) -> str:
    text = "" if section is Settings else f"{' '.join((section.__doc__ or '').split())}\n\n"
    head = "| setting | default | allowed | what it does |\n| --- | --- | --- | --- |\n"
    fields = [
        FIELDS[f"{prefix}{key}"] for key in section.model_fields if f"{prefix}{key}" in FIELDS
    ]
    return f"## {title}\n\n{text}{head}" + "".join(map(_row, fields))


def _row(field: Field) -> str:
    cells = (
        f"`{field.name}`<br>`{variable_of(field.name)}`",
        _default(field),
        _allowed(field),
        field.text,
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def _default(field: Field) -> str:
    value: Any = field.info.default
    if value is PydanticUndefined or value in (None, "", [], {}) or value == Path():
        return "none"
    if field.is_secret:
        return "none"
    return f"`{_with_unit(field, value)}`"


def _with_unit(field: Field, value: Any) -> str:
    """`64.0 MiB` reads better than 67108864, and both can be written."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float) and field.name.endswith("_bytes") and value >= 1024:
        return size_text(int(value)).replace(".0", "").replace(" ", "")
    if isinstance(value, int | float) and field.name.endswith("_s") and "per_s" not in field.name:
        return duration_text(value)
    return str(value)


def _allowed(field: Field) -> str:
    if get_origin(field.type) is Literal:
        return ", ".join(f"`{choice}`" for choice in get_args(field.type))
    name = "secret" if field.is_secret else str(getattr(field.type, "__name__", field.type)).lower()
    bounds = [text for constraint in field.info.metadata for text in _bounds(field, constraint)]
    return ", ".join([_KINDS.get(name, name), *bounds])


_KINDS = {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}


def _bounds(field: Field, constraint: object) -> list[str]:
    match constraint:
        case annotated_types.Ge(ge=value):
            return [f"at least {_with_unit(field, value)}"]
        case annotated_types.Gt(gt=value):
            return [f"more than {_with_unit(field, value)}"]
        case annotated_types.Le(le=value):
            return [f"at most {_with_unit(field, value)}"]
        case _:
            return []


def main() -> None:
    """Writes the pages."""
    for page, text in ((PAGE, settings_page()), (reference_errors.PAGE, errors_page())):
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(text, encoding="utf-8")
        sys.stderr.write(f"wrote {page}\n")


if __name__ == "__main__":
    main()
