"""A stream: resource and scope in canonical form, the hash over them, and its row."""

from collections.abc import Collection
from hashlib import sha256

from storage.database.connection import Connection
from storage.database.statements import statement
from storage.record.record import StreamDef


def stream_of(
    resource: bytes, scope: bytes, resource_schema_url: str = "", scope_schema_url: str = ""
) -> StreamDef:
    """The definition of a stream; `resource` and `scope` are canonical JSON objects, redacted.

    The hash covers the four parts, each prefixed by its length, so that it is unambiguous.
    """
    parts = (resource, scope, resource_schema_url.encode(), scope_schema_url.encode())
    digest = sha256(b"".join([len(part).to_bytes(8, "big") + part for part in parts])).digest()
    return StreamDef(
        id=int.from_bytes(digest[:8], "big", signed=True),
        digest=digest,
        resource=resource,
        scope=scope,
        resource_schema_url=resource_schema_url,
        scope_schema_url=scope_schema_url,
    )


async def add_streams(connection: Connection, streams: Collection[StreamDef]) -> None:
    """Store definitions; existing ones are left unchanged."""
    await connection.execute(
        statement("add_streams"),
        [stream.id for stream in streams],
        [stream.digest for stream in streams],
        [stream.resource.decode() for stream in streams],
        [stream.scope.decode() for stream in streams],
        [stream.resource_schema_url for stream in streams],
        [stream.scope_schema_url for stream in streams],
    )
