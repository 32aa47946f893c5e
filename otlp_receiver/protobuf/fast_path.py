"""Fast path for log requests as every SDK sends them, parsed directly from the bytes.

When compiled, it takes a third of the time of parsing into objects and reading those. It handles
the common form only and returns None or False for anything else (an unknown field, another wire
type, a message in two pieces, a number out of range, a length that does not fit): then protobuf's
parser reads the record or the request. So unusual and invalid input is handled in one place.

    scopes_of   a request   -> the positions of its records
    read        one record  -> its fields

Source: protobuf.dev "Encoding"; opentelemetry-proto logs.proto, for the numbers of the fields.
"""

from typing import Final

from librt.strings import read_i32_le, read_i64_le
from mypy_extensions import i64

_RESOURCE_LOGS: Final = 0x0A
_SCOPE_LOGS: Final = 0x12
_RESOURCE: Final = 0x0A
_SCOPE: Final = 0x0A
_SCHEMA_URL: Final = 0x1A
LOG_RECORD: Final = 0x12
"""The tag (field number and wire type) of a record in its scope."""

_TIME: Final = 0x09
_NUMBER: Final = 0x10
_TEXT: Final = 0x1A
_BODY: Final = 0x2A
_ATTRIBUTE: Final = 0x32
_DROPPED: Final = 0x38
_FLAGS: Final = 0x45
_TRACE_ID: Final = 0x4A
_SPAN_ID: Final = 0x52
_OBSERVED: Final = 0x59
_EVENT_NAME: Final = 0x62

_MAX_SCOPES: Final = 10_000
"""Above it the fast path gives up: the list of scopes would cost more than protobuf's."""
_INT32_MAX: Final = 0x7FFF_FFFF
_UINT32_MAX: Final = 0xFFFF_FFFF


class Resource:
    """Fields shared by the scopes of one ResourceLogs, named as in protobuf's message."""

    __slots__ = ("place", "resource", "schema_url")

    def __init__(self, place: int) -> None:
        self.place = place
        self.resource: list[bytes] = []
        self.schema_url = b""


class Scope:
    """One ScopeLogs with records, and its position in the request."""

    __slots__ = ("begin", "end", "of", "place", "records", "schema_url", "scope")

    def __init__(self, of: Resource, place: int, begin: i64, end: i64) -> None:
        self.of = of
        self.place = place
        self.begin = begin
        self.end = end
        self.records = 0
        self.scope: list[bytes] = []
        self.schema_url = b""


class Fields:
    """The fields of one record; reused for each record."""

    __slots__ = (
        "attributes",
        "body_begin",
        "body_end",
        "dropped",
        "event_name",
        "flags",
        "number",
        "observed_ns",
        "span_id",
        "text",
        "time_ns",
        "trace_id",
    )

    number: i64
    text: bytes
    flags: i64
    event_name: bytes
    dropped: i64
    time_ns: i64
    observed_ns: i64
    trace_id: bytes
    span_id: bytes
    body_begin: i64
    """Position of the AnyValue in the request; equal to `body_end` if it is missing or empty."""
    body_end: i64
    attributes: list[bytes]


def varint(raw: bytes, at: i64, end: i64) -> tuple[i64, i64]:
    """A varint and the position after it; -1 if it is truncated or longer than five bytes."""
    value: i64 = 0
    shift: i64 = 0
    while at < end and shift < 35:
        byte: i64 = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
    return 0, -1


def field(raw: bytes, at: i64, end: i64) -> tuple[i64, i64]:
    """Begin and end of the content of a length-delimited field whose length is at `at`.

    Begin is -1 if it does not fit before `end`.
    """
    size, begin = varint(raw, at, end)
    if begin < 0 or size > end - begin:
        return -1, 0
    return begin, begin + size


def scopes_of(body: bytes) -> list[Scope] | None:
    """The scopes of a request that have records, in order; None: not on the fast path."""
    found: list[Scope] = []
    at: i64 = 0
    size: i64 = len(body)
    place = 0
    while at < size:
        if body[at] != _RESOURCE_LOGS:
            return None
        begin, at = field(body, at + 1, size)
        if begin < 0 or not _add_scopes(body, begin, at, Resource(place), found):
            return None
        place += 1
    return found


def _add_scopes(body: bytes, at: i64, end: i64, resource: Resource, found: list[Scope]) -> bool:
    """Add the scopes of one ResourceLogs; False: not on the fast path."""
    place = 0
    while at < end:
        tag: i64 = body[at]
        begin, at = field(body, at + 1, end)
        if begin < 0:
            return False
        if tag == _SCOPE_LOGS:
            scope = Scope(resource, place, begin, at)
            if not _scan_scope(body, scope):
                return False
            if scope.records:
                found.append(scope)
                if len(found) > _MAX_SCOPES:
                    return False
            place += 1
        elif tag == _RESOURCE:
            resource.resource.append(body[begin:at])
        elif tag == _SCHEMA_URL:
            resource.schema_url = body[begin:at]
        else:
            return False
    return True


def _scan_scope(body: bytes, scope: Scope) -> bool:
    """Count a scope's records and read its other fields; False: not on the fast path."""
    at, end = scope.begin, scope.end
    while at < end:
        tag: i64 = body[at]
        begin, at = field(body, at + 1, end)
        if begin < 0:
            return False
        if tag == LOG_RECORD:
            scope.records += 1
        elif tag == _SCOPE:
            scope.scope.append(body[begin:at])
        elif tag == _SCHEMA_URL:
            scope.schema_url = body[begin:at]
        else:
            return False
    return True


def read(body: bytes, at: i64, end: i64, into: Fields) -> bool:  # noqa: C901, PLR0911, PLR0912
    """Read the LogRecord between two positions of a request; False: not on the fast path.

    Hot (loadtests/bench_codec.py); one branch per field of the message.
    """
    into.number = into.flags = into.dropped = into.time_ns = into.observed_ns = 0
    into.text = into.event_name = into.trace_id = into.span_id = b""
    into.body_begin = into.body_end = 0
    into.attributes = []
    has_body = False
    while at < end:
        tag: i64 = body[at]
        at += 1
        if tag in (_TIME, _OBSERVED):
            if end - at < 8:
                return False
            time_ns = read_i64_le(body, at)
            if time_ns < 0:
                return False  # after the year 2262
            if tag == _TIME:
                into.time_ns = time_ns
            else:
                into.observed_ns = time_ns
            at += 8
        elif tag == _FLAGS:
            if end - at < 4:
                return False
            flags = i64(read_i32_le(body, at))
            into.flags = flags & _UINT32_MAX
            at += 4
        elif tag in (_NUMBER, _DROPPED):
            value, at = varint(body, at, end)
            if at < 0 or value > (_INT32_MAX if tag == _NUMBER else _UINT32_MAX):
                return False
            if tag == _NUMBER:
                into.number = value
            else:
                into.dropped = value
        else:
            begin, at = field(body, at, end)
            if begin < 0:
                return False
            if tag == _ATTRIBUTE:
                into.attributes.append(body[begin:at])
            elif tag == _BODY:
                if has_body:
                    return False  # in two pieces
                has_body = True
                into.body_begin, into.body_end = begin, at
            elif tag == _TRACE_ID:
                into.trace_id = body[begin:at]
            elif tag == _SPAN_ID:
                into.span_id = body[begin:at]
            elif tag == _TEXT:
                into.text = body[begin:at]
            elif tag == _EVENT_NAME:
                into.event_name = body[begin:at]
            else:
                return False
    return True
