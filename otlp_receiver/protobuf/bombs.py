"""Reject protobuf bombs: bodies that are small on the wire and would exhaust memory when decoded.

Two bytes can be a message, which takes a hundred bytes of memory. The number of messages in a body
is limited here, before decoding; limits.request_rows limits the rows. An ordinary body is far below
the limit and is not parsed here.
"""

from random import sample
from typing import Any

from otlp_receiver.errors import BadPayload
from otlp_receiver.protobuf.wire import LENGTH, Malformed, fields

MAX_MESSAGES = 2_000_000
"""Maximum messages and attributes in a body, about 250 MB of memory. The load tool's ordinary
records have twelve in 600 bytes, so 64 MiB of them have 1.3 million."""

_ENVELOPES: dict[int, Any] = {1: {2: {2: {}}, 1000: {2: {}}}}
"""The fields to descend into: resource_logs, scope_logs (and its predecessor), log_records; those
of traces have the same numbers."""

_TAGS = bytes(number << 3 | LENGTH for number in range(1, 16))
"""Tags of length-delimited fields: one precedes each message and each attribute."""

_STRIDES = (17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61)
"""Primes, so that the samples of a body of byte pairs do not contain only the second bytes. Two of
them have no dense common period."""


def refuse_protobuf_bomb(body: bytes) -> None:
    """Raise BadPayload for a body with more than MAX_MESSAGES messages.

    A message has at least two bytes. Longer bodies are sampled at random strides, which a sender
    cannot predict, and only dense ones are counted, at 0.3 us per message.
    """
    if len(body) <= 2 * MAX_MESSAGES:
        return
    density = max(_density(body[::stride]) for stride in sample(_STRIDES, 2))
    if density * len(body) > MAX_MESSAGES and _messages(body) > MAX_MESSAGES:
        raise BadPayload(f"the body has more than {MAX_MESSAGES} messages; send smaller batches")


def _density(some: bytes) -> float:
    return 1 - len(some.translate(None, _TAGS)) / len(some)


def _messages(body: bytes) -> int:
    """Count length-delimited fields down to those of records; stop at MAX_MESSAGES + 1."""
    count = 0
    pending = [(body, _ENVELOPES)]
    try:
        while pending:
            raw, known = pending.pop()
            for number, wire_type, content in fields(raw):
                if wire_type != LENGTH or not isinstance(content, bytes):
                    continue
                count += 1
                if count > MAX_MESSAGES:
                    return count
                if number in known:
                    pending.append((content, known[number]))
    except Malformed:
        return 0  # decoding reports the error
    return count
