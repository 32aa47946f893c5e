"""Encoding version 2: SQL derives the same nonces, and only those who may see a secret see it."""

import hmac
import os

import asyncpg
import pytest

from storage.ledger.encodings import encodings_of_batches, encodings_of_segments, forget_secrets
from storage.record.nonces import Nonces, class_key
from tests.support.records import as_version_1, make_frame, make_record

POSITIONS = [0, 1, 7, 255, 256, 65_536, 2**31 - 1]


@pytest.mark.parametrize("length", [1, 16, 32, 64])
@pytest.mark.parametrize("message", ["", "info", "Zahlungsabläufe ☃"])
async def test_sql_computes_the_same_hmac(owner_pool, length, message):
    key = os.urandom(length)

    found = await owner_pool.fetchval("SELECT opslog_hmac($1, $2)", key, message.encode())

    assert found == hmac.digest(key, message.encode(), "sha256")


async def test_sql_derives_the_same_nonces(store, reader_pool):
    frame = make_frame([make_record(level=level) for level in (1, 3)])
    await store.send(frame)

    for class_name in ("info", "error"):
        nonces = Nonces(class_key(frame.secret, class_name))
        found = await reader_pool.fetchval(
            "SELECT opslog_row_nonces($1, $2, $3)", frame.batch_id, class_name, POSITIONS
        )
        assert found == [nonces.of(position) for position in POSITIONS]
    assert await reader_pool.fetchval("SELECT opslog_row_nonces(1, 'info', '{1}')") is None


async def test_nobody_but_the_owner_sees_a_secret(store, reader_pool, writer_pool):
    await store.send(make_frame([make_record()]))

    for pool in (reader_pool, writer_pool):
        for table in ("batch_secrets", "batch_keys"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await pool.fetch(f"SELECT * FROM {table}")
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await writer_pool.fetch("SELECT opslog_row_nonces(1, 'info', '{1}')")


async def test_rows_of_both_versions_are_stored_as_they_arrived(store, owner_pool):
    new = make_frame([make_record()])
    old = as_version_1(make_frame([make_record()]))
    await store.send(new, old)

    rows = await owner_pool.fetch(
        "SELECT batch_id, nonce IS NULL AS is_bare, encoding_version, secret"
        "  FROM system_logs JOIN ingest_batches USING (batch_id) LEFT JOIN batch_secrets"
        " USING (batch_id)"
    )

    assert sorted(map(tuple, rows)) == sorted(
        [(new.batch_id, True, 2, new.secret), (old.batch_id, False, 1, None)]
    )


async def test_keys_of_other_classes_replace_a_deleted_secret(store, owner_pool):
    frame = make_frame([make_record(level=level) for level in (0, 1, 3)])
    await store.send(frame)
    segments = [
        row["segment"]
        for row in await owner_pool.fetch("SELECT segment FROM ingest_parts WHERE class = 'error'")
    ]
    async with owner_pool.acquire() as conn:
        await forget_secrets(conn, [frame.batch_id], "info")

        error = await encodings_of_segments(conn, segments)
        info = await encodings_of_batches(conn, [frame.batch_id], "info")

    assert error.rows.keys == {frame.batch_id: class_key(frame.secret, "error")}
    assert (info.versions, info.rows.keys) == ({frame.batch_id: 2}, {})
    assert await owner_pool.fetchval("SELECT count(*) FROM batch_secrets") == 0
    assert await owner_pool.fetchval("SELECT count(*) FROM batch_keys") == 2
    async with owner_pool.acquire() as conn:
        await forget_secrets(conn, [frame.batch_id], "error")
        assert await conn.fetchval("SELECT class FROM batch_keys") == "debug"
