"""A large backlog after a long outage of PostgreSQL: replayed in bounded memory, during ingest.

F18 of the fault list, in small: the spool is several times what the writer may hold in memory.
"""

import re
import time
from pathlib import Path

import pytest

from config.settings import SpoolSettings
from storage.spool.spool import Spool
from tests.support.databases import run
from tests.support.faults import balance_of, more, settle
from tests.support.product import Product
from tests.support.product_records import count
from tests.support.records import make_frame, make_record
from tests.support.senders import Senders

pytestmark = pytest.mark.slow

MIB = 2**20
SPOOL_BYTES = 160 * MIB
MEMORY_BYTES = 16 * MIB
MOST_GROWTH = 110 * MIB
"""What is held, two transactions on their way, COPY buffers, and room for the allocator."""


async def fill(folder: Path) -> int:
    """Create a spool left by another process; returns its rows."""
    spool = await Spool.open(folder, SpoolSettings(min_free_bytes=0), MIB)
    rows = 0
    while spool.state.used_bytes < SPOOL_BYTES:
        frame = make_frame([make_record(message="x" * 1500) for _ in range(500)])
        await spool.append(frame)
        rows += 500
    await spool._commit.stop()
    spool._lock.release()
    return rows


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024


def test_a_large_spool_is_replayed_in_bounded_memory():
    with Product.running(OPSLOG_WRITER__MEMORY_BYTES=str(MEMORY_BYTES)) as product:
        with Senders(product.otlp_url, "warm", clients=4) as warm:
            more(product, warm, 5000)
        idle = peak_bytes(product.find("receiver-0"))
        assert product.stop() == 0
        rows = run(fill(product.data_dir / "spool" / "receiver-0"))
        began = time.monotonic()
        product.start()
        with Senders(product.otlp_url, "during", clients=4, pause_s=0.05) as during:
            more(product, during)
            product.wait(lambda: stored(product) >= rows, 240)
        print(f"{rows} rows in {time.monotonic() - began:.1f} s, ready before")
        grown = peak_bytes(product.find("receiver-0")) - idle
        settle(product, during)
        assert balance_of(product).counters["stored"] >= rows
        assert grown < MOST_GROWTH, f"{grown / MIB:.0f} MiB more than at rest"


def stored(product):
    return count(product, "checkout")
