"""The bundled PostgreSQL: its cluster is made whole or not at all, and always started clean.

    home/                 ours
      opslog.conf         written before each start (postgres_conf.py)
      local.conf          the operator's, read after it, never touched
      password.sha256     which password the cluster has
      data/  run/         the account's that runs the server (0700)

The home stays ours, so that the server's account cannot put links where we write as root.
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
        """`extra` are settings that win over ours; `shelf` takes copies of programs (0755)."""
        self.home = home
        self._password = password
        self._account = account
        self._shelf = shelf or home / "programs"
        self._extra = dict(extra or {})
        self._data = home / "data"
        self._prefix: Path | None = None

    @property
    def dsn(self) -> str:
        """Where asyncpg and libpq find the database; holds the password."""
        folder = socket_folder(self.home, _SOCKET, self._account)
        return f"postgresql://{USER}:{quote(self._password)}@/{DATABASE}?host={quote(str(folder))}"

    @property
    def socket(self) -> Path:
        """The Unix socket, there while the server runs."""
        return socket_folder(self.home, _SOCKET, self._account) / _SOCKET

    def prepare(self, report: Progress) -> None:
        """Makes the cluster when there is none, ends leftovers, writes the configuration.

        Raises SetupError when the data folder holds something else.
        """
        make_folder(self.home, owner=None, mode=0o711 if self._account else 0o700)
        self.end_leftovers(report)
        self._forget_last_run()
        self._write_conf()
        if not self._has_cluster():
            self._make_cluster(report)
        self._follow_password()

    def command(self) -> Command:
        """The postmaster in the foreground, its log on standard error."""
        return self._command(self._data, self.name, self._program("postgres"), "-D", self._data)

    def is_ready(self, pid: int) -> bool:
        """What `pg_ctl` asks as well: the status that the postmaster writes into its lock file."""
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
                f"{self._data} holds files but no PostgreSQL cluster; opslog makes a cluster "
                "whole or not at all, so these are not its own: move them away"
            )
        return False

    def _make_cluster(self, report: Progress) -> None:
        """`initdb` beside its final place, moved there when all is done and on disk."""
        report("making a new PostgreSQL cluster")
        half = self.home / "data.half"
        if half.exists():  # an earlier attempt was killed, perhaps a moment ago
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
        """In our folder, but readable for the account that runs initdb."""
        path = self.home / "password.initdb"
        path.unlink(missing_ok=True)
        self._write_as_account(path, self._password + "\n")
        return path

    def _write_as_account(self, path: Path, text: str) -> None:
        """Through a name that did not exist, so that no link is followed."""
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

    def _follow_password(self) -> None:
        """When the secret was lost and made anew, the cluster takes the new one."""
        note = self.home / "password.sha256"
        if not note.exists() or note.read_text().strip() != self._password_mark():
            self._single(self._data, f"ALTER ROLE {USER} PASSWORD '{self._password}'")
            self._note_password()

    def _note_password(self) -> None:
        self._write_as_account(self.home / "password.sha256", self._password_mark())

    def _password_mark(self) -> str:
        return hashlib.sha256(self._password.encode()).hexdigest()

    def end_leftovers(self, report: Progress) -> None:
        """Backends can outlive a postmaster that was killed, for as long as they are busy."""
        ended = end_leftovers(self._data, "postgres", self.quick_signal, _QUIT_PATIENCE_S)
        if ended:
            report(f"ended {ended} PostgreSQL processes that had been left behind")

    def _forget_last_run(self) -> None:
        """Nothing works in the data folder, so what the lock files say is no longer true.

        They must go, since the number in them may by now be that of another process of the same
        account (always so in containers), which PostgreSQL would take for a living postmaster.
        """
        (self._data / "postmaster.pid").unlink(missing_ok=True)
        for name in (_SOCKET, f"{_SOCKET}.lock"):
            (self.socket.parent / name).unlink(missing_ok=True)

    def _single(self, data: Path, statement: str) -> None:
        """One statement in single-user mode: needs no password and no running server."""
        postgres = self._program("postgres")
        self._run(data, postgres, "--single", "-j", "-D", data, "postgres", stdin=statement)

    def _run(self, data: Path, *program: str | Path, stdin: str = "") -> None:
        """Runs a program of the installation to its end; SetupError with its words if it fails."""
        command = self._command(data, Path(program[0]).name, *program)
        done = subprocess.run(  # noqa: S603 - our own programs
            command.arguments(),
            env=dict(command.environment),
            input=stdin + "\n\n",
            capture_output=True,
            text=True,
            check=False,
        )
        words = (done.stderr or done.stdout).strip()
        if done.returncode != 0 or "ERROR:" in words or "FATAL:" in words:
            raise SetupError(f"{Path(program[0]).name} failed ({done.returncode}): {words}")

    def _command(self, folder: Path, name: str, *program: str | Path) -> Command:
        return Command(
            name=name,
            program=tuple(map(str, program)),
            folder=folder,
            environment={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            account=self._account,
            death_signal=self.quick_signal,  # takes its backends along; SIGKILL would not
        )

    def _program(self, name: str) -> Path:
        if self._prefix is None:
            prefix = postgres_programs()
            witness = prefix / "bin" / "postgres"
            self._prefix = reachable(prefix, witness, self._shelf, self._account)
        return self._prefix / "bin" / name


def _initdb(password_file: Path) -> tuple[str, ...]:
    """Checksums find a decayed page; the builtin locale sorts alike on every system, for ever."""
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
