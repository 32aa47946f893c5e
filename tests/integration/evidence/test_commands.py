"""The commands ledger, verify and dead-letters; and every wrong counter is found."""

import asyncio
import json
import os
import subprocess
import sys
import time
from datetime import timedelta
from uuid import UUID

import asyncpg
import pytest
from typer.testing import CliRunner

from config.errors import BadInput
from opslog.__main__ import app
from storage.ledger.accounting.balance import balance, minutes
from storage.ledger.accounting.checks import check, check_when_due, newest_check
from storage.ledger.proof import NoProof, NotSignedYet, proof_of
from storage.spool import files
from storage.spool.files import Damage, quarantine
from storage.spool.frame import encode_frame
from storage.writing import replaying
from tests.support.evidence import open_store
from tests.support.records import make_frame, make_record


@pytest.fixture
def opslog(tmp_path, database, monkeypatch):
    """Runs a command on the test's own installation."""
    monkeypatch.setenv("OPSLOG_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OPSLOG_DATABASE_URL", database.dsn)

    async def run(*arguments, exit_code=0):
        result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
        assert result.exit_code == exit_code, (result.output, result.exception)
        return result.stdout

    return run


def timed(**fields):
    """A record whose id begins with its time, as created by the mapping."""
    now_ns = time.time_ns()
    identity = (now_ns // 1_000_000).to_bytes(6, "big") + os.urandom(10)
    return make_record(id=identity, created_unix_ns=now_ns, **fields)


def frames():
    return [
        make_frame(
            [timed(level=1 + n % 2, source_module=f"m{n % 3}") for n in range(30)],
            received=33,
            rejected={"bad_value": 3},
        ),
        make_frame([timed(), timed(source_module="x" * 51), timed()]),
    ]


async def superuser(database, *statements):
    conn = await asyncpg.connect(database.dsn)
    for text in statements:
        await conn.execute(text)
    await conn.close()


async def test_received_records_are_accounted_for(store, opslog):
    await store.send(*frames())

    report = json.loads(await opslog("ledger", "check", "--json"))
    assert report["counters"] == {
        "received": 36,
        "derived": 0,
        "stored": 32,
        "duplicate": 0,
        "dead": 1,
        "rejected": 3,
    }
    assert (report["rows"], report["segments"], report["differences"]) == (32, 2, [])
    assert report["spools"] == [
        {"spool": "receiver-0", "requests": 0, "rows": 0, "quarantined": 0, "quarantined_rows": 0}
    ]
    assert (await opslog("ledger", "check")).splitlines()[-1] == "balanced"


async def test_the_contents_of_a_spool_are_reported(tmp_path, database, writer_pool, opslog):
    async with open_store(tmp_path, database, writer_pool) as store:
        await store.send(frames()[0])
        await superuser(database, "ALTER TABLE ingest_batches RENAME TO elsewhere")
        for _ in range(2):
            await store.spool.append(make_frame([make_record()]))
    await superuser(database, "ALTER TABLE elsewhere RENAME TO ingest_batches")
    spool = tmp_path / "spool" / "receiver-0"
    damage = Damage(30, 5, "the frame's rows do not match their checksum", torn=False)
    quarantine(spool, files.spool_files(spool)[0][1], damage, 7)
    (spool / "00000000000000000099.spool").touch()

    (report,) = json.loads(await opslog("ledger", "check", "--json"))["spools"]
    assert report == {
        "spool": "receiver-0", "requests": 2, "rows": 2, "quarantined": 1, "quarantined_rows": 7
    }  # fmt: skip
    assert "1 damaged frames (7 rows) quarantined" in await opslog("ledger", "check")


@pytest.mark.parametrize(
    ("change", "report"),
    [
        ("DELETE FROM {leaf} WHERE position = 1", "rows, but"),
        ("UPDATE ingest_parts SET rows = rows + 1 WHERE segment = {segment}", "its batches"),
        ("UPDATE log_counts SET rows = rows + 1 WHERE segment = {segment}", "per minute"),
        ("UPDATE log_counts_hourly SET rows = rows + 1 WHERE segment = {segment}", "per hour"),
        ("UPDATE segments SET rows = 5 WHERE segment = {segment}", "in the catalogue"),
        ("UPDATE ingest_batches SET received = received + 1", "arrived"),
        ("UPDATE ingest_minutes SET received = received + 1 WHERE source_module = 'm1'", "'m1'"),
    ],
)
async def test_differences_are_reported_with_exit_code_1(store, opslog, database, change, report):
    await store.send(*frames())
    segment = await store.value(
        "SELECT segment FROM segments WHERE class = 'warn' AND state = 'open'"
    )
    leaf = f"system_logs_s{segment}"
    await superuser(
        database,
        f"ALTER TABLE {leaf} DISABLE TRIGGER ALL",
        change.format(leaf=leaf, segment=segment),
    )

    lines = (await opslog("ledger", "check", exit_code=1)).splitlines()

    assert report in "\n".join(lines)
    assert lines[-1] == "NOT balanced"


async def test_minutes_between_two_moments(store, reader_pool):
    from datetime import UTC, datetime, timedelta

    await store.send(*frames())
    now = datetime.now(UTC)
    async with reader_pool.acquire() as connection:
        rows = await minutes(connection, now - timedelta(hours=1), now + timedelta(hours=1), 100)
        found = await balance(connection)

    assert sum(row["received"] for row in rows) == 36
    assert {row["reason"] for row in rows} == {"", "bad_value"}
    assert found.spools == []


async def test_verify_key_export_and_the_file_alone(store, opslog, tmp_path, database):
    await store.send(frames()[0])

    assert "integrity: holds" in await opslog("verify")
    assert "integrity: holds" in await opslog("verify", "--quick")
    key = (await opslog("ledger", "key")).strip()
    assert key == await store.public()
    segment = await store.value(
        "SELECT segment FROM segments WHERE class = 'warn' AND state = 'open'"
    )
    out, alone = tmp_path / "out.jsonl", tmp_path / "alone.py"
    await opslog("ledger", "export", str(out), "--segment", str(segment))
    alone.write_text(await opslog("ledger", "verifier"), "utf-8")
    done = subprocess.run(
        [sys.executable, "-I", str(alone), str(out), "--key", key],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert "is not in this export" not in done.stderr
    assert "are not in this export" in done.stdout
    await superuser(database, "UPDATE ingest_batches SET received = 7")
    assert "was changed" in await opslog("verify", exit_code=1)
    await opslog("verify", "--key", "nonsense", exit_code=3)


async def test_an_empty_ledger(opslog):
    assert await opslog("ledger", "key", exit_code=1) == ""


async def test_a_proof_of_one_record_and_what_it_does_not_prove(
    store, opslog, tmp_path, reader_pool
):
    frame = frames()[0]
    await store.send(frame, frames()[1])
    row = await store.pool.fetchrow("SELECT id FROM system_logs WHERE level = 'WARN' LIMIT 1")
    key = await store.public()
    origin = key.partition("+")[0]
    from storage.ledger.entries import enter
    from storage.ledger.verify import main

    async with store.pool.acquire() as connection:
        await enter(connection, "key_rotate", store.keys.make_next(origin))
    await store.sequenced()
    path = tmp_path / "proof.json"
    async with reader_pool.acquire() as connection:
        proof = await proof_of(connection, row["id"])

    def verdict(**changed):
        path.write_text(json.dumps({"proof": [{**proof, **changed}]}), "utf-8")
        return main([str(path), "--key", key])

    assert verdict() == 0
    assert verdict(head=proof["head"].replace("time ", "time 1")) == 1
    assert verdict(leaves=proof["leaves"].replace(proof["leaves"][:4], "AAAA", 1)) == 1
    assert verdict(row=proof["row"][:-8] + "AAAAAAAA") == 1
    assert verdict(path=proof["path"][1:]) == 1
    assert verdict(before="00" * 32) == 1
    assert verdict(rotations=[]) == 1
    assert verdict(entry="x") == 3


async def test_proofs_that_are_not_available(store, reader_pool, opslog, database):
    await store.send(*frames())
    ids = [
        row["id"]
        for row in await store.pool.fetch("SELECT id FROM system_logs WHERE level = 'INFO'")
    ]
    async with reader_pool.acquire() as connection:
        assert await proof_of(connection, UUID(int=1 << 80)) is None
        for wanted in ids:  # those of the batch with a dead letter, too
            assert await proof_of(connection, wanted)
        leaf = await store.value(
            "SELECT segment FROM segments WHERE class = 'info' AND state = 'open'"
        )
        await superuser(
            database,
            f"ALTER TABLE system_logs_s{leaf} DISABLE TRIGGER ALL",
            f"UPDATE system_logs_s{leaf} SET message = 'x'",
        )
        with pytest.raises(NoProof):
            await proof_of(connection, ids[0])
        await superuser(
            database, "ALTER TABLE ledger DISABLE TRIGGER ALL", "DELETE FROM ledger WHERE seq > 0"
        )
        with pytest.raises(NotSignedYet):
            await proof_of(connection, ids[0])
    await opslog("ledger", "proof", str(UUID(int=1 << 80)), exit_code=1)
    await opslog("ledger", "proof", "nonsense", exit_code=2)


async def test_the_key_is_rotated_by_a_command(store, opslog):
    await store.send(frames()[0])
    old = await store.public()

    new = (await opslog("ledger", "rotate")).strip()
    await store.sequenced()

    assert await store.public() == new != old
    assert "integrity: holds" in await opslog("verify")
    assert "integrity: holds" in await opslog("verify", "--key", old)


async def test_a_restoration_is_recorded_by_a_command(store, opslog):
    await store.send(frames()[0])

    await opslog("ledger", "restored", "--reason", "none", exit_code=1)


async def test_dead_letters_are_listed_shown_discarded(store, opslog):
    await store.send(frames()[1])

    (line,) = (await opslog("dead-letters", "list")).splitlines()
    assert "22001" in line
    shown = json.loads(await opslog("dead-letters", "show", "1"))
    assert shown["row"]["source_module"] == "x" * 51
    assert shown["row"]["created_at"].endswith("+00:00")
    assert "rejected again" in await _stderr(opslog, "dead-letters", "replay", "1")
    await opslog("dead-letters", "discard", "1", "--reason", "a test of ours")
    await store.sequenced()

    assert await opslog("dead-letters", "list") == ""
    kinds = [row["kind"] for row in await store.pool.fetch("SELECT kind FROM ledger ORDER BY seq")]
    assert kinds == ["genesis", "data", "dead_letter"]
    assert "balanced" in await opslog("ledger", "check")
    assert "integrity: holds" in await opslog("verify")


async def _stderr(opslog, *arguments):
    result = await asyncio.to_thread(CliRunner().invoke, app, list(arguments))
    assert result.exit_code == 1
    return result.output


async def test_dead_letters_are_stored_after_a_fix(store, opslog, database):
    odd = make_record(source_module="y" * 51, created_unix_ns=1, odd_time=True, duration_ns=5)
    odd.ip_address = b"\x7f\0\0\1"
    await store.send(make_frame([make_record(source_module="x" * 51), odd]))
    await superuser(
        database,
        "ALTER TABLE system_logs ALTER COLUMN source_module TYPE varchar(60)",
        "ALTER TABLE log_counts ALTER COLUMN source_module TYPE varchar(60)",
        "ALTER TABLE log_counts_hourly ALTER COLUMN source_module TYPE varchar(60)",
    )
    assert '"127.0.0.1"' in await opslog("dead-letters", "show", "2")

    await opslog("dead-letters", "replay")
    await store.sequenced()

    report = json.loads(await opslog("ledger", "check", "--json"))
    assert report["differences"] == []
    assert (report["counters"]["stored"], report["counters"]["dead"]) == (2, 0)
    assert report["rows"] == 2
    assert "integrity: holds" in await opslog("verify")
    assert await store.value("SELECT count(*) FROM dead_letters WHERE state = 'replayed'") == 2


async def test_dead_letters_that_cannot_be_changed(store):
    await store.send(frames()[1])
    async with store.pool.acquire() as connection:
        with pytest.raises(BadInput, match="no dead letter 9"):
            await replaying.contents(connection, 9)
        with pytest.raises(BadInput, match="a reason is required"):
            await replaying.discard(connection, 1, by="x", reason=" ")
        await replaying.discard(connection, 1, by="x", reason="y")
        with pytest.raises(BadInput, match="is no longer waiting"):
            await replaying.replay(connection, 1, by="x")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(replaying, "SELF_CONTAINED", 7)
            with pytest.raises(BadInput, match="encoding 1"):
                await replaying.replay(connection, 1, by="x")


async def test_a_replay_that_fails_for_another_reason_changes_nothing(store, database):
    await store.send(frames()[1])
    await superuser(database, "ALTER TABLE ingest_minutes RENAME TO elsewhere")
    async with store.pool.acquire() as connection:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("storage.writing.replaying.part_of", _fitting)
            with pytest.raises(asyncpg.UndefinedTableError):
                await replaying.replay(connection, 1, by="x")

    assert await store.value("SELECT state FROM dead_letters") == "waiting"


def _fitting(letter, batch_id, *, _original=replaying.part_of):
    row = letter["row_bytes"].replace(b"\0\0\0\x33" + b"x" * 51, b"\0\0\0\x01x")
    return _original({**dict(letter), "row_bytes": row}, batch_id)


async def test_damage_in_a_spool_is_in_the_ledger_once_and_a_known_gap(
    tmp_path, database, writer_pool, opslog
):
    async with open_store(tmp_path, database, writer_pool) as store:
        await store.send(make_frame([timed()]))
    spool = tmp_path / "spool" / "receiver-0"
    spoiled = bytearray(b"".join(encode_frame(make_frame([make_record(), make_record()]))))
    spoiled[-20] ^= 1
    (spool / "0000000077.spool").write_bytes(files.file_header(77, 0) + spoiled)
    for _ in range(2):  # the second one finds it reported
        async with open_store(tmp_path, database, writer_pool) as store:
            await store.send(make_frame([timed()]))

    entries = await writer_pool.fetch("SELECT body FROM ledger WHERE kind = 'corrupt'")
    assert [json.loads(row["body"])["rows"] for row in entries] == [2]
    report = await opslog("verify", exit_code=2)
    assert "(2 rows): the frame's rows do not match their checksum" in report
    assert json.loads(await opslog("ledger", "check", "--json"))["spools"][0]["quarantined"] == 1


async def test_the_hourly_check_stores_and_reports_its_result(store, database, reader_pool, caplog):
    await store.send(*frames())
    async with reader_pool.acquire() as connection:
        assert await newest_check(connection) is None
        await check_when_due(database.dsn, store.folder / "spool")
        await check_when_due(database.dsn, store.folder / "spool")  # not due
        good = await newest_check(connection)
        assert (good.rows, good.segments, good.differences) == (32, 2, ())
        assert good.problem(good.began_at) == ""
        assert "4 h ago" in good.problem(good.began_at + timedelta(hours=4))
        await superuser(database, "UPDATE ingest_batches SET received = received + 1")

        await check(database.dsn, store.folder / "spool")

        bad = await newest_check(connection)
    assert len(bad.differences) == 2
    assert bad.problem(bad.began_at).startswith("2 counters do not match")
    assert "is not balanced: batch" in caplog.text
    assert await reader_pool.fetchval("SELECT count(*) FROM ledger_checks") == 2


async def test_a_segment_dropped_during_the_count_is_not_a_difference(store, monkeypatch):
    await store.send(*frames())
    from storage.ledger.accounting import balance as module

    count, calls = module._count, []

    async def dropped_meanwhile(connection, row, found):
        calls.append(row["segment"])
        if len(calls) == 1:
            raise asyncpg.UndefinedTableError("gone")
        await count(connection, row, found)

    monkeypatch.setattr(module, "_count", dropped_meanwhile)
    async with store.pool.acquire() as connection:
        found = await balance(connection)

    assert (found.segments, found.rows, found.differences) == (2, 32, [])
