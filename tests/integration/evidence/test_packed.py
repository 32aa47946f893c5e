"""Evidence of packed segments: the same verdicts as of leaves, and what is damaged is named."""

import json
import os
import time
from uuid import UUID

import asyncpg
import pytest

from retention.packing.leaves import drop_leaves, forget_parts
from retention.packing.pack import pack_segment
from storage.ledger.accounting.balance import balance
from storage.ledger.export import verify
from storage.ledger.packed_rows import PacksNotReadable
from storage.ledger.proof import NoProof, proof_of
from storage.ledger.verify import main
from storage.packs.store import PackStore
from storage.record.copy_binary import fields_of, rows_of
from tests.integration.evidence.test_verify import COMPLETENESS, INTEGRITY, Store
from tests.support.evidence import open_store
from tests.support.keeping import close
from tests.support.pack_damage import WAYS
from tests.support.pack_damage import spoil as spoil_pack
from tests.support.records import as_version_1, make_frame, make_record

OLD_ENOUGH_S = -60.0
NOW_NS = time.time_ns()


def frames():
    """Both encodings in one segment, and a dead letter of each."""
    made = []
    for m in range(4):
        records = [
            make_record(
                id=(NOW_NS // 1_000_000).to_bytes(6, "big") + bytes([m, n]) + os.urandom(8),
                created_unix_ns=NOW_NS + n,
                level=1 + n % 2,
                message=f"message {m} {n}",
            )
            for n in range(40)
        ]
        records[7:7] = [make_record(source_module="x" * 51)]
        frame = make_frame(records, received=42, rejected={"bad_value": 1})
        made.append(as_version_1(frame) if m % 2 else frame)
    return made


@pytest.fixture
async def store(tmp_path, database, writer_pool, owner_pool):
    """Two packed segments without their leaves and parts, and two open ones, one of them empty."""
    packs = PackStore(tmp_path / "packs")
    packs.prepare("test")
    sent = frames()
    async with open_store(tmp_path, database, writer_pool) as running:
        await running.send(*sent)
        async with writer_pool.acquire() as conn:
            segments = {name: await close(conn, name) for name in ("info", "warn")}
        async with owner_pool.acquire() as conn:
            for segment in segments.values():
                done = await pack_segment(conn, packs, segment)
                assert not done.damage
            await drop_leaves(conn, deadline_s=time.monotonic() + 30)
            await forget_parts(conn, OLD_ENOUGH_S)
            assert await conn.fetchval("SELECT count(*) FROM ingest_parts") == 0
        await running.send(make_frame([make_record()]))
        key = await running.public()
    return Store(tmp_path, database.dsn, key, sent, segments, packs)


def spoil(store, class_name="info", *, at=200, of="data"):
    """Flip a bit in a file of a pack."""
    path = store.packs.paths(class_name, store.segments[class_name])[of == "index"]
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.chmod(0o640)
    path.write_bytes(raw)
    store.packs.forget(store.segments[class_name])
    return path


async def balance_of(store):
    conn = await asyncpg.connect(store.dsn)
    try:
        return await balance(conn, None, store.packs)
    finally:
        await conn.close()


async def test_packed_rows_of_both_encodings_verify(store):
    assert await store.both() == []
    verifier = await store.online()
    assert verifier.gaps == []
    assert verifier.seen == {"segments": 4, "rows": 161}


async def test_the_quick_form_compares_files_instead_of_rows(store):
    verifier = await store.online(quick=True)

    assert (verifier.findings, verifier.gaps) == ([], [])
    assert verifier.seen == {"packs": 2, "segments": 2, "rows": 1}


async def test_packed_rows_are_counted(store):
    found = await balance_of(store)

    assert (found.differences, found.rows, found.segments) == ([], 161, 4)


async def test_a_damaged_block_costs_its_own_rows_only(store):
    path = spoil(store)

    findings = await store.both()

    segment = store.segments["info"]
    assert {finding[2] for finding in findings} == {segment}
    assert findings[0] == (INTEGRITY, "its data file is not the one in the ledger", segment)
    verdict, what, _ = findings[1]
    assert (verdict, what[:25]) == (INTEGRITY, "block 0, rows from 0: " + str(path)[:3])
    assert "checksum" in what
    assert [what for verdict, what, *_ in findings if verdict == COMPLETENESS]
    assert (await balance_of(store)).differences == []
    quick = (await store.online(quick=True)).findings
    assert quick == [(INTEGRITY, "its data file is not the one in the ledger", segment)]


@pytest.mark.parametrize("lost", ["data", "index"])
async def test_a_missing_file_costs_its_own_rows_only(store, lost):
    path = store.packs.paths("warn", store.segments["warn"])[lost == "index"]
    path.unlink()

    findings = await store.both()

    remedy = "; rebuild it: opslog packs reindex" if lost == "index" else ""
    assert findings == [
        (COMPLETENESS, "4 batches cannot be read", store.segments["warn"]),
        (COMPLETENESS, f"{path}: the file is missing{remedy}", store.segments["warn"]),
    ]
    assert findings == (await store.online(quick=True)).findings
    (difference,) = (await balance_of(store)).differences
    assert f"segment {store.segments['warn']}: its pack cannot be read: {path}" in difference


@pytest.mark.parametrize("how", WAYS)
async def test_every_damage_is_found(store, tmp_path, how):
    """By the quick form too; what is missing is a matter of completeness, the rest of integrity."""
    warn, info = (store.packs.paths(name, store.segments[name])[0] for name in ("warn", "info"))
    (tmp_path / "older").mkdir()
    spoil_pack(how, warn, info, tmp_path / "older")

    findings, quick = await store.both(), (await store.online(quick=True)).findings

    missing = how in {"deleted", "without index"}
    for found in (findings, quick):
        assert {place for _, _, place, *_ in found} == {store.segments["warn"]}
        assert (INTEGRITY in {verdict for verdict, *_ in found}) is not missing
    assert not missing or {verdict for verdict, *_ in findings} == {COMPLETENESS}


async def test_an_index_that_was_changed_is_named(store):
    path = store.packs.paths("info", store.segments["info"])[1]
    spoil(store, of="index", at=path.stat().st_size - 1)

    findings = await store.both()

    what = "its index file is not the one in the ledger"
    assert findings[0] == (INTEGRITY, what, store.segments["info"])


async def test_a_pack_of_another_time_is_not_taken(store, database, owner_pool):
    """The files of one segment in the place of another."""
    ours = store.packs.paths("info", store.segments["info"])
    others = store.packs.paths("warn", store.segments["warn"])
    for own, other in zip(ours, others, strict=True):
        own.chmod(0o640)
        own.write_bytes(other.read_bytes())

    found = {(verdict, segment) for verdict, _, segment in await store.both()}

    assert found == {(verdict, store.segments["info"]) for verdict in (INTEGRITY, COMPLETENESS)}


async def test_hashes_in_the_catalogue_do_not_count(store):
    await store.execute("UPDATE segments SET data_hash = '\\x00', digest = '\\x00' WHERE rows > 1")

    findings = await store.both()

    assert {finding[2] for finding in findings} == set(store.segments.values())


async def test_a_dead_letter_of_a_pack_is_still_expected(store):
    await store.execute("DELETE FROM dead_letters")

    verifier = await store.online()

    assert verifier.findings == []
    assert len([gap for gap in verifier.gaps if "dead letter" in gap]) == 4


async def test_without_the_folder_of_the_packs_nothing_is_verified(store):
    conn = await asyncpg.connect(store.dsn)
    try:
        with pytest.raises(PacksNotReadable):
            await verify(conn, store.heads, store.key)
    finally:
        await conn.close()


async def test_a_packed_record_is_proved(store, reader_pool, tmp_path):
    for frame in store.frames:
        part = frame.parts[0]
        wanted = UUID(bytes=fields_of(list(rows_of(part.copy_bytes))[3])["id"])
        async with reader_pool.acquire() as connection:
            proof = await proof_of(connection, wanted, store.packs)
        path = tmp_path / "proof.json"
        path.write_text(json.dumps({"proof": [proof]}), "utf-8")
        assert main([str(path), "--key", store.key]) == 0
    spoil(store)
    async with reader_pool.acquire() as connection:
        with pytest.raises(NoProof, match="opslog verify"):
            await proof_of(connection, wanted, store.packs)
