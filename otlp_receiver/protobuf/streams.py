"""Read a resource and a scope from protobuf bytes; done once per distinct stream (memos.py)."""

from otlp_receiver.export import RawStream
from otlp_receiver.protobuf.wire import (
    LENGTH,
    OTHER_TYPE,
    VARINT,
    Malformed,
    fields,
    key_value,
    sent_value,
)
from otlp_receiver.tally import Tally

_UINT32 = 0xFFFF_FFFF
_RESOURCE = {1: (LENGTH, "attributes"), 2: (VARINT, "dropped_attributes_count")}
_SCOPE = {
    1: (LENGTH, "name"),
    2: (LENGTH, "version"),
    3: (LENGTH, "attributes"),
    4: (VARINT, "dropped_attributes_count"),
}
"""Wire type and name by number."""


def read_resource(raw: bytes, stream: RawStream, tally: Tally, max_attributes: int) -> None:
    """Read a Resource into `stream`; what cannot be read is noted."""
    place = -1
    try:
        for number, wire_type, content in fields(raw):
            if not _fits(_RESOURCE, (number, wire_type, content), "resource", tally):
                continue
            if isinstance(content, int):
                stream.resource_dropped = content & _UINT32
            elif len(stream.resource) < max_attributes:
                place += 1
                before = len(tally.notes)
                stream.resource.append(key_value(content, tally))
                tally.place(before, f"resource.attributes[{place}]")
    except Malformed as bad:
        tally.note("resource", str(bad), sent_value(raw[bad.at :]))


def read_scope(raw: bytes, stream: RawStream, tally: Tally, max_attributes: int) -> None:
    """Read an InstrumentationScope into `stream`; what cannot be read is noted."""
    place = -1
    try:
        for number, wire_type, content in fields(raw):
            if not _fits(_SCOPE, (number, wire_type, content), "scope", tally):
                continue
            if isinstance(content, int):
                stream.scope_dropped = content & _UINT32
            elif number == 1:
                stream.scope_name = content
            elif number == 2:
                stream.scope_version = content
            elif len(stream.scope) < max_attributes:
                place += 1
                before = len(tally.notes)
                stream.scope.append(key_value(content, tally))
                tally.place(before, f"scope.attributes[{place}]")
    except Malformed as bad:
        tally.note("scope", str(bad), sent_value(raw[bad.at :]))


def _fits(
    known: dict[int, tuple[int, str]],
    field: tuple[int, int, int | bytes],
    where: str,
    tally: Tally,
) -> bool:
    """Whether a field is known; one with another wire type is noted."""
    number, wire_type, content = field
    if number not in known:
        return False
    expected, name = known[number]
    if wire_type != expected:
        tally.note(f"{where}.{name}", OTHER_TYPE, sent_value(content))
        return False
    return True
