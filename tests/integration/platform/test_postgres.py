"""The bundled PostgreSQL: atomic creation, clean start, end with its parent."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest

from config.errors import SetupError
from opslog.embedded.postgres import EmbeddedPostgres
from opslog.embedded.server import running, silent
from opslog.system.processes import is_alive, leftovers, start
from tests.integration.platform.waiting import until


@pytest.fixture
def make(home, account, shelf, small) -> Callable[..., EmbeddedPostgres]:
    """PostgreSQL in the test's folder."""

    def factory(password: str = "first", **extra: str) -> EmbeddedPostgres:
        return EmbeddedPostgres(
            home / "postgres", password, account=account, shelf=shelf, extra={**small, **extra}
        )

    return factory


def fetch_value(server: EmbeddedPostgres, *statements: str) -> list:
    """The first column of the last statement's rows."""

    async def go() -> list:
        conn = await asyncpg.connect(server.dsn)
        try:
            for statement in statements[:-1]:
                await conn.execute(statement)
            return [row[0] for row in await conn.fetch(statements[-1])]
        finally:
            await conn.close()

    return asyncio.run(go())


def data_of(server: EmbeddedPostgres) -> Path:
    """Its data folder, which is also the working directory of its processes."""
    return server.home / "data"


def test_it_is_private_and_checks_itself(make, home):
    """One socket, a password, checksums, one locale everywhere, every commit on disk."""
    defaults = EmbeddedPostgres(
        home / "postgres", "pw", account=make()._account, shelf=make()._shelf
    )

    with running(defaults):
        values = {
            name: fetch_value(defaults, f"SHOW {name}")[0]
            for name in (
                "listen_addresses",
                "data_checksums",
                "fsync",
                "synchronous_commit",
                "max_locks_per_transaction",
                "wal_compression",
                "TimeZone",
                "idle_in_transaction_session_timeout",
                "server_encoding",
            )
        }
        locale = fetch_value(defaults, "SELECT datlocale FROM pg_database WHERE datname = 'opslog'")
        wrong = fetch_value(defaults, "SELECT name FROM pg_file_settings WHERE error IS NOT NULL")

        assert (defaults.socket.parent.stat().st_mode & 0o777) == 0o700

    assert values == {
        "listen_addresses": "",
        "data_checksums": "on",
        "fsync": "on",
        "synchronous_commit": "on",
        "max_locks_per_transaction": "1024",
        "wal_compression": "off",
        "TimeZone": "UTC",
        "idle_in_transaction_session_timeout": "1min",
        "server_encoding": "UTF8",
    }
    assert locale == ["C.UTF-8"]
    assert wrong == []


def test_a_wrong_password_is_refused(make):
    """Even with access to the socket."""
    server = make()

    with running(server), pytest.raises(asyncpg.InvalidPasswordError):
        fetch_value(make("wrong"), "SELECT 1")


def test_a_lost_password_is_replaced(make):
    """The secret's file was removed: the cluster gets the new password."""
    with running(make("first")) as _:
        pass

    with running(make("second")):
        assert fetch_value(make("second"), "SELECT 1") == [1]


def test_the_operators_own_settings_win_and_stay(make):
    """local.conf is read last and never rewritten."""
    server = make()
    server.prepare(silent)
    (server.home / "local.conf").write_text("work_mem = '7MB'\n")

    with running(server):
        assert fetch_value(server, "SHOW work_mem") == ["7MB"]


def test_a_half_made_cluster_is_made_again(make):
    """Killed in initdb: leftovers are removed."""
    server = make()
    server.home.mkdir(mode=0o711)
    half = server.home / "data.half"
    (half / "base").mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")

    with running(server):
        assert fetch_value(server, "SELECT current_database()") == ["opslog"]
    assert not half.exists()


def test_initdb_killed_at_any_time_leaves_nothing_that_matters(make):
    """The process is killed during creation; the next start succeeds."""
    for delay_s in (0.1, 0.3, 0.6):
        script = "import tests.integration.platform.bundled_postgres as m; m.prepare()"
        maker = subprocess.Popen(
            [sys.executable, "-c", script, str(make().home)], cwd=Path(__file__).parents[3]
        )
        try:
            maker.wait(delay_s + 0.3)
        except subprocess.TimeoutExpired:
            maker.kill()
            maker.wait()

    with running(make()):
        assert fetch_value(make(), "SELECT 1") == [1]


