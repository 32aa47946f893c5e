"""SIGHUP: reload the settings. An invalid file is logged and changes nothing.

A valid settings file is applied by restarting our own processes one by one
(opslog/supervisor/supervisor.py). Listeners, folders and servers keep their settings: changing
those needs a restart of `opslog up`.
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
        *("api.workers", "spool.directory", "log.format"),
    }
)
"""Settings that only change with a restart of `opslog up`."""


class Reload:
    """Checks whether changed settings can replace the current ones."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded

    def check(self) -> list[str]:
        """Names of the changed settings.

        Raises:
            SetupError: the file is invalid, or changes a setting that needs a restart.
        """
        fresh = load(os.environ, config=self._loaded.file)
        changed = [name for name in fresh.origins if fresh.value(name) != self._loaded.value(name)]
        fixed = [name for name in changed if name in FIXED]
        if fixed:
            raise SetupError(f"{', '.join(fixed)}: restart `opslog up` to change this")
        try_out(fresh.settings)
        self._loaded = fresh
        return changed


def try_out(settings: Settings) -> None:
    """Raise SetupError for rules, patterns, files or addresses that would prevent a start.

    Otherwise the process would be restarted in a loop, and its work would not be done.
    """
    # Imported here: a supervisor that never reloads stays small.
    from query.auth.verification_keys import keys_from  # noqa: PLC0415
    from retention.policy.rules import policies  # noqa: PLC0415
    from storage.redaction.redactor import Redactor  # noqa: PLC0415
    from storage.redaction.tokens import HmacKeys  # noqa: PLC0415

    Redactor(settings.redaction, HmacKeys({"check": bytes(32)}, current="check"))
    policies(settings.retention)
    keys_from(settings.auth, {})
    TlsContext.of(settings.otlp)
    TlsContext.of(settings.api)
