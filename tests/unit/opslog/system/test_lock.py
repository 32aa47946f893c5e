"""One opslog per data directory, one owner per port, and messages about conflicts."""

import contextlib
import os
import socket
import subprocess
import sys

import pytest

from config.errors import SetupError
from config.settings import Settings
from opslog.installation.installation import Installation, Running, is_listening
from opslog.system.lock import DataDirBusy, PortTaken, data_dir_lock, listener, url_of


def test_a_second_holder_is_refused_with_the_pid_of_the_first(tmp_path):
    """With the PID and the fix."""
    with (
        data_dir_lock(tmp_path, tmp_path),
        pytest.raises(DataDirBusy, match=rf"is already running on .* \(process {os.getpid()}\)"),
        data_dir_lock(tmp_path, tmp_path),
    ):
        pass

    with data_dir_lock(tmp_path, tmp_path):
        pass


def test_the_lock_is_released_however_its_holder_exits(tmp_path):
    """The kernel releases it."""
    code = (
        "import sys, os, pathlib\n"
        "from opslog.system.lock import data_dir_lock\n"
        "folder = pathlib.Path(sys.argv[1])\n"
        "lock = data_dir_lock(folder, folder); lock.__enter__(); os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)

    with data_dir_lock(tmp_path, tmp_path):
        pass


def test_a_port_in_use_is_reported_with_its_usual_owner_and_the_fix():
    """A Collector usually listens on 4318."""
    with listener("127.0.0.1", 0, "otlp") as first:
        port = first.getsockname()[1]
        with pytest.raises(PortTaken) as caught:
            listener("127.0.0.1", port, "otlp")
    assert str(caught.value) == (
        f"port {port} on 127.0.0.1 is in use by another program; "
        "choose another one with OPSLOG_OTLP__PORT"
    )


def test_the_collector_is_named_for_its_port():
    """Whether we or another program use it here."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(PortTaken):
            stack.enter_context(listener("127.0.0.1", 4318, "otlp"))
        with pytest.raises(PortTaken, match="OpenTelemetry Collector"):
            listener("127.0.0.1", 4318, "otlp")


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("no such host", "which is not a valid address"),
        ("203.0.113.1", "cannot listen on 203.0.113.1"),
    ],
)
def test_foreign_addresses_are_reported(host, said):
    """A name that does not resolve, an address of another machine."""
    with pytest.raises(SetupError, match=said):
        listener(host, 0, "api")


def test_connections_wait_before_anybody_accepts():
    """So that requests made while a receiver starts are not refused."""
    with listener("127.0.0.1", 0, "otlp") as sock, socket.create_connection(sock.getsockname()):
        pass


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("127.0.0.1", "http://127.0.0.1:"),
        ("0.0.0.0", "http://127.0.0.1:"),
        ("::1", "http://[::1]:"),
    ],
)
def test_addresses_are_shown_as_people_type_them(host, shown):
    """A wildcard address becomes this machine's."""
    with listener(host, 0, "api") as sock:
        assert url_of(sock, tls=False).startswith(shown)
        assert url_of(sock, tls=True).startswith(shown.replace("http", "https"))


def test_a_running_opslog_is_found_and_a_dead_one_is_not(tmp_path):
    """run/opslog.json has its addresses."""
    installation = Installation(Settings(data_dir=tmp_path / "d"))
    installation.make_folders()
    me = Running(os.getpid(), "http://127.0.0.1:1", "http://127.0.0.1:2")

    assert installation.running() is None
    installation.note_running(me)
    assert installation.running() == me
    installation.note_running(Running(2**22 + 5, "a", "b"))
    assert installation.running() is None
    installation.note_running(None)
    assert installation.running() is None


def test_an_address_of_ones_own_replaces_the_bundled_servers(tmp_path):
    """Nothing is created for external servers."""
    settings = Settings(
        data_dir=tmp_path / "d",
        database_url="postgresql://u@h/d",
        redis_url="redis://h/0",
        spool={"directory": tmp_path / "s"},
        secrets_dir=tmp_path / "k",
    )
    installation = Installation(settings)
    installation.make_folders()

    assert installation.database_dsn() == "postgresql://u@h/d"
    assert installation.redis_url() == "redis://h/0"
    assert installation.account is None
    assert installation.spool_dir("query") == tmp_path / "s" / "query"
    assert installation.secrets.folder == tmp_path / "k"
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["log", "run"]


def test_a_data_directory_that_cannot_be_created_is_reported(tmp_path):
    """A file has its name."""
    (tmp_path / "f").write_text("")

    with pytest.raises(SetupError, match=r"cannot create the folder|is not writable"):
        Installation(Settings(data_dir=tmp_path / "f" / "d")).make_folders()


def test_a_socket_without_a_server_is_not_listening(tmp_path):
    """Nor is a path without a socket."""
    assert not is_listening(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        assert not is_listening(tmp_path / "s")
        sock.listen()
        assert is_listening(tmp_path / "s")
