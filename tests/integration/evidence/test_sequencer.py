"""Entries get their place, hash and signed head within a second or so, whatever happens."""

import asyncio
import base64
import json
import stat

import asyncpg
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from config.settings import LedgerSettings
from storage.database.locks import LEDGER_SPACE
from storage.database.pool import DatabaseRole, connect
from storage.ledger.entries import body_text, enter
from storage.ledger.tree.chain import NO_ENTRY, entry_hash
from storage.ledger.tree.heads import Heads, notes_in
from storage.ledger.tree.merkle import consistency, inclusion, tree_root
from storage.ledger.tree.notes import key_hash, public_bytes, read
from storage.ledger.tree.stored_nodes import consistency_path, inclusion_path
from tests.support.evidence import open_store, write_key
from tests.support.records import make_frame, make_record


async def entries(store):
    return await store.pool.fetch(
        "SELECT *, (extract(epoch FROM made_at) * 1000000)::bigint AS created_us"
        " FROM ledger ORDER BY seq"
    )


async def check_chain(store):
    """Numbers without gaps, hashes over hashes; returns the hashes."""
    before = NO_ENTRY
    for place, row in enumerate(await entries(store)):
        assert row["seq"] == place
        before = entry_hash(place, before, row["created_us"], row["kind"], row["body"])
        assert row["hash"] == before
    return [row["hash"] for row in await entries(store)]


def check_note(note, origin, key):
    text, _, signature = note.partition("\n\n")
    dash, name, encoded = signature.rstrip("\n").split(" ")
    raw = base64.b64decode(encoded)
    public = public_bytes(key)
    assert (dash, name) == ("\N{EM DASH}", origin)
    assert raw[:4] == key_hash(origin, public)
    Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], (text + "\n").encode())


async def test_a_batch_is_in_the_signed_ledger_shortly_after(store):
    frame = make_frame(
        [make_record(level=n % 5) for n in range(30)], received=31, rejected={"bad_value": 1}
    )

    await store.send(frame)

    hashes = await check_chain(store)
    first, data = await entries(store)
    assert (first["kind"], data["kind"], data["batch_id"]) == ("genesis", "data", frame.batch_id)
    body = json.loads(data["body"])
    assert (body["received"], body["stored"], body["rejected"]) == (31, 30, {"bad_value": 1})
    assert [part[4] for part in body["parts"]] == [part.digest.hex() for part in frame.parts]
    note = await store.value("SELECT note FROM ledger_checkpoints ORDER BY minute DESC LIMIT 1")
    head = read(note)
    assert (head.size, head.root) == (2, tree_root(hashes))
    check_note(note, head.origin, store.keys.current())


async def test_published_heads_match_the_database(store):
    await store.send(make_frame([make_record()]))
    await store.send(make_frame([make_record()]))

    files = list((store.folder / "heads").iterdir())
    notes = [note for path in files for note in notes_in(path)]
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600
    assert [read(note).size for note in notes][-1] == 3
    assert (
        await store.value("SELECT note FROM ledger_checkpoints ORDER BY minute DESC LIMIT 1")
        == notes[-1]
    )
    assert 0 <= store.heads.age_s() < 20


async def test_subtrees_and_proofs_over_several_hundred_entries(store):
    async with store.pool.acquire() as connection:
        for n in range(600):
            await enter(connection, "policy", {"policy": n, "by": "a test"})
    await store.sequenced()

    hashes = await check_chain(store)
    assert len(hashes) == 601
    assert await store.value("SELECT count(*) FROM ledger_nodes") == 2
    async with store.pool.acquire() as connection:
        path = await inclusion_path(connection, 300, 601)
        proof = await consistency_path(connection, 257, 601)

    def subtree(node):
        width = 1 << node.height
        return tree_root(hashes[node.place * width : (node.place + 1) * width])

    assert path == inclusion(300, 601, subtree)
    assert proof == consistency(257, 601, subtree)


