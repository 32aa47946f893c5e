"""The bundled Valkey: private, durable, ends with its parent."""

import signal

import pytest
import redis

from opslog.embedded.server import running
from opslog.embedded.valkey import EmbeddedValkey


@pytest.fixture
def server(home, account, shelf) -> EmbeddedValkey:
    """Valkey in the test's folder."""
    return EmbeddedValkey(home / "valkey", "pass-word_1", account=account, shelf=shelf)


def test_it_has_no_port_and_requires_the_password(server):
    """A Unix socket in a private folder, and a password."""
    with running(server):
        with redis.Redis.from_url(server.url) as client:
            assert client.config_get("port")["port"] == "0"
            assert client.config_get("appendonly")["appendonly"] == "yes"
        with (
            redis.Redis(unix_socket_path=str(server.socket)) as unauthenticated,
            pytest.raises(redis.AuthenticationError),
        ):
            unauthenticated.ping()
        assert (server.socket.parent.stat().st_mode & 0o777) == 0o700


def test_what_was_queued_is_there_after_a_kill(server):
    """The append-only file is read at the next start."""
    with running(server) as process:
        with redis.Redis.from_url(server.url) as client:
            client.rpush("jobs", "seal", "expire")
            client.wait(0, 0)
            client.config_set("appendfsync", "always")
            client.rpush("jobs", "verify")
        process.send_signal(signal.SIGKILL)
        process.wait()

    with running(server), redis.Redis.from_url(server.url) as client:
        assert client.lrange("jobs", 0, -1) == [b"seal", b"expire", b"verify"]


def test_a_killed_server_is_not_taken_for_a_ready_one(server):
    """Its socket file remains, but no process is listening."""
    with running(server) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert server.socket.exists()
        assert not server.is_ready(process.pid)


def test_paths_with_blanks_and_quotes_work(home, account, shelf):
    """Configuration files have their own quoting."""
    folder = home / 'a "b" \\c'
    folder.mkdir()
    folder.chmod(0o711)
    server = EmbeddedValkey(folder / "valkey", "pw", account=account, shelf=shelf)

    with running(server), redis.Redis(unix_socket_path=str(server.socket), password="pw") as client:
        assert client.ping()
