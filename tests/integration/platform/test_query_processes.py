"""Two query processes behind one port: what one of them began, the other continues."""

import asyncio
import http.client
import json
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from config.settings import SpoolSettings
from storage.spool.batch_ids import BatchIds
from storage.spool.spool import Spool
from tests.support.product import Product
from tests.support.records import make_frame, make_record
from tests.support.senders import numbered_body

pytestmark = pytest.mark.slow

NAMES = ("query-0", "query-1")
SESSION = "/api/v1/session"
VIEWER = {"X-Opslog-Viewer": "1"}


@pytest.fixture(scope="module")
def product():
    """One product for the tests of this file."""
    with Product.running(OPSLOG_API__WORKERS="2") as running:
        yield running


@contextmanager
def only(product, name):
    """Only this query process accepts connections."""
    (other,) = (each for each in NAMES if each != name)
    product.wait(lambda: product.find(name), 60)
    product.kill(other, signal.SIGSTOP)
    try:
        yield
    finally:
        product.kill(other, signal.SIGCONT)


def bearer(product, role="SUPER_ADMIN"):
    return {"Authorization": f"Bearer {product.token(role)}"}


def accesses(product, action):
    """The spools that the audit records of an action went through, in order."""
    return product.sql(
        "SELECT b.spool_id FROM system_logs AS l JOIN ingest_batches AS b USING (batch_id)"
        f" WHERE l.kind = 'a' AND l.action = '{action}' ORDER BY l.created_at"
    )


def test_a_session_of_one_process_is_one_of_the_other_until_its_logout(product):
    with only(product, "query-0"):
        status, headers, _ = product.request(
            SESSION, method="POST", headers={**bearer(product), **VIEWER}
        )
    assert status == 200
    cookie = {"Cookie": headers["Set-Cookie"].partition(";")[0], **VIEWER}

    with only(product, "query-1"):
        assert product.request("/api/v1/logs?limit=1", headers=cookie)[0] == 200
        assert product.request(SESSION, method="DELETE", headers=cookie)[0] == 204
    with only(product, "query-0"):
        assert product.request("/api/v1/logs?limit=1", headers=cookie)[0] == 401


def test_a_purge_is_confirmed_at_the_process_that_did_not_preview_it(product):
    assert product.export(numbered_body("purged", 0, 0, 5))[0] == 200
    product.wait(lambda: len(product.get("/api/v1/logs?sourceModule=purged")["data"]) == 5)
    path = "/api/v1/logs/purge?sourceModule=purged"

    with only(product, "query-0"):
        status, _, body = product.request(path, method="DELETE", headers=bearer(product))
        assert status == 200, body
    token = json.loads(body)["token"]
    with only(product, "query-1"):
        status, _, body = product.request(
            f"{path}&token={token}", method="DELETE", headers=bearer(product)
        )
        assert status in {200, 202}, body
    with only(product, "query-0"):
        status, _, body = product.request(
            f"{path}&token={token}", method="DELETE", headers=bearer(product)
        )
        assert status == 409, body


def test_a_page_continues_at_the_other_process(product):
    assert product.export(numbered_body("paged", 0, 0, 6))[0] == 200
    product.wait(lambda: len(product.get("/api/v1/logs?sourceModule=paged")["data"]) == 6)
    path, cursor, found = "/api/v1/logs?sourceModule=paged&limit=2", "", []

    for name in (*NAMES, *NAMES):
        with only(product, name):
            page = product.get(f"{path}{cursor}")
        found += [item["id"] for item in page["data"]]
        if page["nextCursor"] is None:
            break
        cursor = f"&cursor={page['nextCursor']}"

    assert len(set(found)) == len(found) == 6


class Tail:
    """A live tail, on a connection of its own."""

    def __init__(self, product, role="SUPER_ADMIN"):
        place = urlsplit(product.api_url)
        self._connection = http.client.HTTPConnection(place.hostname, place.port, timeout=30)
        self._connection.request(
            "GET", "/api/v1/logs/tail?sourceModule=followed", headers=bearer(product, role)
        )
        self.response = self._connection.getresponse()

    def message(self):
        while not (line := self.response.readline()).startswith(b"data: "):
            assert line not in {b"", b": \n"}, "ended, or nothing came before the heartbeat"
        return json.loads(line.removeprefix(b"data: "))["message"]

    def close(self):
        self._connection.close()


def test_each_process_serves_its_live_tails_and_their_number_is_limited_over_both(product):
    tails = []
    for name in NAMES:
        with only(product, name):
            tails += [Tail(product) for _ in range(4)]
    assert [tail.response.status for tail in tails] == [200] * 8
    for name in NAMES:
        with only(product, name):
            refused = Tail(product)
            assert refused.response.status == 429
            refused.close()

    assert product.export(numbered_body("followed", 0, 7, 1))[0] == 200
    messages = {tail.message() for tail in tails}
    for tail in tails:
        tail.close()

    assert messages == {"record 7 of client 0"}
    with only(product, "query-0"):
        product.wait(lambda: _opens(product), 30)


def _opens(product):
    tail = Tail(product)
    tail.close()
    return tail.response.status == 200


