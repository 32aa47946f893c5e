"""A commit whose response is lost: the writer checks the result, and stores each record once.

F11 of the fault list.
"""

import random
import socket
import threading
import time
from contextlib import contextmanager, suppress
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.support.faults import more, settle
from tests.support.product import Product
from tests.support.senders import Senders

pytestmark = pytest.mark.slow

_COMMIT = b"COMMIT;"


class LossyProxy:
    """A proxy to PostgreSQL's socket that drops the response to some commits, and the connection.

    The server executes the commit; the client only sees its connection end.
    """

    def __init__(self, target: str, one_in: int, chance: random.Random) -> None:
        self._target, self._one_in, self._chance = target, one_in, chance
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.lost = 0
        self.is_lossy = False
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client) -> None:
        mute = threading.Event()
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(self._target)
            up = threading.Thread(
                target=self._pass_on, args=(client, server, True, mute), daemon=True
            )
            up.start()
            self._pass_on(server, client, False, mute)
            up.join()

    def _pass_on(self, source, sink, is_up, mute) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                is_chosen = is_up and self.is_lossy and _COMMIT in data
                if is_chosen and self._chance.randrange(self._one_in) == 0:
                    mute.set()  # nothing is returned to the client from here on
                    sink.sendall(data)
                    self.lost += 1
                    time.sleep(0.1)  # the server commits
                    break
                if is_up or not mute.is_set():
                    sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@contextmanager
def lossy(dsn: str, chance: random.Random):
    """The proxy, and a DSN that goes through it."""
    parts = urlsplit(dsn)
    folder = parse_qs(parts.query)["host"][0]
    proxy = LossyProxy(f"{folder}/.s.PGSQL.5432", 6, chance)
    login = f"{quote(parts.username or '')}:{quote(parts.password or '')}"
    try:
        yield proxy, f"postgresql://{login}@127.0.0.1:{proxy.port}{parts.path}?sslmode=disable"
    finally:
        proxy.close()


def test_lost_commit_responses_duplicate_nothing(durable_postgres):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    with (
        lossy(durable_postgres.dsn, random.Random(seed)) as (proxy, dsn),
        Product.running(OPSLOG_DATABASE_URL=dsn) as product,
        Senders(product.otlp_url, "lossy", clients=4, pause_s=0.02) as senders,
    ):
        proxy.is_lossy = True
        product.wait(lambda: proxy.lost >= 10, 90)
        proxy.is_lossy = False
        more(product, senders)
        senders.stop()
        assert set(senders.statuses) == {200}
        settle(product, senders)
        assert "integrity: holds" in product.command("verify")
