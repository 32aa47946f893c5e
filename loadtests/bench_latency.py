"""Latency of a single record: until its 200, and from there until the API finds it.

    python -m loadtests.bench_latency [--repeats 100]

Starts a fresh opslog. First records are sent back to back, then each after a pause of 50 ms, in which
writer, database and an API query evict the CPU caches. The minimum for a durable 200 is one fdatasync of
the spool's disk, so that is measured in the same run, on the same folder, alternating with the requests.
A request is written to a bare socket, like the load tool does: Python's HTTP client takes longer than
opslog.
"""

import argparse
import http.client
import os
import socket
import statistics
import sys
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from loadtests.shop import shop_request
from tests.support.product import Product

PAUSE_S = 0.05
WARM_UP = 20
Measurements = dict[str, float]
"""Seconds by name."""


def main() -> int:
    """Measure and print; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=100)
    repeats = parser.parse_args().repeats
    with Product.running() as product:
        token = product.token("ADMIN")
        place, api = urlsplit(product.otlp_url), urlsplit(product.api_url)
        sender = socket.create_connection((place.hostname, place.port), 10)
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = http.client.HTTPConnection(api.hostname or "", api.port, timeout=10)

        def found(trace_id: str) -> bool:
            reader.request(
                "GET",
                f"/api/v1/logs?traceId={trace_id}&limit=1",
                headers={"Authorization": f"Bearer {token}"},
            )
            return b'"id"' in reader.getresponse().read()

        for n in range(WARM_UP):  # caches, connections, the service's name
            one(product, sender, n)
        row = [one(product, sender, WARM_UP + n) for n in range(repeats)]
        apart = [one(product, sender, WARM_UP + repeats + n, found) for n in range(repeats)]
    held = [report("back to back", row), report("each after a pause", apart)]
    print("within limits" if all(held) else "LIMIT EXCEEDED")
    return 0 if all(held) else 1


def report(name: str, measured: list[Measurements]) -> bool:
    """Print median and maximum; return whether they are within the limits."""
    print(f"{name}:")
    medians = {}
    for step in measured[0]:
        values = [one_of[step] * 1000 for one_of in measured]
        medians[step] = statistics.median(values)
        print(f"  {step:10} p50 {medians[step]:7.2f} ms   max {max(values):7.2f} ms")
    more = medians["response"] - medians["fdatasync"]
    print(f"  response minus fdatasync: {more:.2f} ms (at most 1)")
    return more <= 1 and medians.get("visible", 0) <= 50


def acknowledge_s(
    sender: socket.socket, body: bytes, content_type: str = "application/x-protobuf"
) -> float:
    """Measure from the first byte of a request to the last of its 200, in seconds."""
    head = (
        f"POST /v1/logs HTTP/1.1\r\nHost: opslog\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    began = time.perf_counter()
    sender.sendall(request)
    response = sender.recv(65_536)
    while (end := response.find(b"\r\n\r\n")) < 0 or len(response) < end + 4 + length_in(response):
        response += sender.recv(65_536)
    took_s = time.perf_counter() - began
    if not response.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"the response was {response.decode(errors='replace')}")
    return took_s


def length_in(head: bytes) -> int:
    """Return the Content-Length of a header."""
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])


def one(
    product: Product,
    sender: socket.socket,
    number: int,
    found: Callable[[str], bool] | None = None,
) -> Measurements:
    """Measure one fdatasync and one 200; with `found` after a pause, and until the record is found.

    The records are of one service, like those of a sender; each has its own trace.
    """
    if found is not None:
        time.sleep(PAUSE_S)
    body = shop_request("alone", number, 1, time.time_ns())
    measurements = {"fdatasync": fdatasync_s(product), "response": acknowledge_s(sender, body)}
    if found is not None:
        acknowledged = time.perf_counter()
        sent = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0]
        trace_id = sent.log_records[0].trace_id.hex()
        while not found(trace_id):
            pass
        measurements["visible"] = time.perf_counter() - acknowledged
    return measurements


def fdatasync_s(product: Product) -> float:
    """Measure a durable append of 1,000 bytes to a file beside the spool, in seconds."""
    path = product.data_dir / "spool" / "probe"
    with path.open("ab", buffering=0) as file:
        began = time.perf_counter()
        file.write(b"x" * 1000)
        os.fdatasync(file.fileno())
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
