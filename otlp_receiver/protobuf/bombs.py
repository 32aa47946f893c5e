"""Protobuf bodies that are small on the wire and would fill the memory once decoded.

Two bytes can be a message, which costs a hundred bytes of memory. The number of messages in a body
is bounded here, before decoding; limits.request_rows bounds the rows made of them. An ordinary body
is far below the limit and is not walked.
"""

from random import sample
from typing import Any

from otlp_receiver.errors import BadPayload
from otlp_receiver.protobuf.wire import LENGTH, Malformed, fields

MAX_MESSAGES = 2_000_000
"""Messages and attributes in a protobuf body: some 250 MB of memory. The load tool's records, which
are ordinary, hold twelve in 600 bytes, so 64 MiB of them 1.3 million."""

_ENVELOPES: dict[int, Any] = {1: {2: {2: {}}, 1000: {2: {}}}}
"""The fields whose content is walked: resource_logs, scope_logs (and its predecessor), log_records;
those of traces have the same numbers."""

_TAGS = bytes(number << 3 | LENGTH for number in range(1, 16))
"""First bytes of fields with a length: one stands before each message and each attribute."""

_STRIDES = (17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61)
"""Primes: a body of pairs of bytes must not show its second ones only. Two of them have no period
in common that would be dense."""


def refuse_protobuf_bomb(body: bytes) -> None:
    """Raises BadPayload for a body of more than MAX_MESSAGES messages.

    No message is smaller than two bytes. Longer bodies are sampled at strides that a sender cannot
    know, and only what looks dense is counted, for 0.3 us each.
    """
    if len(body) <= 2 * MAX_MESSAGES:
        return
    density = max(_density(body[::stride]) for stride in sample(_STRIDES, 2))
    if density * len(body) > MAX_MESSAGES and _messages(body) > MAX_MESSAGES:
        raise BadPayload(f"the body holds more than {MAX_MESSAGES} messages; send smaller batches")


def _density(some: bytes) -> float:
    return 1 - len(some.translate(None, _TAGS)) / len(some)


def _messages(body: bytes) -> int:
    """Fields with a length down to those of the records, or MAX_MESSAGES + 1 if there are more."""
    count = 0
    waiting = [(body, _ENVELOPES)]
    try:
        while waiting:
            raw, known = waiting.pop()
            for number, wire_type, content in fields(raw):
                if wire_type != LENGTH or not isinstance(content, bytes):
                    continue
                count += 1
                if count > MAX_MESSAGES:
                    return count
                if number in known:
                    waiting.append((content, known[number]))
    except Malformed:
        return 0  # decoding says where
    return count
