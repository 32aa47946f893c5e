"""Read a resource and a scope from protobuf bytes; done once per distinct stream (memos.py)."""

from otlp_receiver.export import RawStream
from otlp_receiver.protobuf.wire import LENGTH, fields, key_value
from otlp_receiver.tally import Tally

_UINT32 = 0xFFFF_FFFF


def read_resource(raw: bytes, stream: RawStream, tally: Tally, max_attributes: int) -> None:
    """Read a Resource into `stream`. Raises Malformed."""
    for number, wire_type, content in fields(raw):
        if isinstance(content, int):
            if number == 2:
                stream.resource_dropped = content & _UINT32
        elif number == 1 and wire_type == LENGTH and len(stream.resource) < max_attributes:
            stream.resource.append(key_value(content, tally))


def read_scope(raw: bytes, stream: RawStream, tally: Tally, max_attributes: int) -> None:
    """Read an InstrumentationScope into `stream`. Raises Malformed."""
    for number, wire_type, content in fields(raw):
        if isinstance(content, int):
            if number == 4:
                stream.scope_dropped = content & _UINT32
        elif wire_type != LENGTH:
            continue
        elif number == 1:
            stream.scope_name = content
        elif number == 2:
            stream.scope_version = content
        elif number == 3 and len(stream.scope) < max_attributes:
            stream.scope.append(key_value(content, tally))