async def test_a_second_process_waits_and_continues_where_the_first_ended(
    tmp_path, database, writer_pool
):
    async with open_store(tmp_path / "a", database, writer_pool) as first:
        await first.send(*[make_frame([make_record()]) for _ in range(5)])
        (tmp_path / "b" / "secrets").mkdir(parents=True)
        for folder in ("secrets", "heads"):
            (tmp_path / "b" / folder).mkdir(exist_ok=True)
            for path in (tmp_path / "a" / folder).iterdir():
                (tmp_path / "b" / folder / path.name).write_bytes(path.read_bytes())
        async with open_store(tmp_path / "b", database, writer_pool) as second:
            assert first.sequencer.is_leader
            await asyncio.sleep(0.2)
            assert not second.sequencer.is_leader
            conn = await connect(database.dsn, DatabaseRole.OWNER)
            await conn.execute("RESET ROLE")
            await conn.execute(
                "SELECT pg_terminate_backend(l.pid) FROM pg_locks AS l"
                f" WHERE locktype = 'advisory' AND classid = {LEDGER_SPACE} AND objid = 0"
                " AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
            )
            await conn.close()
            await first.spool.append(make_frame([make_record()]))
            async with asyncio.timeout(20):
                while await first.value("SELECT count(*) FROM ledger") < 7:
                    await asyncio.sleep(0.05)
            await check_chain(first)


async def test_an_idle_ledger_is_signed_at_every_heartbeat(tmp_path, database, writer_pool):
    settings = LedgerSettings(checkpoint_s=0.05, heartbeat_s=1)
    async with open_store(tmp_path, database, writer_pool, settings=settings) as store:
        await store.sequenced()
        (path,) = (tmp_path / "heads").iterdir()
        async with asyncio.timeout(10):
            while len(list(notes_in(path))) < 3:
                await asyncio.sleep(0.05)

        assert {read(note).size for note in notes_in(path)} == {1}


async def test_a_key_that_is_not_the_ledgers_signs_nothing(tmp_path, database, writer_pool):
    async with open_store(tmp_path, database, writer_pool) as store:
        await store.send(make_frame([make_record()]))
    write_key(tmp_path / "secrets")
    async with open_store(tmp_path, database, writer_pool) as store:
        await store.spool.append(make_frame([make_record()]))
        async with asyncio.timeout(10):
            while "does not match the ledger" not in store.sequencer.problem:
                await asyncio.sleep(0.02)

        assert await store.value("SELECT count(*) FROM ledger") == 2


async def test_an_older_database_is_not_signed_before_its_restoration_is_recorded(
    tmp_path, database, writer_pool
):
    async with open_store(tmp_path, database, writer_pool) as store:
        await store.send(make_frame([make_record()]))
        await store.send(make_frame([make_record()]))
    conn = await connect(database.dsn, DatabaseRole.OWNER)
    await conn.execute("RESET ROLE")
    await conn.execute("ALTER TABLE ledger DISABLE TRIGGER refuse_change")
    await conn.execute("DELETE FROM ledger WHERE seq = 2")
    await conn.close()
    async with open_store(tmp_path, database, writer_pool) as store:
        async with asyncio.timeout(10):
            while "older copy" not in store.sequencer.problem:
                await asyncio.sleep(0.02)
        async with store.pool.acquire() as connection:
            await enter(connection, "restore", {"head": 3, "by": "a test", "reason": "disk"})
        await store.sequenced()

        assert await store.value("SELECT count(*) FROM ledger") == 3
        assert not store.sequencer.problem


async def test_the_key_changes_by_an_entry_that_both_keys_sign(store):
    await store.send(make_frame([make_record()]))
    old = await store.public()
    origin = old.partition("+")[0]
    async with store.pool.acquire() as connection:
        await enter(connection, "key_rotate", store.keys.make_next(origin))
    await store.sequenced()

    assert await store.public() != old
    assert not (store.folder / "secrets" / "evidence.next.pem").exists()
    note = await store.value("SELECT note FROM ledger_checkpoints ORDER BY minute DESC LIMIT 1")
    check_note(note, origin, store.keys.current())
    await store.send(make_frame([make_record()]))
    await check_chain(store)


