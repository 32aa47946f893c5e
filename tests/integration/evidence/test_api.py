"""The ledger, proofs and dead letters over the API."""

import json
import os
import time
from uuid import UUID

import pytest

from query.api.operations.dead_letters import DeadLetterOutcome, DeadLetterPage, DeadLetterRow
from query.api.operations.ingest import IngestLedger
from storage.ledger.accounting.checks import check
from storage.ledger.verify import main
from tests.support.evidence import open_store
from tests.support.querying import query_server
from tests.support.records import make_frame, make_record

API = "/api/v1"


def timed(**fields):
    now_ns = time.time_ns()
    identity = (now_ns // 1_000_000).to_bytes(6, "big") + os.urandom(10)
    return make_record(id=identity, created_unix_ns=now_ns, **fields)


@pytest.fixture
async def records():
    return [timed(), timed(source_module="x" * 51), timed()]


async def request(server, method, path, body=None):
    headers = {"Authorization": f"Bearer {server.token}"}
    return await server.client.request(method, API + path, json=body, headers=headers)


async def test_ledger_proof_and_dead_letters(tmp_path, database, writer_pool, reader_pool, records):
    async with open_store(tmp_path / "store", database, writer_pool) as store:
        await store.send(make_frame(records))
        key = await store.public()
        async with query_server(
            database.dsn, reader_pool, spools=tmp_path / "store" / "spool"
        ) as server:
            found = await request(server, "GET", "/ingest/ledger?start=-1h")
            ledger = IngestLedger.model_validate_json(await found.text())
            assert (ledger.totals["stored"], ledger.totals["dead"]) == (2, 1)
            summed = await request(server, "GET", "/ingest/ledger?start=-1h&by=minute")
            by_minute = IngestLedger.model_validate_json(await summed.text())
            assert by_minute.totals == ledger.totals
            assert len(by_minute.data) < len(ledger.data)
            assert {row.source_module for row in by_minute.data} == {None}
            assert [spool.spool for spool in ledger.spools] == ["receiver-0"]
            assert (ledger.spools[0].rows, ledger.last_check) == (0, None)
            await check(database.dsn, tmp_path / "store" / "spool")
            again = await request(server, "GET", "/ingest/ledger")
            last = IngestLedger.model_validate_json(await again.text()).last_check
            assert (last.rows, last.differences) == (2, [])
            for bad in ("minute=1", "by=hour"):
                assert (await request(server, "GET", f"/ingest/ledger?{bad}")).status == 400

            note = await (await request(server, "GET", "/ledger/checkpoint")).text()
            assert note.startswith("opslog/")

            proof = await request(server, "GET", f"/logs/{_uuid(records[0])}/proof")
            (tmp_path / "proof.json").write_text(json.dumps(await proof.json()), "utf-8")
            assert main([str(tmp_path / "proof.json"), "--key", key]) == 0
            assert (await request(server, "GET", f"/logs/{_uuid(records[1])}/proof")).status == 404

            page = await request(server, "GET", "/dead-letters")
            (letter,) = DeadLetterPage.model_validate_json(await page.text()).data
            assert (letter.state, letter.sqlstate) == ("waiting", "22001")
            assert (await request(server, "GET", "/dead-letters?state=lost")).status == 400
            assert (await request(server, "GET", "/dead-letters?cursor=x")).status == 400
            shown = await request(server, "GET", f"/dead-letters/{letter.id}")
            row = DeadLetterRow.model_validate_json(await shown.text()).row
            assert row["source_module"] == "x" * 51

            again = await request(server, "POST", f"/dead-letters/{letter.id}/replay")
            outcome = DeadLetterOutcome.model_validate_json(await again.text())
            assert not outcome.is_stored
            gone = await request(
                server, "POST", f"/dead-letters/{letter.id}/discard", {"reason": "a test"}
            )
            assert gone.status == 200
            assert (
                await request(server, "POST", f"/dead-letters/{letter.id}/replay")
            ).status == 400
            assert (await request(server, "GET", "/dead-letters/999")).status == 404
            assert (await request(server, "POST", "/dead-letters/999/replay")).status == 404


def _uuid(record):
    return UUID(bytes=record.id)
