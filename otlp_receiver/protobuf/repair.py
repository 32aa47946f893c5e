"""Reduce a message that protobuf cannot read as a whole to what can be read of it. Not hot.

In: the bytes of a record. Out: bytes that protobuf reads, and a note in the tally for each field
that is left out: one of another wire type than its descriptor says (protobuf would treat it as
unknown), and what follows the first byte that is no field. Values of attributes and bodies are kept
as they are: wire.py tolerates them.
"""

from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.unknown_fields import UnknownFieldSet

from otlp_receiver.protobuf.wire import (
    FIXED32,
    FIXED64,
    LENGTH,
    OTHER_TYPE,
    VARINT,
    Malformed,
    fields,
    sent_value,
)
from otlp_receiver.tally import Tally
from otlp_receiver.varint import varint
from storage.record.record import Value

_WIRE_TYPES = {
    FieldDescriptor.TYPE_BYTES: LENGTH,
    FieldDescriptor.TYPE_ENUM: VARINT,
    FieldDescriptor.TYPE_FIXED32: FIXED32,
    FieldDescriptor.TYPE_FIXED64: FIXED64,
    FieldDescriptor.TYPE_MESSAGE: LENGTH,
    FieldDescriptor.TYPE_UINT32: VARINT,
}
"""Wire type by the type of a field of LogRecord and Span, strings being bytes (descriptors.py)."""


def odd_fields(message: Any) -> list[tuple[str, Value]]:
    """(name, what was sent) of each field of the message with another wire type than its own."""
    unknown = UnknownFieldSet(message)
    numbers = message.DESCRIPTOR.fields_by_number if len(unknown) else {}
    odd: list[tuple[str, Value]] = []
    for place in range(len(unknown)):
        field = numbers.get(unknown[place].field_number)
        if field is not None:
            data = unknown[place].data
            odd.append((field.name, sent_value(data) if isinstance(data, (int, bytes)) else None))
    return odd


def repaired(descriptor: Any, raw: bytes, tally: Tally, where: str = "") -> bytes:
    """The fields of `raw` that fit the descriptor; the others are noted."""
    kept: list[bytes] = []
    counts: dict[str, int] = {}
    try:
        for number, wire_type, content in fields(raw):
            field = descriptor.fields_by_number.get(number)
            if field is None:
                continue
            path = where + field.name
            if field.is_repeated:
                place = counts.get(field.name, 0)
                counts[field.name] = place + 1
                path = f"{path}[{place}]"
            if wire_type != _WIRE_TYPES[field.type]:
                tally.note(path, OTHER_TYPE, sent_value(content))
                continue
            if field.message_type is not None and isinstance(content, bytes):
                content = repaired(field.message_type, content, tally, f"{path}.")  # noqa: PLW2901
            kept.append(encoded(number, wire_type, content))
    except Malformed as bad:
        tally.note(where.rstrip(".") or descriptor.name, str(bad), sent_value(raw[bad.at :]))
    return b"".join(kept)


def encoded(number: int, wire_type: int, content: int | bytes) -> bytes:
    """A field as protobuf writes it."""
    tag = varint(number << 3 | wire_type)
    if isinstance(content, int):
        return tag + varint(content)
    return tag + (varint(len(content)) if wire_type == LENGTH else b"") + content