async def test_the_key_is_found_again_after_a_restart(tmp_path, database, writer_pool):
    async with open_store(tmp_path, database, writer_pool) as store:
        await store.sequenced()
        origin = (await store.public()).partition("+")[0]
        async with store.pool.acquire() as connection:
            await enter(connection, "key_rotate", store.keys.make_next(origin))
        await store.sequenced()
    async with open_store(tmp_path, database, writer_pool) as store:
        await store.send(make_frame([make_record()]))

        assert not store.sequencer.problem


@pytest.mark.parametrize("spoiled", ["old", "signature_old", "signature_new", "new"])
async def test_a_key_that_the_old_one_did_not_sign_is_rejected(store, spoiled):
    await store.sequenced()
    before = await store.public()
    origin = before.partition("+")[0]
    body = store.keys.make_next(origin)
    (store.folder / "secrets" / "evidence.next.pem").unlink()
    body[spoiled] = body[{"old": "new", "new": "old"}.get(spoiled, "new")]
    async with store.pool.acquire() as connection:
        await enter(connection, "key_rotate", body)
    await store.sequenced()

    await store.send(make_frame([make_record()]))
    assert await store.public() == before
    assert not store.sequencer.problem


async def test_heads_are_sent_to_a_url(tmp_path, database, writer_pool):
    taken, status = [], [500]

    async def take(request):
        taken.append((request.headers.get("Authorization"), await request.text()))
        return web.Response(status=status[0])

    app = web.Application()
    app.router.add_post("/heads", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = site._server.sockets[0].getsockname()[1]
    heads = Heads(
        tmp_path / "heads", url=f"http://127.0.0.1:{port}/heads", token="t", push_every_s=0.05
    )
    async with open_store(tmp_path, database, writer_pool, heads=heads) as store:
        await store.sequenced()
        async with asyncio.timeout(10):
            while "500" not in store.sequencer.problem:
                await asyncio.sleep(0.02)
        assert heads.push_age_s() is None
        status[0] = 200
        await asyncio.sleep(0.1)
        await store.send(make_frame([make_record()]))
        async with asyncio.timeout(10):
            while heads.push_age_s() is None:
                await asyncio.sleep(0.02)
        assert not store.sequencer.problem
    await runner.cleanup()

    assert taken[-1][0] == "Bearer t"
    assert read(taken[-1][1]).size == 2


async def test_an_unreachable_url_is_only_a_problem(tmp_path, database, writer_pool):
    heads = Heads(tmp_path / "heads", url="http://127.0.0.1:1/", push_every_s=3600)
    async with open_store(tmp_path, database, writer_pool, heads=heads) as store:
        await store.send(make_frame([make_record()]))
        async with asyncio.timeout(10):
            while "cannot be reached" not in store.sequencer.problem:
                await asyncio.sleep(0.02)

        assert await store.value("SELECT count(*) FROM ledger") == 2


async def test_the_writers_role_can_neither_remove_an_entry_nor_choose_its_place(store):
    await store.send(make_frame([make_record()]))

    for attempt in (
        "DELETE FROM ledger_in",
        "UPDATE ledger SET body = ''",
        "INSERT INTO ledger VALUES (9, 'data', '', NULL, now(), '')",
        "DELETE FROM ledger",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await store.pool.execute(attempt)
    for arguments in ("7, '{}', '{}'", "2, '{99}', '{x}'"):
        with pytest.raises(asyncpg.SerializationError):
            await store.pool.execute(
                f"SELECT opslog_sequence({arguments}, '{{}}', '{{}}', '{{}}', 'n')"
            )


async def test_the_owner_cannot_change_the_ledger_either(store, owner_pool):
    await store.send(make_frame([make_record()]))

    for attempt in ("DELETE FROM ledger", "UPDATE ledger SET body = ''", "TRUNCATE ledger"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await owner_pool.execute(attempt)


def test_entries_have_the_members_of_their_kind():
    assert body_text("policy", {"policy": 1, "by": "x"}) == '{"by":"x","policy":1}'
    with pytest.raises(ValueError, match="no entries of kind"):
        body_text("gossip", {})
    with pytest.raises(ValueError, match="needs policy"):
        body_text("policy", {"by": "x"})
