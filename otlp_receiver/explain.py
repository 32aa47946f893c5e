"""Explain how an export would be mapped: for each column its value, source and rule.

Nothing is stored. The stages are those of pipeline.py, and the mapping itself reports its sources
(mapping/context.py), so an explanation cannot differ from what would be stored. It contains
redacted records only.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any
from uuid import UUID

import orjson

from config.levels import LEVEL_NAMES
from config.process.clock import utc_text
from otlp_receiver.codec import Codec, SenderKey
from otlp_receiver.export import Encoding, RedactedExport, Signal
from otlp_receiver.mapping.context import Sources
from otlp_receiver.mapping.reject_reasons import REASONS
from storage.record.record import Record, RedactedBatch, StreamDef

MAX_RECORDS = 1000
"""Maximum records in an explanation; a person reads a handful."""

RULES: dict[str, str] = {
    "id": "identity",
    "createdAt": "times",
    "level": "levels",
    "sourceModule": "module",
    "action": "action",
    "resourceType": "resource",
    "resourceId": "resource",
    "actorId": "actor",
    "ipAddress": "address",
    "correlationId": "correlation",
    "traceId": "trace_ids",
    "spanId": "trace_ids",
    "parentSpanId": "trace_ids",
    "durationNs": "times",
    "message": "message",
}
"""Rule by column: a module in otlp_receiver/mapping/columns and a section of docs/mapping.md."""


def values_of(record: Record) -> dict[str, Any]:
    """The columns of a record as in the API."""
    return {
        "id": str(UUID(bytes=record.id)),
        "createdAt": utc_text(record.created_unix_ns),
        "level": LEVEL_NAMES[record.level],
        "sourceModule": record.source_module,
        "action": record.action,
        "resourceType": record.resource_type,
        "resourceId": record.resource_id,
        "actorId": record.actor_id,
        "ipAddress": None if record.ip_address is None else str(ip_address(record.ip_address)),
        "correlationId": record.correlation_id,
        "traceId": _hex(record.trace_id),
        "spanId": _hex(record.span_id),
        "parentSpanId": _hex(record.parent_span_id),
        "durationNs": record.duration_ns,
        "message": record.message,
    }


class Explainer:
    """Handles /v1/logs:explain and /v1/traces:explain.

    Needs its own codec: it runs in a thread, and memos are not thread-safe.
    """

    def __init__(
        self, codec: Codec, classify: Callable[[Record], str], now_ns: Callable[[], int]
    ) -> None:
        self._codec = codec
        self._classify = classify
        self._now_ns = now_ns
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="explain")

    async def __call__(
        self, signal: Signal, encoding: Encoding, body: bytes, key: SenderKey
    ) -> bytes:
        """Explain in a thread, so that ingest does not wait."""
        return await asyncio.get_running_loop().run_in_executor(
            self._thread, self.explain, signal, encoding, body, key
        )

    def explain(self, signal: Signal, encoding: Encoding, body: bytes, key: SenderKey) -> bytes:
        """The explanation as JSON. Raises BadPayload like the export itself."""
        redacted = self._codec.redact(self._codec.decode(signal, encoding, body))
        mapped: list[_Mapped] = []

        def note(record: Record, sources: Sources, reason: str) -> None:
            mapped.append(_Mapped(record, sources, reason))

        batch = self._codec.map(redacted, received_unix_ns=self._now_ns(), key=key, note=note)
        return orjson.dumps(self._explanation(redacted, batch, mapped))

    def _explanation(
        self, redacted: RedactedExport, batch: RedactedBatch, mapped: "list[_Mapped]"
    ) -> dict[str, Any]:
        rejected: dict[int, dict[str, Any]] = {
            reject.position: {
                "position": reject.position,
                "stored": False,
                "reason": reject.reason,
                "why": REASONS[reject.reason],
                "where": reject.where,
                "count": reject.count,
            }
            for reject in redacted.tallies.rejects
        }
        records: list[dict[str, Any]] = []
        position = 0
        for item in mapped:
            while position in rejected:
                reject = rejected.pop(position)
                records.append(reject)
                position += reject["count"]
            derived = "derivedFrom" in item.sources
            records.append(self._explained(position - derived, item, batch.streams))
            position += not derived
        records.extend(rejected[place] for place in sorted(rejected))
        return {
            "received": batch.received,
            "stored": len(batch.records),
            "derived": batch.derived,
            "rejected": batch.rejected,
            "replacedCharacters": batch.replaced_characters,
            "redactions": batch.redactions,
            "records": records[:MAX_RECORDS],
            "omitted": max(len(records) - MAX_RECORDS, 0),
        }

    def _explained(
        self, position: int, item: "_Mapped", streams: dict[int, StreamDef]
    ) -> dict[str, Any]:
        record, sources = item.record, item.sources
        stream = streams[record.stream_id]
        explained: dict[str, Any] = {
            "position": position,
            "stored": not item.reason,
            "kind": record.kind,
            "class": self._classify(record),
            "fields": {
                name: {
                    "value": value,
                    "from": None if value is None else sources[name],
                    "rule": RULES[name],
                }
                for name, value in values_of(record).items()
            },
            "resource": orjson.Fragment(stream.resource),
            "scope": orjson.Fragment(stream.scope),
            "metadata": orjson.Fragment(record.metadata),
        }
        if "derivedFrom" in sources:
            explained["derivedFrom"] = sources["derivedFrom"]
        if item.reason:
            explained.update(reason=item.reason, why=REASONS[item.reason])
        return explained


@dataclass(slots=True)
class _Mapped:
    """A record reported by the mapping."""

    record: Record
    sources: Sources
    reason: str


def _hex(raw: bytes | None) -> str | None:
    return None if raw is None else raw.hex()
