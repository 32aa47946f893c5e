"""Monitoring during a load: memory of all processes, and the latency of single records."""

import asyncio
import json
import os
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from tests.support.product import Product

_PAUSE_S = 0.1
_POLL_S = 0.002
_LOST_S = 10.0
_IS_VISIBLE = "SELECT 1 FROM system_logs WHERE trace_id = $1::uuid LIMIT 1"


@dataclass
class Memory:
    """The highest value seen."""

    peak_bytes: int = 0


@contextmanager
def watch_memory(product: Product) -> Iterator[Memory]:
    """Sample the private memory of all processes twice a second."""
    assert product.process is not None
    memory, stop = Memory(), threading.Event()

    def sample() -> None:
        while not stop.wait(0.5):
            pids = [product.process.pid, *product.pids()]
            memory.peak_bytes = max(memory.peak_bytes, private_pss_bytes(pids))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield memory
    finally:
        stop.set()
        thread.join()


def private_pss_bytes(pids: list[int]) -> int:
    """Sum the PSS of processes without shared memory (PostgreSQL's buffers), from smaps_rollup."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        sizes = dict(line.split(":", 1) for line in text.splitlines()[1:])
        total += (_kib(sizes["Pss"]) - _kib(sizes["Pss_Shmem"])) * 1024
    return total


def _kib(text: str) -> int:
    return int(text.split(maxsplit=1)[0])


@dataclass
class Visible:
    """Send single records and measure the time from the 200 until the row is visible."""

    product: Product
    took_ms: list[float] = field(default_factory=list)

    def percentile(self, share: float) -> float | None:
        """Return milliseconds from 200 to visible; None without measurements."""
        ordered = sorted(self.took_ms)
        return (
            round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 1) if ordered else None
        )

    @contextmanager
    def running(self) -> Iterator[None]:
        """Measure in a thread."""
        stop = threading.Event()
        thread = threading.Thread(target=lambda: asyncio.run(self._watch(stop)), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    async def _watch(self, stop: threading.Event) -> None:
        connection = await asyncpg.connect(self.product.installation.database_dsn())
        try:
            while not stop.is_set():
                trace = os.urandom(16).hex()
                await asyncio.to_thread(self._send, trace)
                began = time.perf_counter()
                while not await connection.fetchval(_IS_VISIBLE, trace):
                    if time.perf_counter() - began > _LOST_S:
                        break
                    await asyncio.sleep(_POLL_S)
                self.took_ms.append((time.perf_counter() - began) * 1e3)
                await asyncio.sleep(_PAUSE_S)
        finally:
            await connection.close()

    def _send(self, trace: str) -> None:
        record = {"traceId": trace, "spanId": "01" * 8, "severityNumber": 9,
                  "timeUnixNano": str(time.time_ns()), "body": {"stringValue": "probe"}}  # fmt: skip
        name = {"key": "service.name", "value": {"stringValue": "probe"}}
        body = {"resourceLogs": [{"resource": {"attributes": [name]},
                                  "scopeLogs": [{"logRecords": [record]}]}]}  # fmt: skip
        request = urllib.request.Request(  # noqa: S310 - loopback
            f"{self.product.otlp_url}/v1/logs",
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=20) as response:  # noqa: S310 - loopback
            response.read()
