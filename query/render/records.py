"""A row as a record of the API, byte for byte as stored.

The metadata is not parsed: PostgreSQL adds defaults and serializes it; resource and scope are
inserted as text. So integers beyond 2**53 stay exact, and a page costs microseconds.
"""

import json
from collections.abc import Iterable, Mapping

import orjson

from storage.database.read import NO_STREAM, Row, Stream
from storage.record.fields import KIND_OF_LETTER
from storage.record.times import rfc3339

MEMBERS = (
    *("id", "kind", "level", "sourceModule", "action", "resourceId", "resourceType", "actorId"),
    *("ipAddress", "correlationId", "traceId", "spanId", "parentSpanId", "message", "createdAt"),
    *("receivedAt", "durationNs", "metadata"),
)
"""The members of a record, in their order."""


_JSON = json.JSONDecoder()
_BODY, _OTEL = '{"body": ', ', "otel": {'


def record_json(row: Row, stream: Stream, names: frozenset[str] | None = None) -> bytes:
    """One record as a JSON object (design section 5), without a line break.

    `names`: the selected members; None: all.
    """
    values = _values(row)
    if names is not None:
        values = {name: value for name, value in values.items() if name in names}
        if "metadata" not in names:
            return orjson.dumps(values)
    # Never empty: the metadata has all its defaults.
    text = metadata_text(row, stream)
    metadata = f'{text[:-1]}, "resource": {stream.resource}, "scope": {stream.scope}}}'.encode()
    if not values:
        return b'{"metadata":%s}' % metadata
    return b'%s,"metadata":%s}' % (orjson.dumps(values)[:-1], metadata)


def metadata_text(row: Row, stream: Stream) -> str:
    """The row's metadata, with the stream's schema URLs in its `otel`."""
    metadata: str = row["metadata"]
    urls = {
        "resource_schema_url": stream.resource_schema_url,
        "schema_url": stream.scope_schema_url,
    }
    sent = {name: url for name, url in urls.items() if url}
    if not sent:
        return metadata
    # jsonb orders short names first: the body, then otel, which may be empty.
    _, end = _JSON.raw_decode(metadata, len(_BODY))
    at = end + len(_OTEL)
    more = orjson.dumps(sent).decode()[1:-1]
    return f"{metadata[:at]}{more}{'' if metadata[at] == '}' else ', '}{metadata[at:]}"


def _values(row: Row) -> dict[str, object]:
    """All members but the metadata, in the order of MEMBERS."""
    return {
        "id": str(row["id"]),
        "kind": KIND_OF_LETTER[row["kind"].encode()].word,
        "level": row["level"],
        "sourceModule": row["source_module"],
        "action": row["action"],
        "resourceId": row["resource_id"],
        "resourceType": row["resource_type"],
        "actorId": row["actor_id"],
        "ipAddress": row["ip_address"],
        "correlationId": row["correlation_id"],
        "traceId": _hex(row["trace_id"].bytes if row["trace_id"] else None),
        "spanId": _hex(row["span_id"]),
        "parentSpanId": _hex(row["parent_span_id"]),
        "message": row["message"],
        "createdAt": rfc3339(row["created_at"], row["created_ns"]),
        "receivedAt": rfc3339(row["received_at"]),
        "durationNs": row["duration_ns"],
    }


def records(
    rows: Iterable[Row], streams: Mapping[int, Stream], names: frozenset[str] | None = None
) -> list[bytes]:
    """All rows as JSON objects."""
    return [record_json(row, streams.get(row["stream_id"], NO_STREAM), names) for row in rows]


def page_json(
    objects: Iterable[bytes], next_cursor: str | None, notes: Mapping[str, object] | None = None
) -> bytes:
    """A collection: `{"data": […], "nextCursor": …}`, and optional members."""
    more = b"," + orjson.dumps(notes)[1:-1] if notes else b""
    cursor = orjson.dumps(next_cursor)
    return b'{"data":[%s],"nextCursor":%s%s}' % (b",".join(objects), cursor, more)


def _hex(raw: bytes | None) -> str | None:
    return None if raw is None else raw.hex()
