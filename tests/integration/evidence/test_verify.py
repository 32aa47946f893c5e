"""Changes by a superuser are found and located, online and with only an export and a key.

The changes are the eighteen of the threat model, each made on a store that verifies before it.
"""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from storage.ledger import verify as verify_module
from storage.ledger.entries import enter
from storage.ledger.export import encoded, export, verify
from storage.ledger.tree.chain import NO_ENTRY, entry_hash
from storage.ledger.tree.merkle import tree_root
from storage.ledger.tree.notes import Head, read, sign
from storage.packs.store import PackStore
from tests.support.evidence import open_store, write_key
from tests.support.packing import packs
from tests.support.records import as_version_1, make_frame, make_record

INTEGRITY, COMPLETENESS = "integrity", "completeness"


@dataclass
class Store:
    """A store whose processes have ended, with superuser access."""

    folder: Path
    dsn: str
    key: str
    frames: list
    segments: dict[str, int]
    packs: PackStore | None = None

    @property
    def heads(self) -> Path:
        return self.folder / "heads"

    async def execute(self, *statements):
        conn = await asyncpg.connect(self.dsn)
        try:
            return [await conn.fetch(text) for text in statements]
        finally:
            await conn.close()

    async def change(self, *statements):
        """Execute as a superuser who disables the triggers first."""
        tables = [f"system_logs_s{n}" for n in self.segments.values()]
        tables += ["system_logs", "ledger", "ledger_in"]
        switches = [f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in tables]
        return await self.execute(*switches, *statements)

    def leaf(self, class_name="info") -> str:
        return f"system_logs_s{self.segments[class_name]}"

    async def online(self, **options):
        conn = await asyncpg.connect(self.dsn)
        try:
            return await verify(conn, self.heads, self.key, store=self.packs or packs(), **options)
        finally:
            await conn.close()

    async def write_export(self, name="evidence.jsonl", **options) -> Path:
        conn = await asyncpg.connect(self.dsn)
        path = self.folder / name
        try:
            with path.open("w", encoding="utf-8") as file:
                await export(
                    conn,
                    self.heads,
                    lambda line: file.write(json.dumps(encoded(line)) + "\n"),
                    store=self.packs or packs(),
                    **options,
                )
        finally:
            await conn.close()
        return path

    def offline(self, *paths) -> tuple[int, str]:
        """The stand-alone file in an interpreter without opslog on its path."""
        alone = self.folder / "alone"
        alone.mkdir(exist_ok=True)
        shutil.copy(verify_module.__file__, alone / "verify.py")
        done = subprocess.run(
            [sys.executable, "-I", "verify.py", *map(str, paths), "--key", self.key],
            cwd=alone,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    async def both(self) -> list[tuple]:
        """The findings online, after checking that the offline ones are the same."""
        verifier = await self.online()
        code, text = self.offline(await self.write_export())
        output = "\n".join(verifier.report()) + "\n"
        assert text == output
        assert code == (1 if verifier.findings else 2 if verifier.gaps else 0)
        return verifier.findings


@pytest.fixture
async def store(tmp_path, database, writer_pool):
    """Three requests of forty records over two classes, and one with a refused row.

    One of the three is from the spool of the release before: its rows have their nonces.
    """
    frames = [
        make_frame(
            [
                make_record(
                    level=1 + n % 2,
                    message=f"message {m} {n}",
                    metadata=b'{"attributes": {"n": 1}}',
                )
                for n in range(40)
            ],
            received=41,
            rejected={"bad_value": 1},
        )
        for m in range(3)
    ]
    frames[1] = as_version_1(frames[1])
    frames.append(make_frame([make_record(), make_record(source_module="x" * 51), make_record()]))
    async with open_store(tmp_path, database, writer_pool) as running:
        for frame in frames:
            await running.send(frame)
        key = await running.public()
        rows = await running.pool.fetch("SELECT class, segment FROM segments WHERE state = 'open'")
    return Store(
        tmp_path, database.dsn, key, frames, {row["class"]: row["segment"] for row in rows}
    )


async def test_an_untouched_store_verifies(store):
    assert await store.both() == []
    verifier = await store.online()
    assert verifier.gaps == []
    assert verifier.seen == {"segments": 2, "rows": 122}
    assert verifier.report()[-2:] == ["integrity: holds", "completeness: holds"]


def places(findings, verdict):
    return {(found[2:], found[1]) for found in findings if found[0] == verdict}


async def test_1_a_byte_of_a_message(store):
    batch = store.frames[1].batch_id
    await store.change(
        f"UPDATE {store.leaf()} SET message = 'massage 1 6' WHERE batch_id = {batch} AND position = 6"
    )

    assert await store.both() == [
        (INTEGRITY, "the row was changed", store.segments["info"], batch, 6)
    ]


async def test_2_a_byte_of_metadata(store):
    batch = store.frames[1].batch_id
    await store.change(
        f"""UPDATE {store.leaf("warn")} SET metadata = '{{"attributes": {{"n": 2}}}}'
             WHERE batch_id = {batch} AND position = 39"""
    )

    assert await store.both() == [
        (INTEGRITY, "the row was changed", store.segments["warn"], batch, 39)
    ]


async def test_3_two_rows_swapped(store):
    batch = store.frames[0].batch_id
    await store.change(
        f"""UPDATE {store.leaf()} SET position = 18 - position
             WHERE batch_id = {batch} AND position IN (4, 14)"""
    )

    segment = store.segments["info"]
    found = await store.both()
    assert places(found, INTEGRITY) >= {((segment, batch, 4), "the row was changed")}
    assert {place[2] for place, _ in places(found, INTEGRITY)} == {4, 14}


async def test_4_a_row_deleted(store):
    batch = store.frames[2].batch_id
    await store.change(f"DELETE FROM {store.leaf()} WHERE batch_id = {batch} AND position = 8")

    # Its class has every second position of the request: 7 is the first place where it may be.
    assert await store.both() == [
        (COMPLETENESS, "1 rows are missing from here on", store.segments["info"], batch, 7)
    ]


async def test_5_a_row_duplicated(store):
    batch = store.frames[2].batch_id
    leaf = store.leaf()
    await store.change(
        f"INSERT INTO {leaf} SELECT * FROM {leaf} WHERE batch_id = {batch} AND position = 8"
    )

    assert await store.both() == [
        (INTEGRITY, "the row is duplicated", store.segments["info"], batch, 8)
    ]


@pytest.mark.parametrize("own_batch", [True, False])
async def test_6_a_row_added(store, own_batch):
    batch = store.frames[2].batch_id
    leaf = store.leaf()
    new_batch, position, what = (
        (batch, 100, "the row was added") if own_batch else (12345, 8, "1 rows were added")
    )
    await store.change(
        f"CREATE TEMP TABLE copied AS SELECT * FROM {leaf} WHERE batch_id = {batch} AND position = 8;"
    )
    await store.change(
        f"""INSERT INTO {leaf} (created_at, received_at, batch_id, stream_id, position, ingest_key_id,
                level, created_ns, severity_number, kind, id, nonce, source_module, action, message,
                metadata)
            SELECT created_at, received_at, {new_batch}, stream_id, {position}, ingest_key_id, level,
                created_ns, severity_number, kind, id, nonce, source_module, action, 'forged', metadata
              FROM {leaf} WHERE batch_id = {batch} AND position = 8"""
    )

    assert await store.both() == [(INTEGRITY, what, store.segments["info"], new_batch, position)]


async def test_7_a_row_moved_to_another_segment(store):
    batch = store.frames[0].batch_id
    info, warn = store.segments["info"], store.segments["warn"]
    columns = (
        "created_at, received_at, batch_id, stream_id, position, ingest_key_id, tenant, level,"
        " created_ns, severity_number, kind, id, nonce, source_module, action, message, metadata"
    )
    await store.change(
        f"""INSERT INTO {store.leaf("warn")} ({columns}) SELECT {columns} FROM {store.leaf()}
             WHERE batch_id = {batch} AND position = 0""",
        f"DELETE FROM {store.leaf()} WHERE batch_id = {batch} AND position = 0",
    )

    found = await store.both()
    assert (COMPLETENESS, "1 rows are missing from here on", info, batch, 0) in found
    assert (INTEGRITY, "the row was added", warn, batch, 0) in found


async def test_7_a_whole_batch_moved_to_another_segment(store):
    batch = store.frames[3].batch_id
    info, warn = store.segments["info"], store.segments["warn"]
    columns = (
        "created_at, received_at, batch_id, stream_id, position, ingest_key_id, tenant, level,"
        " created_ns, severity_number, kind, id, nonce, source_module, action, message, metadata"
    )
    await store.change(
        f"""INSERT INTO {store.leaf("warn")} ({columns}) SELECT {columns} FROM {store.leaf()}
             WHERE batch_id = {batch}""",
        f"DELETE FROM {store.leaf()} WHERE batch_id = {batch}",
    )

    found = await store.both()
    assert (COMPLETENESS, "all 3 rows are missing", info, batch) in found
    assert (INTEGRITY, "2 rows were moved here", warn, batch, 0) in found


async def test_8_the_level_of_a_row(store):
    batch = store.frames[0].batch_id
    await store.change(
        f"UPDATE {store.leaf()} SET level = 'ERROR' WHERE batch_id = {batch} AND position = 2"
    )

    assert await store.both() == [
        (INTEGRITY, "the row was changed", store.segments["info"], batch, 2)
    ]


async def test_8_the_class_of_a_segment(store):
    segment = store.segments["warn"]
    await store.change(f"UPDATE segments SET class = 'debug' WHERE segment = {segment}")

    assert await store.both() == [(INTEGRITY, "its class was changed to 'debug'", segment)]


async def test_9_a_part_and_its_entry_deleted(store):
    batch = store.frames[1].batch_id
    await store.change(
        *[
            f"DELETE FROM system_logs_s{n} WHERE batch_id = {batch}"
            for n in store.segments.values()
        ],
        f"DELETE FROM ingest_parts WHERE batch_id = {batch}",
        f"DELETE FROM ingest_batches WHERE batch_id = {batch}",
        f"DELETE FROM ledger WHERE batch_id = {batch}",
    )

    found = await store.both()
    assert (COMPLETENESS, "entry 2 is missing, 3 follows") in found
    assert (INTEGRITY, "entry 3 (data) was changed or moved") in found


async def recompute(store):
    """Recompute the chain, which is possible without the key."""
    rows = (
        await store.execute(
            "SELECT seq, kind, body, (extract(epoch FROM made_at) * 1000000)::bigint AS created_us"
            " FROM ledger ORDER BY seq"
        )
    )[0]
    before, hashes = NO_ENTRY, []
    for place, row in enumerate(rows):
        before = entry_hash(place, before, row["created_us"], row["kind"], row["body"])
        hashes.append(before)
        await store.change(
            f"UPDATE ledger SET seq = {place}, hash = '\\x{before.hex()}' WHERE seq = {row['seq']}"
        )
    return hashes


async def test_10_the_chain_recomputed_without_the_key(store):
    batch = store.frames[1].batch_id
    await store.change(
        *[
            f"DELETE FROM system_logs_s{n} WHERE batch_id = {batch}"
            for n in store.segments.values()
        ],
        f"DELETE FROM ingest_parts WHERE batch_id = {batch}",
        f"DELETE FROM ingest_batches WHERE batch_id = {batch}",
        f"DELETE FROM ledger WHERE batch_id = {batch}",
    )
    await recompute(store)

    found = await store.both()
    assert (INTEGRITY, "entries 2 to 2 are not those signed") in found
    assert (COMPLETENESS, "the head of 5 entries covers missing entries") in found


async def test_11_the_newest_entries_removed(store):
    batches = [frame.batch_id for frame in store.frames[2:]]
    listed = ", ".join(map(str, batches))
    older = next(
        note
        for path in store.heads.glob("*.heads")
        for note in (json.loads(line)["head"] for line in path.read_text().splitlines())
        if read(note).size == 3
    )
    quoted = older.replace("'", "''")
    await store.change(
        *[
            f"DELETE FROM system_logs_s{n} WHERE batch_id IN ({listed})"
            for n in store.segments.values()
        ],
        f"DELETE FROM ingest_parts WHERE batch_id IN ({listed})",
        f"DELETE FROM ingest_batches WHERE batch_id IN ({listed})",
        f"DELETE FROM ledger WHERE batch_id IN ({listed})",
        "DELETE FROM dead_letters",
        f"UPDATE ledger_checkpoints SET note = '{quoted}', size = 3",
        "DELETE FROM log_counts",
        "DELETE FROM ingest_minutes",
    )

    found = await store.both()
    assert (COMPLETENESS, "the head of 5 entries covers missing entries") in found


async def test_12_a_segment_restored_from_a_backup(store, database, writer_pool):
    leaf = store.leaf()
    await store.change(
        f"CREATE TABLE backup AS SELECT * FROM {leaf} WHERE batch_id <= {store.frames[1].batch_id}"
    )
    await store.change(f"TRUNCATE {leaf}", f"INSERT INTO {leaf} SELECT * FROM backup")

    assert await store.both() == [
        (COMPLETENESS, "all 20 rows are missing", store.segments["info"], store.frames[2].batch_id),
        (COMPLETENESS, "all 3 rows are missing", store.segments["info"], store.frames[3].batch_id),
    ]


async def test_13_entries_in_another_order(store):
    await store.change(
        "UPDATE ledger SET seq = seq + 100 WHERE seq IN (2, 3)",
        "UPDATE ledger SET seq = 105 - seq WHERE seq > 99",
    )

    found = await store.both()
    assert (INTEGRITY, "entry 2 (data) was changed or moved") in found
    assert (INTEGRITY, "entry 3 (data) was changed or moved") in found
    assert (INTEGRITY, "entries 2 to 2 are not those signed") in found


async def test_14_retired_but_still_present(store, database, writer_pool):
    segment = store.segments["warn"]
    async with open_store(store.folder, database, writer_pool) as running:
        async with running.pool.acquire() as connection:
            body = {"segment": segment, "class": "warn", "rows": 60, "root": None, "policy": "p"}
            await enter(connection, "retire", body)
        await running.sequenced()

    found = await store.both()
    assert (COMPLETENESS, "still exists after its retire in entry 5", segment) in found


@pytest.mark.parametrize("how", ["DROP TABLE {}", "ALTER TABLE system_logs DETACH PARTITION {}"])
@pytest.mark.parametrize("state", ["open", "dropped"])
async def test_15_dropped_without_an_entry(store, how, state):
    segment = store.segments["warn"]
    await store.change(
        how.format(store.leaf("warn")),
        f"UPDATE segments SET state = '{state}' WHERE segment = {segment}",
    )

    found = await store.both()
    assert found[0] == (COMPLETENESS, "3 batches are missing without an entry", segment)


async def test_15_dropped_and_removed_from_the_catalogue(store):
    segment = store.segments["warn"]
    await store.change(
        f"DROP TABLE {store.leaf('warn')}", f"DELETE FROM segments WHERE segment = {segment}"
    )

    assert (COMPLETENESS, "is missing without an entry", segment) in await store.both()


async def test_16_signed_again_with_another_key(store):
    key = write_key(store.folder / "stolen")
    rows = (await store.execute("SELECT body FROM ledger WHERE seq = 0"))[0]
    genesis = json.loads(rows[0]["body"])
    from storage.ledger.tree.notes import public_bytes, verifier_key

    forged = dict(genesis, key=verifier_key(genesis["origin"], public_bytes(key)))
    text = json.dumps(forged, sort_keys=True, separators=(",", ":"))
    await store.change(f"UPDATE ledger SET body = '{text}' WHERE seq = 0")
    hashes = await recompute(store)
    note = sign(Head(genesis["origin"], 5, tree_root(hashes), 1), key)
    await store.change(
        "DELETE FROM ledger_checkpoints",
        f"INSERT INTO ledger_checkpoints VALUES (now(), 5, now(), '{note}')",
    )
    shutil.rmtree(store.heads)
    store.heads.mkdir()
    (store.heads / "2026-01-01.heads").write_text(json.dumps({"head": note}) + "\n")

    found = await store.both()
    assert found == [
        (INTEGRITY, f"the ledger is signed with another key: {forged['key']}"),
    ]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("\\n5\\n", "\\n9\\n", "the head of 9 entries is not signed by the key"),
        ("time ", "time 1", "the head of 5 entries is not signed by the key"),
        ("\\n5\\n", "\\nfive\\n", "the head of -1 entries is not signed by the key"),
    ],
)
async def test_17_a_published_head_changed(store, old, new, what):
    (path,) = store.heads.glob("*.heads")
    *lines, last = path.read_text("utf-8").splitlines(keepends=True)
    assert old in last
    path.write_text("".join([*lines, last.replace(old, new)]), "utf-8")

    assert await store.both() == [(INTEGRITY, what)]


