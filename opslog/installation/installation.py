"""One installation, derived from its settings: folders, secrets, servers and their addresses.

    <data_dir>/                  0700 (0711 if the servers run as another account)
      postgres/  valkey/         the bundled servers (or elsewhere, see embedded/homes.py)
      spool/<process>/           one spool per receiver, one per query server
      packs/                     packs, with the embedded PostgreSQL (else storage.packs_dir)
      heads/                     signed heads of the ledger, outside the database
      secrets/  run/  log/
      opslog.toml                optional

Used by the supervisor, its processes and every command.
"""

import json
import os
import socket
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from config.errors import SetupError
from config.process.machine import cores
from config.settings import Settings
from opslog.embedded.homes import servers_home
from opslog.embedded.postgres import EmbeddedPostgres
from opslog.embedded.server import make_folder, socket_folder
from opslog.embedded.valkey import EmbeddedValkey
from opslog.installation.secret_files import SecretFiles
from opslog.system.processes import Account, account_for

if TYPE_CHECKING:
    from storage.ledger.tree.keys import EvidenceKeys


@dataclass(frozen=True, slots=True)
class Running:
    """The contents of run/opslog.json, written by a running `opslog up`."""

    pid: int
    otlp_url: str
    """Base address for exporters, without /v1/logs."""
    api_url: str


