"""Packing under load: kills, a stop, and packs that are missing or damaged.

F69 to F74 of the fault list with the whole product; every step of packing, merging, purging and
holding: tests/integration/retention/test_faults.py and test_faults_of_postgres.py.
"""

import os
import re
import signal
import time

import pytest

from tests.faults.rounds import CLEAN, NOT_REACHED, PACK_STAGES, SETTINGS, packs_of, verify
from tests.support.faults import more, settle
from tests.support.product import Product
from tests.support.product_records import numbered
from tests.support.senders import Senders

pytestmark = pytest.mark.long
"""Minutes; run by `make test-faults`."""

STOPS_WITHIN_S = 5.0


def packed(product: Product) -> int:
    """How many segments are packed."""
    return product.sql("SELECT count(*) FROM segments WHERE state = 'packed'")[0][0]


def unfinished(product: Product) -> list[str]:
    """Files of packs that are being written."""
    return [path.name for path in (product.data_dir / "packs").glob("*/*.tmp")]


def test_the_receiver_is_killed_at_every_step_of_packing():
    """Each step takes half a second longer, so that the kills meet all of them."""
    places = ",".join(f"{name}=sleep:0.5" for name in PACK_STAGES if name not in NOT_REACHED)
    with (
        Product.running(OPSLOG_FAILPOINTS=places, **SETTINGS) as product,
        Senders(product.otlp_url, "steps", clients=4, pause_s=0.02, resend=0.1) as senders,
    ):
        more(product, senders, 4000)
        product.wait(lambda: packed(product) > 0, 90)
        for _ in range(8):
            product.kill("receiver-0")
            more(product, senders, 300)
        senders.stop()
        settle(product, senders)
        assert packed(product) > 1


def test_a_packer_is_killed_while_it_writes(product, senders):
    for _ in range(2):
        product.wait(lambda: unfinished(product), 60)
        for pid in product.pids("packer-0"):
            os.kill(pid, signal.SIGKILL)
        more(product, senders, 500)
    senders.stop()
    settle(product, senders)
    assert packs_of(product) == "all packs are intact"
    settle(product, senders)


def test_a_packer_that_is_stopped_ends_soon_and_leaves_nothing(product, senders):
    product.wait(lambda: unfinished(product), 60)
    stopped = product.pids("packer-0")
    began_s = time.monotonic()
    product.kill("packer-0", signal.SIGTERM)
    product.wait(lambda: not set(stopped) & set(product.pids("packer-0")), STOPS_WITHIN_S)
    assert time.monotonic() - began_s < STOPS_WITHIN_S
    senders.stop()
    settle(product, senders)
    assert packs_of(product) == "all packs are intact"


def test_missing_and_damaged_packs_cost_their_rows_and_are_named():
    with Product.running(**SETTINGS) as product:
        with Senders(product.otlp_url, "packs", clients=4, pause_s=0.02) as senders:
            more(product, senders, 12_000)
        settle(product, senders)
        assert verify(product) == CLEAN
        rows = set(numbered(product, "packs"))
        gone, changed, unindexed = product.sql(
            "SELECT DISTINCT ON (class) segment, class FROM segments"
            " WHERE state = 'packed' AND class IN ('error', 'info', 'warn') ORDER BY class, segment"
        )
        paths = {
            segment: product.data_dir / "packs" / name / f"{segment}.parquet"
            for segment, name in (gone, changed, unindexed)
        }
        kept = {segment: path.read_bytes() for segment, path in paths.items()}
        index = paths[unindexed[0]].with_suffix(".idx")
        paths[gone[0]].unlink()
        index.unlink()
        data = bytearray(kept[changed[0]])
        data[len(data) // 3] ^= 4
        rewrite(paths[changed[0]], bytes(data))

        found = product.run("verify")
        assert found.returncode == 1, found
        text = found.stdout
        assert f"completeness, segment {gone[0]}: {paths[gone[0]]}: the file is missing" in text
        assert f"completeness, segment {unindexed[0]}: {index}: the file is missing" in text
        assert f"integrity, segment {changed[0]}: its data file is not the one" in text
        assert f"integrity, segment {changed[0]}: block 0, rows from 0: {paths[changed[0]]}" in text
        assert text.endswith("integrity: FAILED\ncompleteness: FAILED\n")
        for options in ((), ("--full",)):
            checked = product.run("packs", "verify", *options)
            assert checked.returncode == 1
            assert checked.stdout.endswith("3 packs with problems\n")
            assert all(f"segment {number}: " in checked.stdout for number in paths)
        seen = walk(product)
        assert seen["segments"] <= set(paths)
        assert gone[0] in seen["segments"]
        assert seen["records"] < rows

        assert "the same index as before" in product.command("packs", "reindex", str(unindexed[0]))
        refused = product.run("packs", "reindex", str(changed[0]))
        assert refused.returncode == 1
        assert "the file does not match its hash" in refused.stderr
        assert "internal error" not in refused.stderr
        for segment in (gone[0], changed[0]):
            rewrite(paths[segment], kept[segment])
        assert verify(product) == CLEAN
        # A pack that was open is opened again after one more response.
        product.wait(lambda: walk(product) == {"records": rows, "segments": set()}, 30)


def rewrite(path, data: bytes) -> None:
    """Another file in its place, as one that was restored from a backup."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)
    path.chmod(0o440)


def walk(product: Product) -> dict:
    """All records by search, page by page, and the segments that responses name as unreadable."""
    found, segments, cursor = set(), set(), ""
    while True:
        page = product.get(f"/api/v1/logs?sourceModule=packs&limit=1000&start=-1d{cursor}")
        for item in page["data"]:
            attributes = item["metadata"]["attributes"]
            found.add((attributes["load.client"], attributes["load.n"]))
        detail = page.get("partial", {}).get("detail", "")
        segments |= set(map(int, re.findall(r"(\d+) \(\w+\)", detail)))
        if page["nextCursor"] is None:
            return {"records": found, "segments": segments}
        cursor = f"&cursor={page['nextCursor']}"
