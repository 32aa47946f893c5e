"""A stream's identity: resource and scope in canonical form, and the hash over them."""

from hashlib import sha256

from storage.record import StreamDef


def stream_of(
    resource: bytes, scope: bytes, resource_schema_url: str = "", scope_schema_url: str = ""
) -> StreamDef:
    """The definition of a stream; `resource` and `scope` are canonical JSON objects, redacted.

    The hash covers the four parts, each behind its length, so that no two streams share it.
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
