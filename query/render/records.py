"""A row as the record of the API, byte for byte what the store holds.

The metadata is not parsed: PostgreSQL fills in the missing parts and prints it, resource and
scope are put in as text. So integers beyond 2**53 stay exact, and a page costs microseconds.
"""

from collections.abc import Iterable, Mapping

import orjson

from storage.fields import KIND_OF_LETTER
from storage.read import NO_STREAM, Row, Stream
from storage.times import rfc3339


def record_json(row: Row, stream: Stream) -> bytes:
    """One record as a JSON object (design section 5), without a line break."""
    head = orjson.dumps(
        {
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
    )
    # Neither object is ever empty: the metadata has all its default members.
    metadata = (
        f'{row["metadata"][:-1]}, "resource": {stream.resource}, "scope": {stream.scope}}}'
    ).encode()
    return b'%s,"metadata":%s}' % (head[:-1], metadata)


def records(rows: Iterable[Row], streams: Mapping[int, Stream]) -> list[bytes]:
    """All rows as JSON objects."""
    return [record_json(row, streams.get(row["stream_id"], NO_STREAM)) for row in rows]


def page_json(objects: Iterable[bytes], next_cursor: str | None) -> bytes:
    """A collection: `{"data": […], "nextCursor": …}`."""
    return b'{"data":[%s],"nextCursor":%s}' % (b",".join(objects), orjson.dumps(next_cursor))


def _hex(raw: bytes | None) -> str | None:
    return None if raw is None else raw.hex()