def test_accesses_of_both_processes_are_audited(product):
    before = len(accesses(product, "logs.patterns"))
    for name in NAMES:
        with only(product, name):
            for _ in range(3):
                product.get("/api/v1/logs/patterns?q=audited")

    product.wait(lambda: len(accesses(product, "logs.patterns")) == before + 6, 30)
    assert len(set(accesses(product, "logs.patterns")[before:])) == 2


def test_connections_are_shared_evenly(product):
    place = urlsplit(product.api_url)
    connections = [http.client.HTTPConnection(place.hostname, place.port) for _ in range(20)]
    sockets = {}
    for connection in connections:
        connection.request("GET", "/livez")
        assert connection.getresponse().read() == b'{"status": "ok"}'
    for name in NAMES:
        sockets[name] = len(_established(product.find(name), place.port))
    for connection in connections:
        connection.close()

    assert sum(sockets.values()) >= 20
    assert min(sockets.values()) >= 5


def _established(pid, port):
    """Inodes of a process's connections at the port."""
    own = {
        item.readlink().name.removeprefix("socket:[").rstrip("]")
        for item in Path(f"/proc/{pid}/fd").iterdir()
        if str(item.readlink()).startswith("socket:")
    }
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[9] for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "01"} & own


def test_readiness_and_metrics_cover_both(product):
    for name in NAMES:
        (other,) = (each for each in NAMES if each != name)
        with only(product, name):
            ready = json.loads(product.request("/readyz")[2])
            assert ready["checks"][other]["state"] == "degraded"  # it is stopped
    product.wait(lambda: json.loads(product.request("/readyz")[2])["status"] == "ok", 30)

    text = product.request("/metrics", headers=bearer(product))[2].decode()
    for name in NAMES:
        assert f'opslog_process_ready{{process="{name}"}} 1.0' in text


def test_doctor_names_the_processes_that_do_not_respond(product):
    product.wait(lambda: "all processes respond" in product.command("doctor", check=False), 30)
    assert "query-0, query-1" in product.command("doctor", check=False)

    socket = product.installation.health_socket("query-1")
    hidden = socket.with_suffix(".hidden")
    socket.rename(hidden)
    try:
        assert "query-1 does not respond" in product.command("doctor", check=False)
    finally:
        hidden.rename(socket)


class Requests(threading.Thread):
    """Requests one after the other until stopped; their statuses."""

    def __init__(self, product):
        super().__init__()
        self._product = product
        self._headers = bearer(product)
        self._stopped = threading.Event()
        self.statuses = []

    def run(self):
        while not self._stopped.is_set():
            self.statuses.append(
                self._product.request("/api/v1/logs?limit=1", headers=self._headers)[0]
            )

    def stop(self):
        self._stopped.set()
        self.join()


def test_a_reload_restarts_them_one_by_one_and_refuses_nothing(product):
    before = [product.find(name) for name in NAMES]
    requests = Requests(product)
    requests.start()
    try:
        said = product.log.read_text().count("the new settings are in force")
        product.process.send_signal(signal.SIGHUP)
        product.wait(
            lambda: product.log.read_text().count("the new settings are in force") > said, 120
        )
    finally:
        requests.stop()

    assert set(requests.statuses) == {200}
    assert not set(before) & {product.find(name) for name in NAMES}


def test_accesses_of_a_killed_process_are_delivered_and_the_other_serves_meanwhile(product):
    before = len(accesses(product, "session.begin"))
    postgres = product.pids("postgres")
    for pid in postgres:
        _signal(pid, signal.SIGSTOP)
    try:
        with only(product, "query-0"):
            killed = product.find("query-0")
            for _ in range(3):
                assert _begins(product)
            _signal(killed, signal.SIGKILL)
        for _ in range(2):
            assert _begins(product)
    finally:
        for pid in postgres:
            _signal(pid, signal.SIGCONT)

    product.wait(lambda: len(accesses(product, "session.begin")) == before + 5, 60)
    product.wait(lambda: product.find("query-0") not in {None, killed}, 30)
    time.sleep(0.5)
    assert len(accesses(product, "session.begin")) == before + 5


def _signal(pid, number):
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _begins(product):
    headers = {**bearer(product), **VIEWER}
    return product.request(SESSION, method="POST", headers=headers)[0] == 200


def test_spools_of_earlier_processes_are_adopted():
    """The only one of the release before, and those above a smaller number."""
    with Product.running(OPSLOG_API__WORKERS="1") as product:
        product.stop()
        for number, name in enumerate(("query", "query-1")):
            asyncio.run(_leave_behind(product.data_dir / "spool" / name, name, 2000 + number))
        product.start()

        product.wait(
            lambda: (
                product.sql(
                    "SELECT message FROM system_logs WHERE source_module = 'old' ORDER BY 1"
                )
                == [("query",), ("query-1",)]
            ),
            60,
        )


async def _leave_behind(folder, message, spool_id):
    spool = await Spool.open(folder, SpoolSettings(min_free_bytes=0), 2**20)
    record = make_record(message=message, source_module="old")
    await spool.append(make_frame([record], ids=BatchIds(spool_id)))
    await spool.close()
