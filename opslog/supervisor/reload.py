"""SIGHUP: the settings are read anew. What does not hold is said, and changes nothing.

A valid settings file is applied by restarting our own processes one after the other
(opslog/supervisor/supervisor.py); they read it as at any start. Listeners, folders and servers
keep their settings: changing those needs a restart of `opslog up`.
"""

import os

from config.errors import SetupError
from config.loading.load import Loaded, load
from config.process.tls import TlsContext
from config.settings import Settings

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
        changed = [name for name in fresh.origins if fresh.value(name) != self._loaded.value(name)]
        fixed = [name for name in changed if name in FIXED]
        if fixed:
            raise SetupError(f"{', '.join(fixed)}: only a new start of opslog up can change that")
        try_out(fresh.settings)
        self._loaded = fresh
        return changed


def try_out(settings: Settings) -> None:
    """Raise SetupError for what a process would not start with: rules, patterns, files, addresses.

    A process that ends for that would be started again and again, and nobody would do its work.
    """
    # Imported here: a supervisor that is never told to reload stays small.
    from query.auth.keys import keys_from  # noqa: PLC0415
    from retention.policy.rules import policies  # noqa: PLC0415
    from storage.redaction.redactor import Redactor  # noqa: PLC0415
    from storage.redaction.tokens import HmacKeys  # noqa: PLC0415

    Redactor(settings.redaction, HmacKeys({"check": bytes(32)}, current="check"))
    policies(settings.retention)
    keys_from(settings.auth, {})
    TlsContext.of(settings.otlp)
    TlsContext.of(settings.api)
