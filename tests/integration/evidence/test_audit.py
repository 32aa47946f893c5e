"""Guarantees of /v1/audit: all or nothing, each id once, a receipt."""

import asyncio
import base64
import json
import time
from uuid import UUID

import pytest

from config.settings import LimitSettings, MappingSettings, RedactionSettings
from otlp_receiver.admission.keys import KeyInfo
from otlp_receiver.audit import AuditIngest, AuditRouter
from otlp_receiver.codec import Codec
from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.http import response_bodies
from storage.database.pool import DatabaseRole, open_pool
from storage.errors import AuditIdTaken, DatabaseUnavailable
from storage.ledger.proof import proof_of
from storage.ledger.verify import main
from storage.record.classes import classify
from storage.redaction.redactor import Redactor
from storage.redaction.tokens import HmacKeys
from storage.spool.framing import Framing
from storage.writing.audit_records import AuditRecords

KEY = KeyInfo(id=4, name="auditor", rights=frozenset({"audit"}))


def codec():
    keys = HmacKeys({"k1": b"k" * 32}, current="k1")
    return Codec(Redactor(RedactionSettings(), keys), LimitSettings(), MappingSettings())


@pytest.fixture
async def ingest(store):
    """The pipeline of audit records; the spool has its number, as in a ready receiver."""
    await store.writer.register()
    framing = Framing(store.spool, classify)
    return AuditIngest(codec(), AuditRecords(store.pool, store.spool, framing))


def event(record_id="r-1", *, timed=True, drop=(), body="user signed in", **attributes):
    """One audit record as OTLP/JSON."""
    members = {
        "audit.record.id": record_id,
        "audit.action": "login",
        "audit.outcome": "success",
        "audit.actor.id": "u-7",
        "audit.actor.type": "user",
    } | attributes
    return {
        "timeUnixNano": str(time.time_ns() if timed is True else timed or 0),
        "body": {"stringValue": body},
        "attributes": [
            {"key": name, "value": {"stringValue": value}}
            for name, value in members.items()
            if name not in drop
        ],
    }


def export(*events):
    scope = {"scope": {"name": "auth"}, "logRecords": list(events)}
    return json.dumps({"resourceLogs": [{"scopeLogs": [scope]}]}).encode()


async def send(ingest, *events):
    return (await ingest.ingest(Encoding.JSON, export(*events), KEY)).receipts


async def test_a_receipt_names_the_leaf_of_a_stored_record(store, ingest, reader_pool, tmp_path):
    (receipt,) = await send(ingest, event(password="hunter2hunter2"))

    row = await store.pool.fetchrow("SELECT * FROM system_logs")
    assert (row["kind"], row["actor_id"], row["ingest_key_id"]) == (b"a", "u-7", 4)
    assert receipt["recordId"] == "r-1"
    assert UUID(receipt["id"]) == row["id"]
    assert receipt["receivedAt"].endswith("Z")
    assert receipt["redaction"]
    assert "hunter2" not in str(dict(row))
    assert (
        await store.value("SELECT class FROM segments JOIN system_logs USING (segment)") == "audit"
    )
    await store.sequenced()
    async with reader_pool.acquire() as connection:
        proof = await proof_of(connection, UUID(receipt["id"]))
    assert receipt["integrityHash"] in base64.b64decode(proof["leaves"]).hex()
    path = tmp_path / "proof.json"
    path.write_text(json.dumps({"proof": [proof]}), "utf-8")
    assert main([str(path), "--key", await store.public()]) == 0


async def test_the_same_record_again_gets_the_same_receipt(store, ingest):
    first = event(timed=1_700_000_000_000_000_000)
    (receipt,) = await send(ingest, first)

    assert await send(ingest, first) == [receipt]
    assert await send(ingest, first, first) == [receipt, receipt]
    assert await store.value("SELECT count(*) FROM system_logs") == 1


async def test_records_without_a_time_are_the_same_again(store, ingest):
    (receipt,) = await send(ingest, event(timed=False))

    assert await send(ingest, event(timed=False)) == [receipt]


async def test_the_same_id_with_other_content_is_rejected_and_nothing_is_stored(store, ingest):
    at = 1_700_000_000_000_000_000
    await send(ingest, event("r-1", timed=at))

    with pytest.raises(AuditIdTaken) as caught:
        await send(ingest, event("r-2", timed=at), event("r-1", timed=at, body="other"))
    assert (caught.value.status, caught.value.where) == (409, "logRecords[1]")
    with pytest.raises(AuditIdTaken):
        await send(ingest, event("r-3" * 50, timed=at), event("r-3" * 50, timed=at, body="other"))
    assert await store.value("SELECT count(*) FROM system_logs") == 1


@pytest.mark.parametrize(
    "missing", ["audit.record.id", "audit.action", "audit.outcome", "audit.actor.id"]
)
async def test_a_record_without_a_required_field_fails_the_request(store, ingest, missing):
    with pytest.raises(BadPayload, match=missing):
        await send(ingest, event("r-1"), event("r-2", drop=(missing,)))

    assert await store.value("SELECT count(*) FROM audit_records") == 0


async def test_an_event_name_is_the_fallback_for_the_action(ingest):
    assert await send(ingest, event("r-1", drop=("audit.action",)) | {"eventName": "user.login"})


async def test_ids_have_a_limit_and_unreadable_records_fail_the_request(ingest):
    with pytest.raises(BadPayload, match="longer than 500"):
        await send(ingest, event("x" * 501))
    with pytest.raises(BadPayload):
        await send(ingest, event("r-1"), event("r-2") | {"timeUnixNano": "soon"})
    assert await send(ingest) == []


async def test_two_senders_of_the_same_record_get_one(store, ingest):
    at = 1_700_000_000_000_000_000
    both = await asyncio.gather(
        *[send(ingest, *[event(f"r-{n}", timed=at) for n in range(20)]) for _ in range(4)]
    )

    assert both[0] == both[1] == both[2] == both[3]
    assert await store.value("SELECT count(*) FROM system_logs") == 20
    balanced = await store.value("SELECT sum(received) - sum(stored) FROM ingest_batches")
    assert balanced == 0


async def test_nothing_is_stored_while_the_database_is_unavailable(store):
    await store.writer.register()
    dsn = "postgresql://nobody@127.0.0.1:1/none"
    async with await open_pool(dsn, DatabaseRole.WRITER, size=1) as pool:
        framing = Framing(store.spool, classify)
        ingest = AuditIngest(codec(), AuditRecords(pool, store.spool, framing))
        with pytest.raises(DatabaseUnavailable) as caught:
            await send(ingest, event())

    assert (caught.value.status, caught.value.retryable) == (503, True)


async def test_audit_records_are_separated_from_all_others(ingest):
    class Telemetry:
        async def ingest(self, *arguments):
            return arguments

    sink = AuditRouter(Telemetry(), ingest)

    assert (await sink.ingest(Signal.LOGS, Encoding.JSON, b"x", KEY))[2] == b"x"
    outcome = await sink.ingest(Signal.AUDIT, Encoding.JSON, export(event()), KEY)
    shown = json.loads(response_bodies.accepted(Signal.AUDIT, Encoding.JSON, outcome))
    assert shown == {"receipts": outcome.receipts}
    from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse

    raw = response_bodies.accepted(Signal.AUDIT, Encoding.PROTOBUF, outcome)
    assert ExportLogsServiceResponse.FromString(raw).partial_success.rejected_log_records == 0
    assert json.dumps(outcome.receipts).encode()[:20].replace(b" ", b"") in raw
