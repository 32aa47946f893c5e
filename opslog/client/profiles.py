"""Profiles: addresses and tokens of remote APIs, stored in a file.

# profiles.toml in the user's configuration folder, or the file named by OPSLOG_PROFILES
[default]                       # used if no other is named
url = "https://logs.example.org"
token_file = "~/.secrets/opslog"

[staging]
url = "https://logs.staging.example.org"
token = "eyJ…"
"""

import os
import stat
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from config.errors import SetupError

FILE_VARIABLE = "OPSLOG_PROFILES"
DEFAULT = "default"
_KEYS = frozenset({"url", "token", "token_file"})


class BadProfile(SetupError):
    """The profiles file or the named profile is invalid."""

    code = "bad_profile"
    title = "Invalid profile"


@dataclass(frozen=True, slots=True)
class Profile:
    """Address and token; "" if not set."""

    url: str = ""
    token: str = ""


def profiles_file() -> Path:
    """The path of the profiles file."""
    named = os.environ.get(FILE_VARIABLE)
    return Path(named) if named else Path(platformdirs.user_config_dir("opslog")) / "profiles.toml"


def profile(name: str) -> Profile:
    """The named profile; without a name the default one, if any. Raises BadProfile."""
    path = profiles_file()
    if not path.is_file():
        if name:
            raise BadProfile(f"unknown profile {name}: {path} does not exist")
        return Profile()
    found = _read(path)
    if name and name not in found:
        raise BadProfile(f"unknown profile {name}; {path} has {', '.join(found)}")
    section = found.get(name or DEFAULT)
    return Profile() if section is None else _profile(path, name or DEFAULT, section)


def _read(path: Path) -> dict[str, Any]:
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadProfile(f"{path} contains tokens but is readable by others: chmod 600 {path}")
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadProfile(f"{path} cannot be read: {error}") from error


def _profile(path: Path, name: str, section: object) -> Profile:
    if not isinstance(section, dict) or not section.keys() <= _KEYS:
        raise BadProfile(f"[{name}] in {path}: only {', '.join(sorted(_KEYS))} are allowed")
    if not all(isinstance(value, str) for value in section.values()):
        raise BadProfile(f"[{name}] in {path}: all values must be strings")
    token = section.get("token", "")
    if "token_file" in section:
        try:
            token = Path(section["token_file"]).expanduser().read_text().strip()
        except (OSError, ValueError) as error:
            raise BadProfile(f"[{name}] in {path}: token_file cannot be read: {error}") from error
    return Profile(section.get("url", ""), token)
