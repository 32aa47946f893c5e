"""A sender of the soak test: constant rate, each request retried until it is acknowledged."""

import http.client
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from loadtests.shop import shop_request

RECORDS = 100
_KEPT_LATENCIES = 50_000
_RETRY_S = 0.5
_HEADERS = {"Content-Type": "application/x-protobuf"}


@dataclass
class Sent:
    """The results of a sender."""

    client: int
    acknowledged: int = 0
    """Records, numbered from 0 without a gap."""
    statuses: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    """A uniform sample of the requests."""


def send(url: str, client: int, rate: float, seconds: float) -> Sent:
    """Send `rate` records/s for `seconds`; catch up when late."""
    sent, line = Sent(client), Line(url)
    chance = random.Random(client)
    began_s = time.monotonic()
    requests = 0
    while (due_s := began_s + requests * RECORDS / rate) < began_s + seconds:
        time.sleep(max(due_s - time.monotonic(), 0))
        body = _body(client, requests * RECORDS)
        while True:
            sent_s = time.monotonic()
            status = line.post(body)
            sent.statuses[status] += 1
            if status == "200":
                break
            time.sleep(_RETRY_S)
        _note(sent.latencies_ms, (time.monotonic() - sent_s) * 1000, requests, chance)
        sent.acknowledged += RECORDS
        requests += 1
    return sent


def _body(client: int, first: int) -> bytes:
    raw = shop_request("soak", first, RECORDS, time.time_ns())
    request = ExportLogsServiceRequest.FromString(raw)
    for record in request.resource_logs[0].scope_logs[0].log_records:
        mark = record.attributes.add()
        mark.key, mark.value.int_value = "load.client", client
    return request.SerializeToString()


def _note(kept: list[float], value: float, number: int, chance: random.Random) -> None:
    """Sample with a reservoir, so memory stays flat here as well."""
    if len(kept) < _KEPT_LATENCIES:
        kept.append(value)
    elif (place := chance.randrange(number + 1)) < _KEPT_LATENCIES:
        kept[place] = value


class Line:
    """One keep-alive connection, re-established when lost."""

    def __init__(self, url: str) -> None:
        self._place = urlsplit(url)
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> str:
        """Return the status as text, or the name of the error."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(
                self._place.hostname or "", self._place.port, timeout=15
            )
        try:
            self._connection.request("POST", "/v1/logs", body, _HEADERS)
            response = self._connection.getresponse()
            response.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            self._connection = None
            return type(error).__name__
        return str(response.status)
