"""Damage on disk, in the spool and in the database: reported, bounded, without further effects.

F20 to F22, F33 of the fault list with the whole product; every byte and every kind of damage to a
spool file: tests/unit/storage/spool/test_spool.py.
"""

import json
import random
from pathlib import Path

import pytest

from storage.spool.files import FILE_HEADER_BYTES, spool_files
from storage.spool.frame import read_head
from tests.support.faults import balance_of, judge, more, settle
from tests.support.product import Product
from tests.support.senders import Senders

pytestmark = pytest.mark.slow


def spoil(path, chance):
    """Flip a bit in the rows of one frame of a spool file; returns its number of rows."""
    content = bytearray(path.read_bytes())
    frames, at = [], FILE_HEADER_BYTES
    while at < len(content):
        frames.append((at, read_head(bytes(content), at)))
        at += frames[-1][1].size
    at, head = chance.choice(frames)
    content[at + head.size - chance.randrange(5, 200)] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return head.rows


def rows_of(path):
    """The rows of all frames of a valid spool file."""
    content, at, rows = path.read_bytes(), FILE_HEADER_BYTES, 0
    while at < len(content):
        head = read_head(content, at)
        at, rows = at + head.size, rows + head.rows
    return rows


def test_a_damaged_spool_loses_only_the_damaged_frames_and_reports_them(durable_postgres):
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with Product.running(
        OPSLOG_DATABASE_URL=durable_postgres.dsn, OPSLOG_SPOOL__FILE_BYTES="262144"
    ) as product:
        with Senders(product.otlp_url, "damage", clients=4, batch=20) as senders:
            more(product, senders)
            durable_postgres.stop()
            more(product, senders, 8000)
        product.kill_all()
        folder = product.data_dir / "spool" / "receiver-0"
        files = [path for _, path in spool_files(folder)]
        assert len(files) > 6
        *spoiled, taken_away = chance.sample(files[1:-1], 4)
        expected = sum(spoil(path, chance) for path in spoiled) + rows_of(taken_away)
        taken_away.unlink()
        (folder / "9999999990.spool").write_bytes(b"")
        (folder / "9999999991.spool").write_bytes(bytes(5000))
        (folder / "9999999992.spool").write_bytes(chance.randbytes(5000))
        durable_postgres.start()
        product.start()

        verdict = judge(product, senders, within_s=20)

        assert (verdict.lost, verdict.twice, verdict.unsent) == (expected, 0, 0), verdict
        assert verdict.differences == []
        spools = {spool.spool: spool for spool in balance_of(product).spools}
        assert spools["receiver-0"].quarantined_rows == expected
        status, _, said = product.request("/readyz")
        assert status == 200
        assert f"with {expected} known rows are in" in said.decode()
        reported = product.wait(lambda: corrupt_rows(product), 30)
        assert sum(reported) == expected
        with Senders(product.otlp_url, "after", clients=4) as after:
            more(product, after)
        settle(product, after)


def corrupt_rows(product):
    """Damaged rows according to the ledger, once all are entered."""
    entries = product.sql("SELECT body FROM ledger WHERE kind = 'corrupt'")
    rows = [json.loads(body)["rows"] for (body,) in entries]
    return rows if len([each for each in rows if each]) == 4 else []


def test_a_damaged_page_of_the_database_is_reported_and_stops_nothing_else():
    with Product.running() as product:
        with Senders(product.otlp_url, "page", clients=4) as senders:
            more(product, senders, 3000)
        settle(product, senders)
        (segment,) = product.sql(
            "SELECT segment FROM segments WHERE class = 'warn' AND state = 'open'"
        )[0]
        data, path = product.sql(
            "SELECT current_setting('data_directory'),"
            f" pg_relation_filepath('system_logs_s{segment}')"
        )[0]
        assert product.stop() == 0
        with (Path(data) / path).open("r+b") as file:
            file.seek(8192 - 300)
            byte = file.read(1)
            file.seek(8192 - 300)
            file.write(bytes([byte[0] ^ 0x10]))
        product.start()

        with Senders(product.otlp_url, "beside", clients=4) as beside:
            more(product, beside, 1000)

        token = {"Authorization": f"Bearer {product.token('ADMIN')}"}
        status, _, said = product.request(
            "/api/v1/logs?level=WARN&sourceModule=page", headers=token
        )
        assert status >= 500
        assert json.loads(said)["requestId"]
        assert product.get("/api/v1/logs?level=ERROR&sourceModule=page")["data"]
        for command in (("verify",), ("ledger", "check")):
            reported = product.run(*command)
            assert reported.returncode not in {0, 2}, command
            assert f"segment {segment}" in reported.stdout + reported.stderr, (command, reported)
