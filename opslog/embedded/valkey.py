"""The bundled Valkey, for the job queue: append-only file, no TCP port."""

import os
import signal
import socket
from pathlib import Path
from urllib.parse import quote

from opslog.embedded.programs import reachable, valkey_program
from opslog.embedded.server import Progress, make_folder, socket_folder
from opslog.system.processes import Account, Command, end_leftovers

_SOCKET = "valkey.sock"
_STOP_PATIENCE_S = 5.0
_PROBE_S = 0.5


class EmbeddedValkey:
    """One server with one database, reached by a Unix socket and with a password.

    The password is needed because write access to the queue controls when retention runs, and the
    account of the server may be shared with other programs (`nobody`).
    """

    name = "valkey"
    stop_signal = signal.SIGTERM
    quick_signal = signal.SIGTERM  # it only has to write the end of the append-only file

    def __init__(
        self,
        home: Path,
        password: str,
        *,
        account: Account | None = None,
        shelf: Path | None = None,
    ) -> None:
        """`shelf` holds a copy of the program if the account cannot read the wheel's."""
        self.home = home
        self._password = password
        self._account = account
        self._shelf = shelf or home / "programs"
        self._data = home / "data"
        self._conf = home / "valkey.conf"

    @property
    def url(self) -> str:
        """The URL for redis-py and RQ; contains the password."""
        return f"unix://:{quote(self._password)}@{quote(str(self.socket))}?db=0"

    @property
    def socket(self) -> Path:
        """The Unix socket; it exists while the server runs."""
        return socket_folder(self.home, _SOCKET, self._account) / _SOCKET

    def prepare(self, report: Progress) -> None:
        """Create the folders, end leftover processes, write the configuration."""
        make_folder(self.home, owner=None, mode=0o711 if self._account else 0o700)
        make_folder(self._data, owner=self._account)
        self.end_leftovers(report)
        self.socket.unlink(missing_ok=True)
        self._write_conf()

    def end_leftovers(self, report: Progress) -> None:
        """End a leftover server, or the file rewrite that a killed one had started."""
        ended = end_leftovers(self._data, "valkey", self.quick_signal, _STOP_PATIENCE_S)
        if ended:
            report(f"ended {ended} leftover Valkey processes")

    def command(self) -> Command:
        """The server in the foreground, its log on standard output."""
        program = valkey_program()
        server = reachable(program, program, self._shelf, self._account)
        return Command(
            name=self.name,
            program=(str(server), str(self._conf)),
            folder=self._data,
            environment={"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"},
            account=self._account,
            death_signal=self.quick_signal,  # also ends a running rewrite; SIGKILL would not
        )

    def is_ready(self, pid: int) -> bool:  # noqa: ARG002 - one socket, one server: see prepare
        """Whether it replies PONG; while loading its file it replies LOADING."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(_PROBE_S)
                line.connect(str(self.socket))
                line.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                reply = b""
                while reply.count(b"\r\n") < 2:  # one line per command
                    part = line.recv(256)
                    if not part:
                        return False
                    reply += part
        except OSError:
            return False
        return reply.endswith(b"+PONG\r\n")

    def _write_conf(self) -> None:
        values = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "requirepass": self._password,
            "dir": str(self._data),
            "daemonize": "no",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "logfile": "",
            "loglevel": "warning",
        }
        text = "".join(f"{name} {_quoted(value)}\n" for name, value in values.items())
        self._conf.unlink(missing_ok=True)
        handle = os.open(self._conf, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if self._account:
                os.fchown(file.fileno(), self._account.uid, self._account.gid)
            file.write(text)


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
