"""JSON bodies that are small on the wire and would fill the memory once parsed."""

from otlp_receiver.errors import BadPayload

MAX_CONTAINERS = 4_000_000
"""Objects and lists in a JSON body: some 400 MB. 64 MiB of ordinary records hold 2 million."""


def refuse_json_bomb(body: bytes) -> None:
    """Raises BadPayload for a body of more than MAX_CONTAINERS objects and lists."""
    if len(body) > MAX_CONTAINERS and body.count(b"{") + body.count(b"[") > MAX_CONTAINERS:
        raise BadPayload(
            f"the body holds more than {MAX_CONTAINERS} objects and lists; send smaller batches"
        )
