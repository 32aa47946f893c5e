"""Reject JSON bombs: bodies that are small on the wire and would exhaust memory when parsed."""

from otlp_receiver.errors import BadPayload

MAX_CONTAINERS = 4_000_000
"""Maximum objects and lists in a body, about 400 MB. 64 MiB of ordinary records have 2 million."""


def refuse_json_bomb(body: bytes) -> None:
    """Raise BadPayload for a body with more than MAX_CONTAINERS objects and lists."""
    if len(body) > MAX_CONTAINERS and body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise BadPayload(
            f"the body has more than {MAX_CONTAINERS} objects and lists; send smaller batches"
        )
