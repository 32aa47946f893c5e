"""One record alone: how long until its 200, and from there until the API finds it.

    python -m loadtests.bench_latency [--repeats 20]

Starts a fresh opslog. The floor of an honest 200 is one fdatasync of the spool's disk, so that is
measured in the same run, on the same folder, in turn with the requests. The request is one piece of
bytes on a bare socket, as the load tool sends it: Python's HTTP client takes longer than opslog does.
"""

import argparse
import http.client
import os
import socket
import statistics
import sys
import time
from urllib.parse import urlsplit

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from loadtests.shop import shop_request
from tests.support.product import Product


def main() -> int:
    """Measure and print; the exit code says whether the promises were held."""
    wish = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    wish.add_argument("--repeats", type=int, default=20)
    repeats = wish.parse_args().repeats
    with Product.running() as product:
        token = product.token("ADMIN")
        place, api = urlsplit(product.otlp_url), urlsplit(product.api_url)
        sender = socket.create_connection((place.hostname, place.port), 10)
        sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reader = http.client.HTTPConnection(api.hostname or "", api.port, timeout=10)
        figures: dict[str, list[float]] = {"fdatasync": [], "answer": [], "visible": []}
        for n in range(-5, repeats):  # the first ones warm caches and connections
            measured = one(product, sender, reader, token, n % 1000)
            if n >= 0:
                for name, value in measured.items():
                    figures[name].append(value * 1000)
            time.sleep(0.05)
    for name, values in figures.items():
        print(f"{name:10} p50 {statistics.median(values):7.2f} ms   max {max(values):7.2f} ms")
    medians = {name: statistics.median(values) for name, values in figures.items()}
    print(f"answer minus fdatasync: {medians['answer'] - medians['fdatasync']:.2f} ms (at most 1)")
    held = medians["answer"] <= medians["fdatasync"] + 1 and medians["visible"] <= 50
    print("held" if held else "not held")
    return 0 if held else 1


def answered_s(sender: socket.socket, body: bytes) -> float:
    """Seconds from the first byte of a request to the last of its 200."""
    head = (
        "POST /v1/logs HTTP/1.1\r\nHost: opslog\r\nContent-Type: application/x-protobuf\r\n"
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
    reader: http.client.HTTPConnection,
    token: str,
    number: int,
) -> dict[str, float]:
    """Seconds of one fdatasync, one 200, and one record's way to the API.

    The records are of one service, as those of a sender are; each has a trace of its own.
    """
    synced = fdatasync_s(product)
    body = shop_request("alone", number, 1, time.time_ns())
    sent = ExportLogsServiceRequest.FromString(body).resource_logs[0].scope_logs[0].log_records[0]
    answer_s = answered_s(sender, body)
    acknowledged = time.perf_counter()
    headers = {"Authorization": f"Bearer {token}"}
    while True:
        reader.request(
            "GET", f"/api/v1/logs?traceId={sent.trace_id.hex()}&limit=1", headers=headers
        )
        if b'"id"' in reader.getresponse().read():
            break
    return {
        "fdatasync": synced,
        "answer": answer_s,
        "visible": time.perf_counter() - acknowledged,
    }


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
