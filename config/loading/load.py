"""Load the value of every setting and record its origin.

Environment over file over defaults. An unknown name is an error that suggests the closest one, in
the environment as well, so that a typo never leaves a default silently in force.
"""

import os
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydantic
from platformdirs import user_data_path

from config.errors import SetupError
from config.loading.convert import Place, from_text, in_units, resolve_path
from config.loading.names import FIELDS, PREFIX, RESERVED, SECRET_SUFFIX, nearest, variable_of
from config.settings import Settings

ROOT_DATA_DIR = Path("/var/lib/opslog")
FILE_NAME = "opslog.toml"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from, for display."""

    kind: str
    """`default`, `file`, `environment` or `secret file`."""
    where: str
    """The variable, or the file and line; empty for a default."""

    def __str__(self) -> str:
        return f"{self.kind} {self.where}".strip()


@dataclass(frozen=True, slots=True)
class Loaded:
    """The effective settings."""

    settings: Settings
    origins: Mapping[str, Origin]
    """By dotted name, for example `otlp.port`; contains every setting."""
    file: Path | None
    """The opslog.toml that was read."""

    def value(self, name: str) -> Any:
        """The value of a setting by its dotted name."""
        found: Any = self.settings
        for part in name.split("."):
            found = getattr(found, part)
        return found


DEFAULT = Origin("default", "")


def load(environ: Mapping[str, str], *, config: Path | None = None) -> Loaded:
    """Load the settings for this environment. `config` is the value of `--config`.

    Raises SetupError with one line per problem, each with its origin.
    """
    values: dict[str, Any] = {}
    origins: dict[str, Origin] = {}
    problems: list[str] = []
    file = _find_file(environ, config)
    sources = [_from_file(file, problems)] if file else []
    for source in (*sources, _from_environment(environ, problems)):
        for name, value, origin in source:
            values[name] = value
            origins[name] = origin
    if problems:
        raise SetupError("\n".join(problems))
    if "data_dir" not in values:
        values["data_dir"] = _default_data_dir()
    return Loaded(
        _validated(values, origins), {name: origins.get(name, DEFAULT) for name in FIELDS}, file
    )


def _default_data_dir() -> Path:
    if os.geteuid() == 0:
        return ROOT_DATA_DIR
    return Path(user_data_path("opslog", appauthor=False))


def _find_file(environ: Mapping[str, str], config: Path | None) -> Path | None:
    """The settings file: the one named explicitly must exist, the default ones are optional."""
    named = config or (Path(environ["OPSLOG_CONFIG"]) if environ.get("OPSLOG_CONFIG") else None)
    if named is not None:
        if not _is_file(named):
            source = "--config" if config else "OPSLOG_CONFIG"
            raise SetupError(f"{named}: no such file (set by {source})")
        return named.absolute()
    data_dir = environ.get("OPSLOG_DATA_DIR")
    folder = Path(data_dir).expanduser() if data_dir else _default_data_dir()
    for candidate in (Path(FILE_NAME), folder / FILE_NAME):
        if _is_file(candidate):
            return candidate.absolute()
    return None


def _is_file(path: Path) -> bool:
    """False also for a directory that this account may not enter."""
    try:
        return path.is_file()
    except PermissionError:
        return False


def _from_environment(
    environ: Mapping[str, str], problems: list[str]
) -> Iterator[tuple[str, Any, Origin]]:
    """Yield every non-empty OPSLOG_… variable; append unknown ones to `problems`."""
    cwd = Path.cwd()
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in RESERVED or not environ[variable]:
            continue
        name = variable.removeprefix(PREFIX).lower().replace("__", ".")
        text, kind = environ[variable], "environment"
        if name not in FIELDS and name.endswith(SECRET_SUFFIX):
            name = name.removesuffix(SECRET_SUFFIX)
            if name in FIELDS and FIELDS[name].is_secret:
                kind, text = "secret file", _read_secret(variable, text, problems)
                if environ.get(variable_of(name)):
                    problems.append(f"{variable} and {variable_of(name)} are both set; keep one")
            else:
                name = ""
        if name not in FIELDS:
            problems.append(f"{variable} is not a setting{_hint(variable)}")
            continue
        place = Place(variable, cwd)
        try:
            yield name, from_text(FIELDS[name], text, place), Origin(kind, variable)
        except SetupError as error:
            problems.append(str(error))


def _hint(variable: str) -> str:
    near = nearest(variable, [variable_of(name) for name in FIELDS] + sorted(RESERVED))
    return f"; did you mean {near}?" if near else "; `opslog config` lists all settings"


def _read_secret(variable: str, path: str, problems: list[str]) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8").rstrip("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        problems.append(f"{variable}: cannot read {path}: {reason}")
        return ""


def _from_file(file: Path, problems: list[str]) -> Iterator[tuple[str, Any, Origin]]:
    """Yield every value of the TOML file; append unknown names to `problems`."""
    try:
        text = file.read_text(encoding="utf-8")
        tree = tomllib.loads(text)
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SetupError(f"{file}: {error}") from error
    lines = _lines_of(text)
    for name, value in _leaves(tree):
        where = f"{file}:{lines[name]}" if name in lines else str(file)
        if name not in FIELDS:
            near = nearest(name, list(FIELDS))
            hint = f"; did you mean {near}?" if near else ""
            problems.append(f"{where}: {name} is not a setting{hint}")
            continue
        try:
            place = Place(f"{where}: {name}", file.parent)
            yield (
                name,
                in_units(FIELDS[name], resolve_path(FIELDS[name], value, place), place),
                (Origin("file", where)),
            )
        except SetupError as error:
            problems.append(str(error))


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values; descend into a table unless it is itself a setting's value."""
    for key, value in tree.items():
        name = f"{above}{key}"
        is_section = any(known.startswith(f"{name}.") for known in FIELDS)
        if isinstance(value, dict) and name not in FIELDS and is_section:
            yield from _leaves(value, f"{name}.")
        else:
            yield name, value