class Installation:
    """Everything that follows from the settings; creates its folders on first use."""

    def __init__(self, settings: Settings) -> None:
        """`settings.data_dir` is an absolute path (see config/loading/load.py)."""
        self.settings = settings
        self.data_dir = settings.data_dir

    def make_folders(self) -> None:
        """Create the data directory and our folders in it. Existing ones are left unchanged."""
        with suppress(PermissionError):  # reported below
            if not self.data_dir.exists():
                self._make_parents()
                make_folder(self.data_dir, owner=None, mode=0o711 if self.account else 0o700)
        if not os.access(self.data_dir, os.R_OK | os.W_OK | os.X_OK):
            raise SetupError(
                f"the data directory {self.data_dir} is not writable for this account; choose "
                "another one with OPSLOG_DATA_DIR"
            )
        make_folder(self.run_dir, owner=None)
        make_folder(self.log_dir, owner=None)
        make_folder(self.spool_root, owner=None)

    def _make_parents(self) -> None:
        parent = self.data_dir.parent
        try:
            parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SetupError(f"cannot create the folder {parent}: {error.strerror}") from error

    @property
    def run_dir(self) -> Path:
        """State of a running opslog: lock, metrics, address."""
        return self.data_dir / "run"

    @property
    def log_dir(self) -> Path:
        """Reports that are too long for the log."""
        return self.data_dir / "log"

    @property
    def metrics_dir(self) -> Path:
        """Folder for the shared metrics of the processes of one `opslog up` (prometheus-client)."""
        return self.run_dir / "metrics"

    @property
    def spool_root(self) -> Path:
        """The folder with one subfolder per spool; must be on a local disk."""
        return self.settings.spool.directory or self.data_dir / "spool"

    def spool_dir(self, process: str) -> Path:
        """The spool of a process, for instance `receiver-0` or `query-0`."""
        return self.spool_root / process

    @property
    def packs_dir(self) -> Path | None:
        """The folder of the packs; None: storage.packs_dir must be set first."""
        return self.settings.packs_dir

    @cached_property
    def secrets(self) -> SecretFiles:
        """The keys of this installation."""
        return SecretFiles(self.settings.secrets_dir or self.data_dir / "secrets")

    @property
    def heads_dir(self) -> Path:
        """Signed heads of the ledger, one file a day; keep copies elsewhere."""
        return self.data_dir / "heads"

    def evidence_keys(self) -> "EvidenceKeys":
        """The keys that sign the ledger; created on first use."""
        from storage.ledger.tree.keys import EvidenceKeys  # noqa: PLC0415 - cryptography, 100 ms

        self.secrets.evidence_key()
        return EvidenceKeys(self.secrets.folder)

    @cached_property
    def account(self) -> Account | None:
        """The account of the bundled servers; None: our own."""
        if not (self.has_own_postgres or self.has_own_valkey):
            return None
        return account_for(self.settings.run_as)

    @property
    def has_own_postgres(self) -> bool:
        """Whether opslog runs the bundled PostgreSQL."""
        return self.settings.database_url is None

    @property
    def has_own_valkey(self) -> bool:
        """Whether opslog runs the bundled Valkey."""
        return self.settings.redis_url is None

    @cached_property
    def servers(self) -> Path:
        """The folder with the bundled servers' homes."""
        return servers_home(self.data_dir, self.account)

    @cached_property
    def postgres(self) -> EmbeddedPostgres:
        """The bundled PostgreSQL, whether it runs or not."""
        return EmbeddedPostgres(
            self.servers / "postgres",
            self.secrets.postgres_password(),
            account=self.account,
            shelf=self.servers / "programs",
        )

    @cached_property
    def valkey(self) -> EmbeddedValkey:
        """The bundled Valkey, whether it runs or not."""
        return EmbeddedValkey(
            self.servers / "valkey",
            self.secrets.valkey_password(),
            account=self.account,
            shelf=self.servers / "programs",
        )

    def database_dsn(self) -> str:
        """The DSN of the database, with its password."""
        if self.settings.database_url is not None:
            return self.settings.database_url.get_secret_value()
        return self.postgres.dsn

    def redis_url(self) -> str:
        """The URL of Redis or Valkey, with its password."""
        if self.settings.redis_url is not None:
            return self.settings.redis_url.get_secret_value()
        return self.valkey.url

    @property
    def receiver_names(self) -> list[str]:
        """`receiver-0` and so on: half of the cores by default; PostgreSQL gets the other half."""
        count = self.settings.otlp.receivers or max(1, cores() // 2)
        return [f"receiver-{number}" for number in range(count)]

    @property
    def query_names(self) -> list[str]:
        """`query-0` and so on: half of the cores by default."""
        count = self.settings.api.workers or max(1, cores() // 2)
        return [f"query-{number}" for number in range(count)]

    @property
    def query_state(self) -> Path:
        """What the query processes share (query/auth/shared_state.py)."""
        return self.run_dir / "query-state"

    @property
    def packer_names(self) -> list[str]:
        """`packer-0` and so on; none where nothing can be packed."""
        if self.packs_dir is None:
            return []
        return [f"packer-{number}" for number in range(self.settings.storage.pack_workers)]

    @property
    def process_names(self) -> list[str]:
        """Our own processes under `opslog up`, each with a health socket."""
        return [
            *self.receiver_names,
            *self.query_names,
            "worker",
            *self.packer_names,
            "scheduler",
        ]

    def health_socket(self, process: str) -> Path:
        """The health socket of a process (opslog/wiring/health.py)."""
        name = f"{process}.sock"
        return socket_folder(self.data_dir, name, None) / name

    def running(self) -> Running | None:
        """The `opslog up` running on this data directory, once it has opened its ports."""
        try:
            found: dict[str, Any] = json.loads((self.run_dir / "opslog.json").read_text("utf-8"))
            running = Running(**found)
            os.kill(running.pid, 0)
        except (OSError, ValueError, TypeError):
            return None
        return running

    def note_running(self, running: Running | None) -> None:
        """Publish where opslog is running; None: remove the entry."""
        path = self.run_dir / "opslog.json"
        if running is None:
            path.unlink(missing_ok=True)
            return
        fresh = path.with_suffix(".new")
        values = {name: getattr(running, name) for name in Running.__slots__}
        fresh.write_text(json.dumps(values), encoding="utf-8")
        fresh.replace(path)


def is_listening(path: Path) -> bool:
    """Whether a process is listening on a Unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        try:
            line.connect(str(path))
        except OSError:
            return False
    return True
