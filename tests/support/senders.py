"""Senders that number their records and record which were acknowledged.

Each record carries (run, client, n); what a sender has read a 200 for is in `acknowledged`. A
request without a response, or with 429 or 503, is sent again as it is, as OTLP requires of clients.
"""

import gzip
import http.client
import random
import threading
import time
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

RETRIED = {429, 502, 503, 504}


def text(key: str, value: str) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(string_value=value))


def number(key: str, value: int) -> KeyValue:
    return KeyValue(key=key, value=AnyValue(int_value=value))


def numbered_body(run: str, client: int, first: int, count: int) -> bytes:
    """`count` records numbered from `first`, each with a time of its own, of several levels."""
    request = ExportLogsServiceRequest()
    resource = request.resource_logs.add()
    resource.resource.attributes.append(text("service.name", run))
    scope = resource.scope_logs.add()
    now = time.time_ns()
    for n in range(first, first + count):
        scope.log_records.add(
            time_unix_nano=now + n,
            severity_number=(5, 9, 13, 17, 21)[n % 5],
            body=AnyValue(string_value=f"record {n} of client {client}"),
            attributes=[
                number("load.client", client),
                number("load.n", n),
                text("user.id", f"u-{n % 97}"),
            ],
        )
    return request.SerializeToString()


@dataclass
class Senders:
    """Several concurrent clients, until stopped."""

    url: str
    run: str
    clients: int = 4
    batch: int = 50
    pause_s: float = 0.005
    compress: bool = False
    resend: float = 0.0
    """Share of the requests that are repeated although the response was 200."""
    headers: dict[str, str] = field(default_factory=dict)
    acknowledged: set[tuple[int, int]] = field(default_factory=set)
    statuses: dict[int | str, int] = field(default_factory=dict)
    latencies_s: list[float] = field(default_factory=list)
    sent: dict[int, int] = field(default_factory=dict)
    """Client to the number that follows the last one it has sent."""
    accepted: list[tuple[float, float]] = field(default_factory=list)
    """Start and end of each request with a 200 response (time.monotonic)."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._threads = [
            threading.Thread(target=self._send, args=(client,), daemon=True)
            for client in range(self.clients)
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop and wait for every sender; idempotent."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def accepted_after(self, moment_s: float) -> float | None:
        """When the first request started after `moment_s` got a 200 response, if any."""
        with self._lock:
            return min((end for began, end in self.accepted if began > moment_s), default=None)

    def _send(self, client: int) -> None:
        first = 0
        while not self._stop.is_set():
            body = numbered_body(self.run, client, first, self.batch)
            self.sent[client] = first + self.batch
            data = gzip.compress(body, 1) if self.compress else body
            if not self._until_acknowledged(data):
                return
            with self._lock:
                self.acknowledged |= {(client, n) for n in range(first, first + self.batch)}
            if random.random() < self.resend:
                self._until_acknowledged(data)
            first += self.batch
            self._stop.wait(self.pause_s)

    def _until_acknowledged(self, data: bytes) -> bool:
        """Whether it was acknowledged; False if stopped before."""
        while True:
            began = time.monotonic()
            status = self._post(data)
            with self._lock:
                self.statuses[status] = self.statuses.get(status, 0) + 1
                ended = time.monotonic()
                self.latencies_s.append(ended - began)
                if status == 200:
                    self.accepted.append((began, ended))
            if status == 200:
                return True
            assert isinstance(status, str) or status in RETRIED, status
            if self._stop.wait(0.05):
                return False

    def _post(self, data: bytes) -> int | str:
        place = urlsplit(self.url)
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=15)
        headers = {"Content-Type": "application/x-protobuf", **self.headers}
        if self.compress:
            headers["Content-Encoding"] = "gzip"
        try:
            connection.request("POST", "/v1/logs", data, headers)
            with connection.getresponse() as response:
                response.read()
                return response.status
        except (OSError, http.client.HTTPException) as error:
            return type(error).__name__
        finally:
            connection.close()


def check_exactly_once(senders: Senders, rows: list[tuple[int, int]]) -> None:
    """Every acknowledged record is stored, none is stored twice."""
    stored = set(rows)
    lost = senders.acknowledged - stored
    assert not lost, f"{len(lost)} acknowledged records are not stored, e.g. {sorted(lost)[:5]}"
    assert len(rows) == len(stored), f"{len(rows) - len(stored)} records are stored twice"
