"""SIGHUP: the settings are read anew. What does not hold is said, and changes nothing.

A settings file that is good is taken over by starting our own processes again, one after the other
(opslog/supervisor.py); they read it as at any start. Listeners, folders and servers stay as they
are: a file that changes those is for a new start of `opslog up`.
"""

import os

from config.errors import SetupError
from config.load import Loaded, load

FIXED = frozenset(
    {
        *("data_dir", "database_url", "redis_url", "insecure_redis", "run_as", "secrets_dir"),
        *("stop_timeout_s", "otlp.host", "otlp.port", "otlp.receivers", "api.host", "api.port"),
        *("spool.directory", "log.format"),
    }
)
"""Settings that hold from the start of `opslog up` to its end."""


class Reload:
    """What was in force, and whether something else can take its place."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def check(self) -> list[str]:
        """Names of the settings that change.

        Raises:
            SetupError: the file is broken, or changes what only a new start can.
        """
        fresh = load(os.environ, config=self._loaded.file)
        changed = [
            name for name in fresh.origins if value_of(fresh, name) != value_of(self._loaded, name)
        ]
        fixed = [name for name in changed if name in FIXED]
        if fixed:
            raise SetupError(f"{', '.join(fixed)}: only a new start of opslog up can change that")
        self._loaded = fresh
        return changed


def value_of(loaded: Loaded, name: str) -> object:
    """The value of a setting by its dotted name."""
    value: object = loaded.settings
    for part in name.split("."):
        value = getattr(value, part)
    return value
