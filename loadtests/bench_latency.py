"""One record alone: how long until its 200, and from there until the API finds it.

    python -m loadtests.bench_latency [--repeats 100]

Starts a fresh opslog. First records come one after the other, then each after a pause of 50 ms, in
which writer, database and a question to the API have had the processor's caches. The floor of an honest
200 is one fdatasync of the spool's disk, so that is measured in the same run, on the same folder, in
turn with the requests. A request is one piece of bytes on a bare socket, as the load tool sends it:
Python's HTTP client takes longer than opslog does.
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
Figures = dict[str, float]
"""Seconds by name."""


def main() -> int:
    """Measure and print; the exit code says whether the promises were held."""
    wish = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    wish.add_argument("--repeats", type=int, default=100)
    repeats = wish.parse_args().repeats
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
    held = [tell("one after the other", row), tell("each after a pause", apart)]
    print("held" if all(held) else "not held")
    return 0 if all(held) else 1


def tell(name: str, measured: list[Figures]) -> bool:
    """Print medians and worst; whether they are within what is promised."""
    print(f"{name}:")
    medians = {}
    for figure in measured[0]:
        values = [one_of[figure] * 1000 for one_of in measured]
        medians[figure] = statistics.median(values)
        print(f"  {figure:10} p50 {medians[figure]:7.2f} ms   max {max(values):7.2f} ms")
    more = medians["answer"] - medians["fdatasync"]
    print(f"  answer minus fdatasync: {more:.2f} ms (at most 1)")
    return more <= 1 and medians.get("visible", 0) <= 50


def answered_s(
    sender: socket.socket, body: bytes, content_type: str = "application/x-protobuf"
) -> float:
    """Seconds from the first byte of a request to the last of its 200."""
    head = (
        f"POST /v1/logs HTTP/1.1\r\nHost: opslog\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    request = head.encode() + body
    began = time.perf_counter()
    sender.sendall(request)
    answer = sender.recv(65_536)
    while (end := answer.find(b"\r\n\r\n")) < 0 or len(answer) < end + 4 + length_in(answer):
        answer += sender.recv(65_536)
    took_s = time.perf_counter() - began
    if not answer.startswith(b"HTTP/1.1 200 "):
        raise SystemExit(f"the record was answered {answer.decode(errors='replace')}")
    return took_s


def length_in(head: bytes) -> int:
    """What the header says of the body's length."""
    return int(head.lower().partition(b"content-length:")[2].split(b"\r\n", 1)[0])


def one(
    product: Product,
    sender: socket.socket,
    number: int,
    found: Callable[[str], bool] | None = None,
) -> Figures:
    """Seconds of one fdatasync and of one 200; with `found` after a pause, and until it is found.

    The records are of one service, as those of a sender are; each has a trace of its own.
    """
    if found is not None:
        time.sleep(PAUSE_S)
    body = shop_request("alone", number, 1, time.time_ns())
    figures = {"fdatasync": fdatasync_s(product), "answer": answered_s(sender, body)}
    if found is not None:
        acknowledged = time.perf_counter()
        sent = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0]
        trace_id = sent.log_records[0].trace_id.hex()
        while not found(trace_id):
            pass
        figures["visible"] = time.perf_counter() - acknowledged
    return figures


def fdatasync_s(product: Product) -> float:
    """Seconds that appending 1,000 bytes to a file beside the spool takes until it is on disk."""
    path = product.data_dir / "spool" / "probe"
    with path.open("ab", buffering=0) as file:
        began = time.perf_counter()
        file.write(b"x" * 1000)
        os.fdatasync(file.fileno())
        return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