async def test_17_a_head_in_the_database_changed(store):
    await store.change("UPDATE ledger_checkpoints SET note = overlay(note PLACING 'x' FROM 3)")

    assert INTEGRITY in {found[0] for found in await store.both()}


ADD_BATCH = """
    INSERT INTO ingest_batches
    SELECT 7, received_at, stored_at, spool_id, ingest_key_id, encoding_version, signal,
           request_hash, duplicate_of, received, derived, stored, duplicate, dead, rejected
      FROM ingest_batches WHERE batch_id = {batch}"""


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE ingest_batches SET received = received + 1 WHERE batch_id = {batch}", "batch {batch} was changed"),
        ("UPDATE ingest_batches SET rejected = '{{}}' WHERE batch_id = {batch}", "batch {batch} was changed"),
        ("DELETE FROM ingest_batches WHERE batch_id = {batch}", "batch {batch} is missing"),
        (ADD_BATCH, "batch 7 was added"),
        ("UPDATE log_counts SET rows = rows + 1 WHERE segment = {segment}", "counters were changed"),
        ("DELETE FROM log_counts WHERE segment = {segment}", "counters were changed"),
        ("UPDATE ingest_parts SET rows = rows - 1 WHERE batch_id = {batch}", "counters were changed"),
        ("UPDATE segments SET rows = 61 WHERE segment = {segment}", "counters were changed"),
        ("UPDATE ingest_minutes SET stored = stored + 1", "was changed"),
        ("DELETE FROM ingest_minutes", "is missing"),
        ("UPDATE log_streams SET resource = '{{\"service.name\": \"other\"}}'", "was changed"),
        ("DELETE FROM log_streams", "is missing"),
        ("UPDATE dead_letters SET row_bytes = row_bytes || 'x'::bytea", "was changed"),
        ("UPDATE ledger SET body = replace(body, '\"stored\":40', '\"stored\":41') WHERE batch_id = {batch}",
         "entry 2 (data) was changed or moved"),
    ],
)  # fmt: skip
async def test_18_counters_changed(store, statement, what):
    names = {"batch": store.frames[1].batch_id, "segment": store.segments["info"]}
    await store.change(statement.format(**names))

    found = await store.both()
    assert found
    assert what.format(**names) in found[0][1]