def test_a_folder_with_other_files_is_refused(make):
    """They are never deleted, since they may be user data."""
    server = make()
    data_of(server).mkdir(parents=True)
    (data_of(server) / "photo.jpg").write_bytes(b"x")

    with pytest.raises(SetupError, match="contains files but no PostgreSQL cluster"):
        server.prepare(silent)
    assert (data_of(server) / "photo.jpg").exists()


def test_a_stale_lock_file_that_names_a_living_process_is_no_obstacle(make):
    """In containers PIDs are reused at each start."""
    server = make()
    server.prepare(silent)
    (data_of(server) / "postmaster.pid").write_text(
        f"{os.getpid()}\n{data_of(server)}\n1\n5432\n{server.socket.parent}\n\n 0 0\nready   \n"
    )

    with running(server):
        assert fetch_value(server, "SELECT 1") == [1]


def test_after_a_crash_it_recovers_what_was_committed(make):
    """Killed with a transaction just committed and another one open."""
    server = make(fsync="on", synchronous_commit="on", full_page_writes="on")
    with running(server) as process:
        fetch_value(server, "CREATE TABLE t (n int)", "INSERT INTO t VALUES (7) RETURNING n")
        process.send_signal(signal.SIGQUIT)
        process.wait()

    with running(server):
        assert fetch_value(server, "SELECT n FROM t") == [7]


def test_a_start_that_fails_says_why(make):
    """The last lines of its log are in the error."""
    make().prepare(silent)
    (make().home / "local.conf").write_text("shared_buffers = '1kB'\n")

    with pytest.raises(SetupError, match="shared_buffers"), running(make()):
        pass


def test_killed_postmaster_leaves_a_busy_backend_which_the_next_start_ends(make):
    """A backend in a long computation does not notice it."""
    server = make()
    server.prepare(silent)
    process = start(server.command(), output=subprocess.DEVNULL)
    until(lambda: server.is_ready(process.pid))
    busy = psql_loop(server)
    until(lambda: b"busy" in cmdlines(data_of(server)))
    process.kill()
    process.wait()
    left = leftovers(data_of(server), "postgres")

    with running(server):
        assert fetch_value(server, "SELECT 1") == [1]

    assert left
    assert not any(is_alive(pid) for pid in left)
    busy.wait(10)


def test_nothing_outlives_a_starter_that_was_killed(make):
    """Kill -9 of the parent: postmaster and busy backends are gone within seconds."""
    server = make()
    script = "import tests.integration.platform.bundled_postgres as m; m.serve()"
    parent = subprocess.Popen(
        [sys.executable, "-c", script, str(server.home)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
    )
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"ready\n"
    busy = psql_loop(server)
    until(lambda: b"busy" in cmdlines(data_of(server)))
    pids = leftovers(data_of(server), "postgres")

    parent.kill()
    parent.wait()

    assert len(pids) > 3
    until(lambda: not any(is_alive(pid) for pid in pids), 15)
    busy.wait(10)
    parent.stdout.close()


def psql_loop(server: EmbeddedPostgres) -> subprocess.Popen:
    """A client whose backend computes without ever looking up."""
    code = (
        "import asyncio, asyncpg, sys\n"
        "async def go():\n"
        "    conn = await asyncpg.connect(sys.argv[1], server_settings={'application_name': 'busy'})\n"
        '    await conn.execute("SET client_min_messages = error")\n'
        '    await conn.execute("DO $$ DECLARE n bigint := 0; BEGIN"\n'
        '        " LOOP n := (n + 1) % 1000003; END LOOP; END $$")\n'
        "try:\n"
        "    asyncio.run(go())\n"
        "except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):\n"
        "    pass\n"
    )
    return subprocess.Popen([sys.executable, "-c", code, server.dsn], stderr=subprocess.DEVNULL)


def cmdlines(folder: Path) -> bytes:
    """`busy` when a backend computes: its title shows DO."""
    titles = [Path(f"/proc/{pid}/cmdline").read_bytes() for pid in leftovers(folder, "postgres")]
    return b"busy" if any(title.rstrip(b"\0").endswith(b" DO") for title in titles) else b""
