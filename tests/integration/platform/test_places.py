"""Accounts, folders and sockets of the servers."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
import redis

from config.errors import SetupError
from config.settings import Settings
from opslog.embedded import homes
from opslog.embedded.postgres import EmbeddedPostgres
from opslog.embedded.server import running, socket_folder
from opslog.embedded.valkey import EmbeddedValkey
from opslog.installation.installation import Installation
from opslog.system.processes import account_for
from tests.integration.platform.test_postgres import fetch_value

ROOT = Path(__file__).parents[3]


def test_a_path_that_is_too_long_for_a_socket_gets_a_short_folder(home, account, shelf, small):
    """A socket's path has at most 107 bytes."""
    deep = home / ("x" * 100)
    deep.mkdir()
    deep.chmod(0o711)
    server = EmbeddedPostgres(deep / "postgres", "pw", account=account, shelf=shelf, extra=small)

    with running(server):
        assert fetch_value(server, "SELECT 1") == [1]
        assert len(os.fsencode(server.socket)) <= 107
        assert (server.socket.parent.stat().st_mode & 0o777) == 0o700
    shutil.rmtree(server.socket.parent)


@pytest.mark.parametrize("name", ["with a blank", "a=b", 'quo"te'])
def test_a_path_that_redis_clients_cannot_read_gets_a_short_folder(home, account, shelf, name):
    """They parse the list of connections, which contains the path."""
    odd = home / name
    odd.mkdir(mode=0o711)
    server = EmbeddedValkey(odd / "valkey", "pw", account=account, shelf=shelf)

    with running(server), redis.Redis.from_url(server.url) as connection:
        assert str(server.socket.parent) in connection.client_info()["addr"]
    shutil.rmtree(server.socket.parent)


def test_a_short_folder_that_somebody_else_made_is_refused(home):
    """An account that can write there could impersonate the server."""
    deep = home / ("y" * 100)
    deep.mkdir()
    short = socket_folder(deep, "s.sock", None)
    short.chmod(0o777)
    try:
        with pytest.raises(SetupError, match="belongs to another account"):
            socket_folder(deep, "s.sock", None)
    finally:
        short.rmdir()


@pytest.mark.usefixtures("only_root")
def test_as_root_a_closed_data_directory_stays_closed(tmp_path, monkeypatch):
    """The servers' files are elsewhere; no permissions change."""
    monkeypatch.setattr(homes, "ELSEWHERE", Path(f"/var/tmp/opslog-test-{os.getpid()}"))
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    before = [(path, path.stat().st_mode) for path in (closed, *closed.parents)]
    installation = Installation(Settings(data_dir=closed / "data"))
    installation.make_folders()
    try:
        with running(installation.postgres):
            assert fetch_value(installation.postgres, "SELECT 1") == [1]
            assert installation.servers.parent == homes.ELSEWHERE

        assert [(path, path.stat().st_mode) for path, _ in before] == before
        assert Installation(installation.settings).servers == installation.servers
        assert homes.abandoned_homes() == []
        shutil.rmtree(closed)
        assert homes.abandoned_homes() == [installation.servers]
    finally:
        shutil.rmtree(homes.ELSEWHERE)


@pytest.mark.usefixtures("only_root")
def test_a_note_of_a_missing_home_is_reported(tmp_path, monkeypatch):
    """Starting with an empty store would look like data loss."""
    monkeypatch.setattr(homes, "ELSEWHERE", Path(f"/var/tmp/opslog-test-{os.getpid()}"))
    tmp_path.chmod(0o700)
    account = account_for("")
    home = homes.servers_home(tmp_path, account)
    shutil.rmtree(homes.ELSEWHERE)

    with pytest.raises(SetupError, match="does not exist: restore it"):
        homes.servers_home(tmp_path, account)
    assert not home.exists()


@pytest.mark.usefixtures("only_root")
@pytest.mark.parametrize(
    ("name", "said"),
    [("root", "which is root"), ("no-such-account", "'no-such-account' does not exist")],
)
def test_unusable_accounts_are_reported(name, said):
    """PostgreSQL refuses root; a name must exist."""
    with pytest.raises(SetupError, match=said):
        account_for(name)


@pytest.mark.usefixtures("only_root")
def test_it_runs_as_an_ordinary_user_too(home, system_python):
    """The command line up to creating a key, without root privileges."""
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv")
    site = sysconfig.get_path("purelib")
    environment = {
        "PATH": "/usr/bin:/bin",
        "HOME": str(home / "user"),
        "PYTHONPATH": f"{ROOT}:{site}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    (home / "user").mkdir()
    shutil.chown(home / "user", 65534, 65534)

    def opslog(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
             system_python, "-m", "opslog", *arguments],
            env=environment, cwd=home / "user", capture_output=True, text=True, check=False,
        )  # fmt: skip

    if "No module named" in opslog("version").stderr:
        pytest.skip("the packages are not for that Python")
    made = opslog("keys", "create", "shop")

    assert made.stdout.startswith("opslog_"), made.stderr
    assert "shop" in opslog("keys", "list").stdout
    data = home / "user" / ".local" / "share" / "opslog"
    assert (data.stat().st_mode & 0o777, data.stat().st_uid) == (0o700, 65534)
    (home / "closed").mkdir(mode=0o700)
    environment["OPSLOG_DATA_DIR"] = str(home / "closed" / "data")
    refused = opslog("token", "--role", "NOC")
    assert refused.returncode == 78
    assert "is not writable for this account" in refused.stderr
