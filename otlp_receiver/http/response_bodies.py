"""Bodies of responses: partial_success or google.rpc.Status, in the request's encoding.

Both encodings are written without protobuf classes: there are five fields, and no dependency of
opslog contains Status. tests/contract/otlp parses them with the official classes. Sources:
opentelemetry-proto docs/specification.md ("Full Success", "Partial Success", "Failures"),
googleapis google/rpc/{status,error_details}.proto.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import orjson

from config.errors import BadInput, OpslogError
from otlp_receiver.export import Encoding, Signal
from otlp_receiver.mapping.reject_reasons import REASONS
from otlp_receiver.varint import varint

MAX_MESSAGE_CHARACTERS = 4000
"""The specification limits responses to 4 MiB; people read far less."""
MAX_WHERE_CHARACTERS = 500
RECEIPTS_FIELD = 1000
"""Field of the protobuf response of /v1/audit: the receipts as JSON text."""

CONTENT_TYPES: dict[Encoding, str] = {
    Encoding.PROTOBUF: "application/x-protobuf",
    Encoding.JSON: "application/json",
}
"""Exact values: the Collector's exporter compares the whole header, including parameters."""

_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
_EMPTY: dict[Encoding, bytes] = {Encoding.PROTOBUF: b"", Encoding.JSON: b"{}"}


class Outcome(Protocol):
    """Result of one durable export."""

    @property
    def received(self) -> int:
        """Records (spans) in the request."""

    @property
    def rejected(self) -> Mapping[str, int]:
        """Count of rejected records by reason."""

    @property
    def rejected_at(self) -> Mapping[str, str]:
        """Field path of the first rejected record by reason, if known."""

    @property
    def warnings(self) -> list[str]:
        """Warnings about accepted records."""

    @property
    def replaced_characters(self) -> int:
        """Characters that cannot be stored, replaced by U+FFFD."""


@dataclass(frozen=True, slots=True)
class Rejections:
    """Names of a signal's rejected records, in text and in JSON."""

    noun: str
    json_name: str


_REJECTIONS: dict[Signal, Rejections] = {
    Signal.LOGS: Rejections("log records", "rejectedLogRecords"),
    Signal.TRACES: Rejections("spans", "rejectedSpans"),
}


def accepted(signal: Signal, encoding: Encoding, outcome: Outcome) -> bytes:
    """The body of a 200 response. Without rejects and warnings partial_success is unset."""
    if signal is Signal.AUDIT:
        return _receipts(encoding, outcome)
    if not outcome.rejected and not outcome.warnings:
        return _EMPTY[encoding]
    rejections = _REJECTIONS[signal]
    rejected = sum(outcome.rejected.values())
    message = _error_message(rejections.noun, rejected, outcome)
    if encoding is Encoding.JSON:
        partial: dict[str, str] = {"errorMessage": message}
        if rejected:
            partial[rejections.json_name] = str(rejected)
        return orjson.dumps({"partialSuccess": partial})
    # ExportLogsPartialSuccess and ExportTracePartialSuccess have the same field numbers.
    return _text(1, _number(1, rejected) + _text(2, message.encode()))


def _receipts(encoding: Encoding, outcome: Outcome) -> bytes:
    """One receipt per record, in order.

    Protobuf has no message for it yet: parsers of ExportLogsServiceResponse skip the field.
    """
    receipts = orjson.dumps({"receipts": getattr(outcome, "receipts", [])})
    return receipts if encoding is Encoding.JSON else _text(RECEIPTS_FIELD, receipts)


def status(encoding: Encoding, error: OpslogError) -> bytes:
    """A google.rpc.Status; for a BadInput with the invalid field in a BadRequest detail."""
    message = _shortened(f"{error.code}: {error}", MAX_MESSAGE_CHARACTERS)
    where = _shortened(getattr(error, "where", ""), MAX_WHERE_CHARACTERS)
    detailed = isinstance(error, BadInput) and error.status == 400
    if encoding is Encoding.JSON:
        body_json: dict[str, object] = {"code": error.grpc_code, "message": message}
        if detailed:
            violation = {"field": where, "description": message}
            body_json["details"] = [{"@type": _BAD_REQUEST, "fieldViolations": [violation]}]
        return orjson.dumps(body_json)
    body = _number(1, error.grpc_code) + _text(2, message.encode())
    if detailed:
        violation_ = _text(1, where.encode()) + _text(2, message.encode())
        detail = _text(1, _BAD_REQUEST.encode()) + _text(2, _text(1, violation_))
        body += _text(3, detail)
    return body


def _error_message(noun: str, rejected: int, outcome: Outcome) -> str:
    """Number of rejected records with reasons and advice; then the warnings."""
    sentences = list(outcome.warnings)
    if rejected:
        reasons = "; ".join(
            f"{count} {reason}{_first_of(outcome.rejected_at.get(reason))}:"
            f" {REASONS.get(reason, 'see docs/troubleshooting.md')}"
            for reason, count in outcome.rejected.items()
        )
        sentences.insert(0, f"{rejected} of {outcome.received} {noun} rejected; {reasons}")
    return _shortened("; ".join(sentences), MAX_MESSAGE_CHARACTERS)


def _first_of(where: str | None) -> str:
    return f" (first: {_shortened(where, MAX_WHERE_CHARACTERS)})" if where else ""


def _shortened(text: str, limit: int) -> str:
    """Text that is valid UTF-8 and truncated to `limit` characters."""
    clean = text.encode("utf-8", "replace").decode()
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def _number(tag: int, value: int) -> bytes:
    """A varint field; proto3 omits zeros."""
    return varint(tag << 3) + varint(value) if value else b""


def _text(tag: int, value: bytes) -> bytes:
    """A length-delimited field: string, bytes or message."""
    return varint(tag << 3 | 2) + varint(len(value)) + value