async def test_the_marks_changed_with_the_row(store):
    batch, segment = store.frames[1].batch_id, store.segments["info"]
    await store.change(
        f"UPDATE {store.leaf()} SET message = 'other' WHERE batch_id = {batch} AND position = 6"
    )
    from tests.support.read_back import read_back

    conn = await asyncpg.connect(store.dsn)
    marks = (await read_back(conn, segment))[batch].marks()
    await conn.execute(
        "UPDATE ingest_parts SET marks = $1 WHERE batch_id = $2 AND segment = $3",
        marks,
        batch,
        segment,
    )
    await conn.close()

    assert await store.both() == [
        (INTEGRITY, "rows were changed, and the marks that identify them", segment, batch)
    ]


async def test_entries_that_no_head_covers(store):
    await store.change(
        "INSERT INTO ledger SELECT seq + 1, kind, body, batch_id, made_at, hash FROM ledger WHERE seq = 4"
    )

    found = await store.both()
    assert (INTEGRITY, "no head covers entries 5 to 5") in found


async def test_waiting_entries_count_and_old_ones_are_a_gap(store):
    await store.change(
        """INSERT INTO ledger_in (kind, body, made_at)
           VALUES ('policy', '{"policy":1,"by":"x"}', now()),
                  ('policy', '{"policy":1,"by":"x"}', now() - interval '2 minutes')"""
    )

    assert await store.both() == []
    (gap,) = (await store.online()).gaps
    assert gap.startswith("an entry (policy) has been waiting 12")
