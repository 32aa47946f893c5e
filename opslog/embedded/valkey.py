"""The bundled Valkey: the queue of jobs. Every write in an append-only file, no TCP port."""

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

    A password even so: whoever may write to the queue decides when retention runs, and the account
    that runs the server may be one that others use as well (`nobody`).
    """

    name = "valkey"
    stop_signal = signal.SIGTERM
    quick_signal = signal.SIGTERM  # nothing to write but the end of the append-only file

    def __init__(
        self,
        home: Path,
        password: str,
        *,
        account: Account | None = None,
        shelf: Path | None = None,
    ) -> None:
        """`shelf` takes a copy of the program when the account cannot read the wheel's."""
        self.home = home
        self._password = password
        self._account = account
        self._shelf = shelf or home / "programs"
        self._data = home / "data"
        self._conf = home / "valkey.conf"

    @property
    def url(self) -> str:
        """Where redis-py and RQ find it; holds the password."""
        return f"unix://:{quote(self._password)}@{quote(str(self.socket))}?db=0"

    @property
    def socket(self) -> Path:
        """The Unix socket, there while the server runs."""
        return socket_folder(self.home, _SOCKET, self._account) / _SOCKET

    def prepare(self, report: Progress) -> None:
        """Makes the folders, ends leftovers, writes the configuration."""
        make_folder(self.home, owner=None, mode=0o711 if self._account else 0o700)
        make_folder(self._data, owner=self._account)
        self.end_leftovers(report)
        self.socket.unlink(missing_ok=True)
        self._write_conf()

    def end_leftovers(self, report: Progress) -> None:
        """The server itself, or the rewrite of its file that a killed one had begun."""
        ended = end_leftovers(self._data, "valkey", self.quick_signal, _STOP_PATIENCE_S)
        if ended:
            report(f"ended {ended} Valkey processes that had been left behind")

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
            death_signal=self.quick_signal,  # takes a running rewrite along; SIGKILL would not
        )

    def is_ready(self, pid: int) -> bool:  # noqa: ARG002 - one socket, one server: see prepare
        """Whether it answers PONG; while it loads its file it answers LOADING."""
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(_PROBE_S)
                line.connect(str(self.socket))
                line.sendall(f"AUTH {self._password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:  # one line per command
                    part = line.recv(256)
                    if not part:
                        return False
                    answer += part
        except OSError:
            return False
        return answer.endswith(b"+PONG\r\n")

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