def _lines_of(text: str) -> dict[str, int]:
    """The line of each name, as far as simple parsing finds it (tomllib has no line numbers)."""
    lines: dict[str, int] = {}
    section = ""
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if line.startswith("[") and line.rstrip("] ").startswith("["):
            section = line.strip("[] ").split("#")[0].strip("[] ").replace(" ", "")
            lines.setdefault(section, number)
        elif "=" in line and not line.startswith("#"):
            key = line.partition("=")[0].strip().replace(" ", "").replace('"', "")
            lines.setdefault(f"{section}.{key}" if section else key, number)
    return lines


def _validated(values: Mapping[str, Any], origins: Mapping[str, Origin]) -> Settings:
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *sections, last = name.split(".")
        branch = tree
        for section in sections:
            branch = branch.setdefault(section, {})
        branch[last] = value
    try:
        return Settings.model_validate(tree)
    except pydantic.ValidationError as error:
        lines = [_problem(found, values, origins) for found in error.errors(include_url=False)]
        raise SetupError("\n".join(lines)) from None


def _problem(found: Any, values: Mapping[str, Any], origins: Mapping[str, Origin]) -> str:
    """One line: origin, value, error. Never contains a secret's value."""
    path = ".".join(str(part) for part in found["loc"])
    name = next((known for known in FIELDS if path == known or path.startswith(f"{known}.")), path)
    message = found["msg"].removeprefix("Value error, ")
    if name not in values:
        return message if name in message or not name else f"{name}: {message}"
    if path != name or _is_long(values[name]):  # the path is clearer than the whole value
        return f"{origins[name].where}: {path}: {message}"
    shown = "" if FIELDS[name].is_secret else f" is {values[name]!r}"
    return f"{origins[name].where}: {name}{shown}: {message}"


def _is_long(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(item, dict) for item in value)


def load_or_exit(config: Path | None = None) -> Loaded:
    """Load the settings of this process; on errors, print them and exit with 78."""
    try:
        return load(os.environ, config=config)
    except SetupError as error:
        sys.stderr.write(f"Invalid settings:\n{error}\n")
        raise SystemExit(SetupError.exit_code) from None
