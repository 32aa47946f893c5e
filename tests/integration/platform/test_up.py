"""`opslog up` as a whole: one command, one installation, no leftovers."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import redis
import rq

from opslog.system.processes import is_alive
from tests.integration.platform.waiting import until
from tests.support.faults import more, settle
from tests.support.product import Product
from tests.support.senders import Senders, numbered_body

pytestmark = pytest.mark.slow

MAKEFILE = Path(__file__).parents[3] / "Makefile"


@pytest.fixture(scope="module")
def product():
    """One product for the tests of this file."""
    with Product.running() as running:
        yield running


def second(product: Product, *arguments: str, **settings: str) -> subprocess.CompletedProcess:
    """Run a short command."""
    return subprocess.run(
        [sys.executable, "-P", "-m", "opslog", *arguments],
        env={**product.environment, **settings},
        cwd=product.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_it_says_where_with_what_and_how_to_try(product):
    """The URL with the token in its fragment, the token, and a command that works."""
    until(lambda: "stop    Ctrl-C" in product.log.read_text())
    said = product.log.read_text()

    token = re.search(r"^  token   (\S+)$", said, re.MULTILINE)[1]
    assert f"  viewer  {product.api_url}/#token={token}\n" in said
    line = re.search(r"^  try     (curl .*)$", said, re.MULTILINE)[1]
    response = subprocess.run(line, shell=True, capture_output=True, text=True, check=True)
    assert response.stdout.startswith('{"data":[')
    assert "opslog demo" in said


def test_a_second_one_on_the_same_directory_is_refused(product):
    """With the PID of the first."""
    done = second(product, "up", OPSLOG_OTLP__PORT="0", OPSLOG_API__PORT="0")

    assert done.returncode == 78
    assert f"(process {product.process.pid})" in done.stderr


def test_a_port_in_use_is_refused(product, tmp_path):
    """Before anything is started."""
    tmp_path.chmod(0o711)
    done = second(product, "up", OPSLOG_DATA_DIR=str(tmp_path / "other"))

    assert done.returncode == 78
    assert "is in use by another program" in done.stderr
    assert "OPSLOG_OTLP__PORT" in done.stderr
    assert not (tmp_path / "other" / "postgres").exists()


def test_keys_of_a_running_installation(product):
    """Through the running server."""
    assert second(product, "keys", "create", "live").stdout.startswith("opslog_")
    assert "live" in second(product, "keys", "list").stdout


def test_the_shop_sells_and_its_secrets_are_gone(product):
    """The demo, from the SDK to the database."""
    done = second(product, "demo", "--seconds", "2")

    assert done.returncode == 0, done.stderr
    assert "log records of" in done.stdout
    found = product.get("/api/v1/logs?action=payment.charge&level=DEBUG&limit=1")
    message = found["data"][0]["message"]
    assert "4111" not in message
    assert "correct-horse" not in message


def test_metrics_of_all_processes_are_in_one_place(product):
    """Including the supervisor's."""
    text = second(product, "doctor").stdout
    assert f"opslog is running (process {product.process.pid})" in text


@pytest.mark.parametrize("name", ["valkey", "query", "postgres"])
def test_a_process_that_is_killed_is_started_again(product, name):
    """PostgreSQL and Valkey too; then queries work as before."""
    old = product.kill(name)

    until(lambda: not is_alive(old), 30)
    until(lambda: _pid_of(product, name) not in (0, old), 60)
    until(lambda: _responds(product), 60)


def _pid_of(product: Product, name: str) -> int:
    """0 while there is none."""
    return product.find(name) or 0


def _responds(product: Product) -> bool:
    try:
        return "data" in product.get("/api/v1/logs?limit=1")
    except (OSError, AssertionError):
        return False


def test_kill_9_leaves_nothing_and_the_next_start_works():
    """No process, not even a running job, and no lock; the ports are free again immediately."""
    with Product.running() as product:
        with redis.Redis.from_url(product.installation.redis_url()) as connection:
            queue = rq.Queue("opslog", connection=connection)
            for _ in range(50):  # each is refused soon, by a process of its own
                queue.enqueue("time.sleep", 600)
        until(lambda: len(product.pids("opslog worker")) == 2)
        pids = product.pids()

        product.kill_all()

        assert len(pids) > 10
        assert not any(is_alive(pid) for pid in pids)
        product.start()
        assert product.stop() == 0


