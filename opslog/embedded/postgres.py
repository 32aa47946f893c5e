"""The bundled PostgreSQL: its cluster is created atomically and always started in a clean state.

    home/                 owned by us
      opslog.conf         written before each start (postgres_conf.py)
      local.conf          the operator's settings, read after it, never changed
      password.sha256     hash of the cluster's password
      data/  run/         owned by the account that runs the server (0700)

We own the home, so that the server's account cannot place links where we write as root.
"""

import hashlib
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from config.errors import SetupError
from opslog.embedded.postgres_conf import HBA, LOCAL_CONF, conf_text, first_conf
from opslog.embedded.programs import postgres_programs, reachable
from opslog.embedded.server import Progress, make_folder, socket_folder, sync_folder
from opslog.system.processes import Account, Command, end_leftovers

USER = "opslog"
DATABASE = "opslog"
_SOCKET = ".s.PGSQL.5432"
_STATUS_LINE = 7
"""Of postmaster.pid (PostgreSQL's miscadmin.h, LOCK_FILE_LINE_PM_STATUS, counted from 0)."""
_QUIT_PATIENCE_S = 10.0
"""An immediate shutdown kills what is left of its backends after 5 s itself."""


class EmbeddedPostgres:
    """One cluster with one database and one superuser, reached by a Unix socket only."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": open transactions are rolled back, then a checkpoint
    quick_signal = signal.SIGQUIT  # "immediate": recovery at the next start

    def __init__(
        self,
        home: Path,
        password: str,
        *,
        account: Account | None = None,
        shelf: Path | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> None:
        """`extra` are settings that override ours; `shelf` holds copies of programs (0755)."""
        self.home = home
        self._password = password
        self._account = account
        self._shelf = shelf or home / "programs"
        self._extra = dict(extra or {})
        self._data = home / "data"
        self._prefix: Path | None = None

    @property
    def dsn(self) -> str:
        """The DSN for asyncpg and libpq; contains the password."""
        folder = socket_folder(self.home, _SOCKET, self._account)
        return f"postgresql://{USER}:{quote(self._password)}@/{DATABASE}?host={quote(str(folder))}"

    @property
    def socket(self) -> Path:
        """The Unix socket; it exists while the server runs."""
        return socket_folder(self.home, _SOCKET, self._account) / _SOCKET

    def prepare(self, report: Progress) -> None:
        """End leftover processes, write the configuration, create a missing cluster.

        Raises SetupError when the data folder contains something else.
        """
        make_folder(self.home, owner=None, mode=0o711 if self._account else 0o700)
        self.end_leftovers(report)
        self._remove_lock_files()
        self._write_conf()
        if not self._has_cluster():
            self._make_cluster(report)
        self._update_password()

    def command(self) -> Command:
        """The postmaster in the foreground, its log on standard error."""
        return self._command(self._data, self.name, self._program("postgres"), "-D", self._data)

    def is_ready(self, pid: int) -> bool:
        """As `pg_ctl` does: check the status that the postmaster writes to its lock file."""
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        if len(lines) <= _STATUS_LINE or lines[0].strip() != str(pid):
            return False
        return lines[_STATUS_LINE].strip() == "ready"

    def _write_conf(self) -> None:
        mode = 0o644 if self._account else 0o600
        ours, local = self.home / "opslog.conf", self.home / "local.conf"
        ours.write_text(conf_text(self.socket.parent, self._extra), encoding="utf-8")
        ours.chmod(mode)
        if not local.exists():
            local.write_text(LOCAL_CONF, encoding="utf-8")
            local.chmod(mode)

    def _has_cluster(self) -> bool:
        if (self._data / "PG_VERSION").is_file():
            return True
        if self._data.exists() and any(self._data.iterdir()):
            raise SetupError(
                f"{self._data} contains files but no PostgreSQL cluster; opslog creates clusters "
                "atomically, so these files are not its own: move them away"
            )
        return False

    def _make_cluster(self, report: Progress) -> None:
        """Run `initdb` in a temporary folder, and rename that when it is complete and on disk."""
        report("creating a new PostgreSQL cluster")
        half = self.home / "data.half"
        if half.exists():  # an earlier attempt was killed, perhaps just now
            for program in ("initdb", "postgres"):
                end_leftovers(half, program, signal.SIGKILL, _QUIT_PATIENCE_S)
            shutil.rmtree(half)
        make_folder(half, owner=self._account)
        password_file = self._password_file()
        try:
            self._run(half, self._program("initdb"), "-D", half, *_initdb(password_file))
        finally:
            password_file.unlink(missing_ok=True)
        self._write_as_account(half / "postgresql.conf", first_conf())
        self._write_as_account(half / "pg_hba.conf", HBA)
        self._single(half, f"CREATE DATABASE {DATABASE}")
        self._note_password()
        if self._data.exists():
            self._data.rmdir()  # empty, see _has_cluster
        half.rename(self._data)
        sync_folder(self.home)

    def _password_file(self) -> Path:
        """A password file in our folder, readable for the account that runs initdb."""
        path = self.home / "password.initdb"
        path.unlink(missing_ok=True)
        self._write_as_account(path, self._password + "\n")
        return path

    def _write_as_account(self, path: Path, text: str) -> None:
        """Write through a new name, so that no link is followed."""
        fresh = path.with_name(path.name + ".new")
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if self._account:
                os.fchown(file.fileno(), self._account.uid, self._account.gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def _update_password(self) -> None:
        """Set the cluster's password to a secret that was regenerated."""
        note = self.home / "password.sha256"
        if not note.exists() or note.read_text().strip() != self._password_mark():
            self._single(self._data, f"ALTER ROLE {USER} PASSWORD '{self._password}'")
            self._note_password()

    def _note_password(self) -> None:
        self._write_as_account(self.home / "password.sha256", self._password_mark())

    def _password_mark(self) -> str:
        return hashlib.sha256(self._password.encode()).hexdigest()

    def end_leftovers(self, report: Progress) -> None:
        """End backends of a killed postmaster, which live on while they are busy."""
        ended = end_leftovers(self._data, "postgres", self.quick_signal, _QUIT_PATIENCE_S)
        if ended:
            report(f"ended {ended} leftover PostgreSQL processes")

    def _remove_lock_files(self) -> None:
        """Remove stale lock files; no process uses the data folder.

        Their PID may now belong to another process of the same account (always so in containers),
        which PostgreSQL would take for a running postmaster.
        """
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        for name in (_SOCKET, f"{_SOCKET}.lock"):
            (self.socket.parent / name).unlink(missing_ok=True)

    def _single(self, data: Path, statement: str) -> None:
        """Run one statement in single-user mode: needs no password and no running server."""
        postgres = self._program("postgres")
        self._run(data, postgres, "--single", "-j", "-D", data, "postgres", stdin=statement)

    def _run(self, data: Path, *program: str | Path, stdin: str = "") -> None:
        """Run a program to completion; raises SetupError with its output if it fails."""
        command = self._command(data, Path(program[0]).name, *program)
        done = subprocess.run(  # noqa: S603 - our own programs
            command.arguments(),
            env=dict(command.environment),
            input=stdin + "\n\n",
            capture_output=True,
            text=True,
            check=False,
        )
        output = (done.stderr or done.stdout).strip()
        if done.returncode != 0 or "ERROR:" in output or "FATAL:" in output:
            raise SetupError(f"{Path(program[0]).name} failed ({done.returncode}): {output}")

    def _command(self, folder: Path, name: str, *program: str | Path) -> Command:
        return Command(
            name=name,
            program=tuple(map(str, program)),
            folder=folder,
            environment={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            account=self._account,
            death_signal=self.quick_signal,  # also ends its backends; SIGKILL would not
        )

    def _program(self, name: str) -> Path:
        if self._prefix is None:
            prefix = postgres_programs()
            witness = prefix / "bin" / "postgres"
            self._prefix = reachable(prefix, witness, self._shelf, self._account)
        return self._prefix / "bin" / name


def _initdb(password_file: Path) -> tuple[str, ...]:
    """Checksums detect corrupt pages; the builtin locale sorts the same on every system."""
    return (
        f"--username={USER}",
        f"--pwfile={password_file}",
        "--auth=scram-sha-256",
        "--data-checksums",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--text-search-config=simple",
    )
