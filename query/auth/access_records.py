"""An access to the records is itself a record, of class audit: AccessEvent -> RedactedBatch."""

import ipaddress
import os
from collections.abc import Callable

from config.levels import Level
from query.auth.access_audit import AccessEvent, Outcome
from storage.record.canonical import member, object_of
from storage.record.record import Attribute, Batch, Record, RedactedBatch, Value
from storage.record.record_ids import TAIL_MASK, id_of
from storage.record.streams import stream_of

SOURCE_MODULE = "opslog"
_STREAM = stream_of(b'{"service.name": "opslog"}', b'{"name": "opslog.query", "version": ""}')
_LEVELS = {Outcome.SUCCESS: Level.INFO}
_SEVERITY = {Level.INFO: 9, Level.WARN: 13}

MakeAttribute = Callable[[str, Value], Attribute]
"""storage.redaction.Redactor.attribute: redacts an attribute like any other."""


def batch_of(event: AccessEvent, attribute: MakeAttribute) -> RedactedBatch:
    """The batch with one record, of the access."""
    level = _LEVELS.get(event.outcome, Level.WARN)
    attributes = [attribute(name, value) for name, value in _attributes(event).items()]
    audit = {"outcome": event.outcome.value}
    metadata = b"".join((
        b"{",
        member("otel", {"severity_number": _SEVERITY[level]}),
        b", ",
        member("audit", dict(audit)),
        b', "attributes": ',
        object_of(attributes),
        b"}",
    ))  # fmt: skip
    record = _record(event, level, metadata)
    return RedactedBatch(Batch([record], {_STREAM.id: _STREAM}, received=1))


def _attributes(event: AccessEvent) -> dict[str, Value]:
    """Attributes with the names of the audit proposal; unknown ones are omitted."""
    known: dict[str, Value] = {
        "audit.action": event.action,
        "audit.outcome": event.outcome.value,
        "audit.actor.id": event.subject,
        "audit.actor.type": "user",
        "user.roles": [event.role],
        "opslog.token": event.token,
        "opslog.permission": event.permission,
        "http.route": event.route,
        "url.query": event.query,
        "client.address": event.client_address,
        "opslog.rows": event.rows,
        "error.type": event.error or None,
        "opslog.request.id": event.request_id,
    }
    return {name: value for name, value in known.items() if value is not None}


def _record(event: AccessEvent, level: Level, metadata: bytes) -> Record:
    record = Record()
    record.id = id_of(event.at_unix_ns, int.from_bytes(os.urandom(8)) & TAIL_MASK)
    record.kind = "audit"
    record.level = level
    record.severity_number = _SEVERITY[level]
    record.created_unix_ns = event.at_unix_ns
    record.odd_time = False
    record.stream_id = _STREAM.id
    record.duration_ns = None
    record.trace_id = record.span_id = record.parent_span_id = None
    record.ip_address = _packed(event.client_address)
    record.source_module = SOURCE_MODULE
    record.action = event.action[:100]
    record.resource_type, record.resource_id = "logs", None
    record.actor_id = event.subject[:1000]
    record.correlation_id = event.request_id[:36]
    record.message = message_of(event)
    record.metadata = metadata
    return record


def message_of(event: AccessEvent) -> str:
    """The access as one readable line."""
    how = "" if event.outcome is Outcome.SUCCESS else f" ({event.outcome.value} {event.error})"
    rows = "" if event.rows is None else f", {event.rows} rows"
    return f"{event.role} {event.subject}: {event.action} {event.query}{rows}{how}"


def _packed(address: str | None) -> bytes | None:
    try:
        return ipaddress.ip_address(address or "").packed
    except ValueError:
        return None