def test_with_parent_it_ends_in_order_when_its_parent_is_killed(home):
    """As `make run` starts it: it ends with its terminal, make or script."""
    product = Product(home, {})
    command = [sys.executable, "-P", "-m", "opslog", "up", "--with-parent"]
    with product.log.open("ab") as output:
        parent = subprocess.Popen(
            ["/bin/sh", "-c", '"$@"; true', "sh", *command],
            env=product.environment,
            cwd=product.folder,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    product.process = parent
    until(lambda: "stop    Ctrl-C" in product.log.read_text(), within_s=120)
    pids = product.pids()

    parent.kill()
    parent.wait(10)

    until(lambda: not any(is_alive(pid) for pid in pids), within_s=60)
    assert "SIGTERM: shutting down" in product.log.read_text()
    assert "exec $(BIN)/opslog up --with-parent" in MAKEFILE.read_text()


def test_ctrl_c_is_130_and_leaves_nothing():
    """A clean shutdown; PostgreSQL logs last."""
    with Product.running() as product:
        pids = product.pids()
        process = product.process

        os.kill(process.pid, signal.SIGINT)

        assert process.wait(60) == 130
        product.process = None
        assert not any(is_alive(pid) for pid in pids)
        assert "database system is shut down" in product.log.read_text()
        assert not (product.data_dir / "run" / "opslog.json").exists()


def test_sighup_takes_good_settings_over_and_leaves_broken_ones(tmp_path):
    """F65: nothing is lost or refused meanwhile."""
    file = tmp_path / "opslog.toml"
    file.write_text("")
    with Product.running(OPSLOG_CONFIG=str(file)) as product:

        def hang_up(content: str, then: str) -> None:
            said = product.log.read_text().count(then)
            file.write_text(content)
            product.process.send_signal(signal.SIGHUP)
            until(lambda: product.log.read_text().count(then) > said, 180)

        with Senders(product.otlp_url, "reload", clients=4) as senders:
            more(product, senders, 500)
            hang_up("[otlp\nrequire_key = true", "keeping the current settings")
            assert "opslog.toml" in product.log.read_text()
            hang_up(
                "stop_timeout_s = 9",
                "stop_timeout_s: restart `opslog up` to change this",
            )
            assert product.export(numbered_body("lone", 0, 0, 1))[0] == 200
            hang_up("[api]\nuser_concurrency = 3", "the new settings are in force")
            more(product, senders, 500)
        settle(product, senders)
        hang_up("[otlp]\nrequire_key = true", "the new settings are in force")
        assert (
            "otlp.require_key, api.user_concurrency; restarting processes"
            in product.log.read_text()
        )
        assert product.export(numbered_body("lone", 0, 0, 1))[0] == 401


def test_connections_are_refused_as_soon_as_it_ends():
    """No connection waits in a queue that is never served."""
    with Product.running() as product:
        host, port = product.otlp_url.removeprefix("http://").split(":")
        product.stop()

        with pytest.raises(ConnectionRefusedError), socket.create_connection((host, int(port)), 5):
            pass


def test_own_servers_replace_the_bundled_ones(durable_postgres, valkey):
    """Two settings; no server is started."""
    settings = {"OPSLOG_DATABASE_URL": durable_postgres.dsn, "OPSLOG_REDIS_URL": valkey.url}
    with Product.running(**settings) as product:
        assert product.pids("valkey-server") == []
        assert product.pids("bin/postgres") == []
        assert _responds(product)


def test_a_database_that_is_away_at_the_first_start_is_waited_for(durable_postgres):
    """All processes run; senders have to retry until it is reachable and migrated."""
    durable_postgres.stop()
    with Product.running(OPSLOG_DATABASE_URL=durable_postgres.dsn) as product:
        body = numbered_body("early", 0, 1, 3)
        status, headers, _ = product.export(body)
        durable_postgres.start()

        assert status == 503
        assert int(headers["Retry-After"]) <= 3
        until(lambda: product.export(body)[0] == 200, 90)
        until(lambda: _responds(product) and product.get("/api/v1/logs?limit=9")["data"], 90)
        assert len(product.get("/api/v1/logs?limit=9")["data"]) == 3
