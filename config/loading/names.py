"""The names of all settings in the file and in the environment."""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from config.settings import Section, Settings

PREFIX = "OPSLOG_"
SECRET_SUFFIX = "_file"  # noqa: S105 - a suffix of names
RESERVED = {
    "OPSLOG_CONFIG": "path of the settings file, as --config",
    "OPSLOG_DEMO_KEY": "ingest key for `opslog demo`, as --key",
    "OPSLOG_PURE": "1: run the codec uncompiled (opslog/compiled.py)",
    "OPSLOG_FAILPOINTS": "faults injected by tests (storage/failpoints.py)",
    "OPSLOG_PROCESS": "name of a process under `opslog up`, for its log lines",
    "OPSLOG_PROFILE": "profile with the address and token for commands, as --profile",
    "OPSLOG_PROFILES": "file of profiles; default: profiles.toml in the user's opslog folder",
    "OPSLOG_URL": "URL of the API for commands, as --url",
    "OPSLOG_TOKEN": "API token for commands, as --token",
    "OPSLOG_READY_FD": "pipe on which a process signals readiness",
}
"""Variables with the OPSLOG_ prefix that are not settings, and their meaning."""


@dataclass(frozen=True, slots=True)
class Field:
    """One setting."""

    name: str
    """Dotted name as in the file: `otlp.port`."""
    type: Any
    """Without None and without constraints: int, str, Path, list[str], …"""
    info: FieldInfo

    @property
    def is_secret(self) -> bool:
        """Whether its value is masked in all output."""
        return self.type is SecretStr

    @property
    def text(self) -> str:
        """Description on one line."""
        return " ".join((self.info.description or "").split())


def variable_of(name: str) -> str:
    """The environment variable of a setting.

    >>> variable_of("otlp.port")
    'OPSLOG_OTLP__PORT'
    """
    return PREFIX + name.upper().replace(".", "__")


def nearest(name: str, known: Sequence[str]) -> str:
    """The closest known name; empty if none is similar."""
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.6)), "")


def _bare(annotation: Any) -> Any:
    """`Path` of `Path | None`."""
    if get_origin(annotation) in (Union, UnionType):
        rest = [part for part in get_args(annotation) if part is not NoneType]
        return rest[0] if len(rest) == 1 else annotation
    return annotation


def _fields(section: type[Section], above: str = "") -> Iterator[Field]:
    for key, info in section.model_fields.items():
        kind = _bare(info.annotation)
        if isinstance(kind, type) and issubclass(kind, Section):
            yield from _fields(kind, f"{above}{key}.")
        else:
            yield Field(f"{above}{key}", kind, info)


FIELDS: dict[str, Field] = {field.name: field for field in _fields(Settings)}
"""Every setting by its dotted name, in the order of the settings' classes."""
