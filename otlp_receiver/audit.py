"""POST /v1/audit: audit records as OTLP logs, all or nothing, with a receipt for each.

Source: OTEP 0267 and specification/audit/data-model.md (opentelemetry-specification PR 5059), not
yet merged: its required fields are in REQUIRED. Secrets are redacted as everywhere; the receipt
names the rules that matched.
"""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import orjson

from otlp_receiver.admission.keys import KeyInfo
from otlp_receiver.codec import Codec
from otlp_receiver.errors import BadPayload
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.http.receive import Sink
from otlp_receiver.http.response_bodies import Outcome
from storage.record.record import Record, RedactedBatch
from storage.writing.audit_records import AuditItem, AuditReceipt, AuditRecords

REQUIRED = {
    "audit.record.id": ("record", "id"),
    "audit.action": ("action",),
    "audit.outcome": ("outcome",),
}
"""Attribute to its path in metadata.audit. EventName replaces a missing audit.action;
audit.actor.id has a column."""
MAX_ID_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class AuditOutcome:
    """Result of a request of audit records: all of them are in the database."""

    received: int
    replaced_characters: int
    receipts: list[dict[str, Any]]
    rejected: dict[str, int]
    rejected_at: dict[str, str]
    warnings: list[str]


class AuditIngest:
    """The pipeline of audit records.

    Needs its own codec: it runs in a thread, so that telemetry does not wait for large bodies.
    """

    def __init__(self, codec: Codec, records: AuditRecords) -> None:
        self._codec = codec
        self._records = records
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audit")

    async def ingest(self, encoding: Encoding, body: bytes, key: KeyInfo) -> AuditOutcome:
        """Store all records of a request.

        Raises:
            BadPayload: one of them is invalid or lacks a required field.
            AuditIdTaken: an id already exists with different content.
            Unavailable: nothing was stored; the same request may be retried.
        """
        received_unix_ns = time.time_ns()
        batch, items = await asyncio.get_running_loop().run_in_executor(
            self._thread, self._items, encoding, body, key, received_unix_ns
        )
        receipts: list[AuditReceipt] = []
        if items:
            receipts = await self._records.store(
                batch, items, received_unix_ns=received_unix_ns, ingest_key_id=key.id
            )
        shown = [
            _receipt_json(receipt, item) for receipt, item in zip(receipts, items, strict=True)
        ]
        return AuditOutcome(len(items), batch.replaced_characters, shown, {}, {}, [])

    def _items(
        self, encoding: Encoding, body: bytes, key: KeyInfo, received_unix_ns: int
    ) -> tuple[RedactedBatch, list[AuditItem]]:
        """The records of a request, each checked for the required fields."""
        export = self._codec.redact(self._codec.decode(Signal.LOGS, encoding, body))
        batch = self._codec.map(
            export, received_unix_ns=received_unix_ns, key=replace(key, min_level=None)
        )
        if export.tallies.unreadable:
            raise BadPayload(
                "a value cannot be read; no record was stored", where=export.tallies.unreadable_at
            )
        if batch.rejected:
            count = sum(batch.rejected.values())
            first = next(iter(batch.rejected_at.values()), "logRecords")
            raise BadPayload(f"{count} invalid records; none was stored", where=first)
        places = enumerate(batch.records)
        return batch, [_item(batch, record, f"logRecords[{place}]") for place, record in places]


def _item(batch: RedactedBatch, record: Record, where: str) -> AuditItem:
    metadata = orjson.loads(record.metadata)
    audit = metadata.get("audit", {})
    for name, path in REQUIRED.items():
        value: Any = audit
        for step in path:
            value = value.get(step) if isinstance(value, dict) else None
        stands_in = name == "audit.action" and metadata.get("otel", {}).get("event_name")
        if not value and not stands_in:
            raise BadPayload(f"{name} is required in an audit record", where=f"{where}.attributes")
    if not record.actor_id:
        raise BadPayload(
            "audit.actor.id is required in an audit record", where=f"{where}.attributes"
        )
    record_id = str(audit["record"]["id"])
    if len(record_id) > MAX_ID_CHARACTERS:
        raise BadPayload(
            f"audit.record.id is longer than {MAX_ID_CHARACTERS} characters",
            where=f"{where}.attributes",
        )
    record.kind = "audit"
    return AuditItem(record_id, _content(batch, record, metadata), record, where)


def _content(batch: RedactedBatch, record: Record, metadata: dict[str, Any]) -> bytes:
    """Hash of the content as sent, without times set by opslog."""
    sent = {name: value for name, value in metadata.items() if name != "time_quality"}
    parts = [
        orjson.dumps(sent, option=orjson.OPT_SORT_KEYS),
        record.message.encode(),
        record.action.encode(),
        b"%d %d" % (record.stream_id, record.severity_number),
        b"%d" % record.created_unix_ns if batch.every_record_has_time else b"",
    ]
    return sha256(b"".join(len(part).to_bytes(8, "big") + part for part in parts)).digest()


def _receipt_json(receipt: AuditReceipt, item: AuditItem) -> dict[str, Any]:
    """A receipt as JSON; `redaction` as in the record's metadata."""
    return {
        "recordId": receipt.record_id,
        "id": str(receipt.id),
        "integrityHash": receipt.leaf.hex(),
        "integrityAlgorithm": "SHA-256",
        "receivedAt": receipt.received_at.isoformat().replace("+00:00", "Z"),
        "redaction": orjson.loads(item.record.metadata).get("redaction", []),
    }


class AuditRouter:
    """Routes exports (receive.Sink): audit records to AuditIngest, all others to telemetry."""

    def __init__(self, telemetry: Sink, audit: AuditIngest) -> None:
        self._telemetry = telemetry
        self._audit = audit

    async def ingest(
        self, signal: Signal, encoding: Encoding, body: bytes, key: KeyInfo
    ) -> Outcome:
        """Make the export durable; raises what the selected sink raises."""
        if signal is Signal.AUDIT:
            return await self._audit.ingest(encoding, body, key)
        return await self._telemetry.ingest(signal, encoding, body, key)
