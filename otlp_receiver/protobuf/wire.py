"""Parse AnyValue and KeyValue from protobuf bytes, tolerating invalid values.

The protobuf library rejects the whole request for invalid UTF-8 or deep nesting. `key_value` and
`any_value` detect the common forms by their first bytes; `fields` handles everything else, and only
it raises Malformed: what cannot be read is kept in its place as text, or as bytes if it is none,
with a note of its path.
Source: protobuf.dev "Encoding"; opentelemetry-proto common.proto.
"""

from collections.abc import Iterator
from struct import Struct

from otlp_receiver.tally import MAX_NODES, TOO_DEEP, Tally, text_of
from storage.record.record import Value

VARINT, FIXED64, LENGTH, GROUP, END_GROUP, FIXED32 = range(6)
MAX_GROUP_DEPTH = 100
_unpack_double = Struct("<d").unpack
_INT64_SIGN = 1 << 63
_TAG_LIMIT = 1 << 32
_CONTROLS = frozenset(map(chr, range(32))) - {"\t", "\n", "\r"}
_FLAT_STRING, _FLAT_BOOL, _FLAT_INT, _FLAT_DOUBLE = 0x0A, 0x10, 0x18, 0x21


class Malformed(ValueError):
    """Invalid protobuf; the message describes the error and never contains the bytes."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.at = 0
        """Position of the first byte of the field that cannot be read."""


OTHER_TYPE = "another wire type than its field has"
"""Problem of a value that protobuf would treat as an unknown field."""


def sent_value(content: int | bytes) -> Value:
    """What was sent in place of another value: a number as text, bytes as text if they are one."""
    if isinstance(content, int):
        return str(content)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    return content if _CONTROLS.intersection(text) else text


def key_value(raw: bytes, tally: Tally, depth: int = 0) -> tuple[str, Value]:
    """Parse a KeyValue; a missing key is "", a missing value None.

    opentelemetry-proto, common.proto: "It is valid for all values to be unspecified".
    """
    # The form that every SDK sends: 0a len key 12 len value, both shorter than 128 bytes.
    size = len(raw)
    if size > 3 and raw[0] == 0x0A and (at := raw[1] + 2) < size - 1 and raw[at] == 0x12:
        value_size = raw[at + 1]
        if value_size < 0x80 and at < 0x82 and at + 2 + value_size == size:
            key = text_of(raw[2:at], tally)
            # The most common case: a short text.
            if value_size > 1 and raw[at + 2] == _FLAT_STRING and raw[at + 3] == value_size - 2:
                return key, text_of(raw[at + 4 :], tally)
            before = len(tally.notes)
            value = any_value(raw[at + 2 :], tally, depth)
            if len(tally.notes) > before:
                tally.place(before, "value")
            return key, value
    return _key_value(raw, tally, depth)


def _key_value(raw: bytes, tally: Tally, depth: int) -> tuple[str, Value]:
    """Parse any message, like `_any_value`."""
    raw_key = b""
    values: list[bytes] = []
    odd: Value = None
    try:
        for number, wire_type, content in fields(raw):
            if number not in {1, 2, 3}:
                continue
            if wire_type != (VARINT if number == 3 else LENGTH):
                tally.note(_PAIR_MEMBERS[number], OTHER_TYPE)
                odd = sent_value(content)
            elif not isinstance(content, bytes):
                tally.strindex()
            elif number == 1:
                raw_key = content
            else:
                values.append(content)
    except Malformed as bad:
        # Redaction judges what is left by the key, so it is the value, if there is no other.
        odd = sent_value(raw[bad.at :])
        tally.note("", str(bad), odd if values else None)
    key = text_of(raw_key, tally)
    if not values:
        return key, odd
    before = len(tally.notes)
    value = any_value(b"".join(values), tally, depth)
    if len(tally.notes) > before:
        tally.place(before, "value")
    return key, value


_PAIR_MEMBERS = ("", "key", "value", "key_strindex")
"""KeyValue's members, by number."""


def any_value(  # noqa: PLR0911 - the hot path
    raw: bytes, tally: Tally, depth: int = 0
) -> Value:
    """Parse an AnyValue; empty is None. Of the oneof's members the last wins.

    `depth` counts the enclosing maps and lists. Beyond `tally.max_depth` a container is replaced by
    a marker, so that an exporter's bug does not lose the record.
    """
    size = len(raw)
    if not size:
        return None
    # The common forms: one scalar member that fills the message.
    first = raw[0]
    if first == _FLAT_STRING and size > 1:
        if raw[1] == size - 2 < 0x80:
            return text_of(raw[2:], tally)
        if size > 130 and raw[2] < 0x80 and (raw[1] & 0x7F | raw[2] << 7) == size - 3:
            return text_of(raw[3:], tally)
    elif first == _FLAT_INT and size == 2 and raw[1] < 0x80:
        return raw[1]
    elif first == _FLAT_DOUBLE and size == 9:
        number: float = _unpack_double(raw[1:])[0]
        return number
    elif first == _FLAT_BOOL and size == 2 and raw[1] < 2:
        return raw[1] == 1
    return _any_value(raw, tally, depth)


def _any_value(raw: bytes, tally: Tally, depth: int) -> Value:
    """Parse any message: with every order, repetition and merging that protobuf allows."""
    member = 0
    parts: list[bytes] = []
    scalar: int | bytes = 0
    odd: Value = None
    try:
        for number, wire_type, content in fields(raw):
            if _WIRE_TYPES.get(number) != wire_type:
                if number in _WIRE_TYPES:
                    tally.note(_MEMBERS[number], OTHER_TYPE)
                    odd = sent_value(content)
                continue
            if number != member:
                parts = []
            member, scalar = number, content
            if isinstance(content, bytes) and (number in {5, 6}):
                parts.append(content)
    except Malformed as bad:
        tally.note("", str(bad))
        return sent_value(raw)
    if member in {5, 6}:
        before = len(tally.notes)
        value = _container(member, b"".join(parts), tally, depth + 1)
        if len(tally.notes) > before:
            tally.place(before, _MEMBERS[member])
        return value
    if member == 8:
        tally.strindex()
        return None
    return _scalar(member, scalar, tally) if member else odd


_WIRE_TYPES = {
    1: LENGTH,
    2: VARINT,
    3: VARINT,
    4: FIXED64,
    5: LENGTH,
    6: LENGTH,
    7: LENGTH,
    8: VARINT,
}
"""AnyValue's members."""
_MEMBERS = (
    "",
    "string_value",
    "bool_value",
    "int_value",
    "double_value",
    "array_value",
    "kvlist_value",
    "bytes_value",
    "string_value_strindex",
)
"""Their names, by number."""


def _scalar(member: int, content: int | bytes, tally: Tally) -> Value:
    if isinstance(content, bytes):
        return text_of(content, tally) if member == 1 else _bytes_or_double(member, content)
    if member == 2:
        return content != 0
    return signed(content) if member == 3 else None


def _bytes_or_double(member: int, content: bytes) -> Value:
    if member == 4:
        number: float = _unpack_double(content)[0]
        return number
    return content


def _container(member: int, raw: bytes, tally: Tally, depth: int) -> Value:
    if depth > tally.max_depth:
        tally.cut("too_deep")
        return TOO_DEEP
    if depth == 1:
        tally.nodes = MAX_NODES
    elements: list[Value] = []
    pairs: dict[str, Value] = {}
    place = -1
    try:
        for number, wire_type, content in fields(raw):
            if number != 1:
                continue
            place += 1
            before = len(tally.notes)
            if wire_type != LENGTH or not isinstance(content, bytes):
                tally.note(f"values[{place}]", OTHER_TYPE, sent_value(content))
                continue
            tally.nodes -= 1
            if tally.nodes < 0:
                tally.cut("too_many_elements")
                continue
            if member == 5:
                elements.append(any_value(content, tally, depth))
            else:
                key, value = key_value(content, tally, depth)
                pairs[key] = value
            if len(tally.notes) > before:
                tally.place(before, f"values[{place}]")
    except Malformed as bad:
        tally.note("values", str(bad), sent_value(raw[bad.at :]))
    return elements if member == 5 else pairs


def signed(number: int) -> int:
    """A varint as int64."""
    return number - (1 << 64) if number >= _INT64_SIGN else number


def fields(raw: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (number, wire type, content) of each field of a message, without groups.

    Content is an int for varints, bytes otherwise. Raises Malformed for what protobuf rejects:
    truncation, a varint longer than ten bytes, field number 0, wire types 6 and 7.
    """
    start = at = 0
    size = len(raw)
    try:
        while at < size:
            start = at
            number, wire_type, at = _tag(raw, at)
            if wire_type == VARINT:
                value, at = _varint(raw, at)
                yield number, wire_type, value
            elif wire_type == LENGTH:
                at, end = _sized(raw, at, size)
                yield number, wire_type, raw[at:end]
                at = end
            elif wire_type == GROUP:
                at = _after_group(raw, at, number)
            else:
                end = _after_fixed(size, at, wire_type)
                yield number, wire_type, raw[at:end]
                at = end
    except Malformed as bad:
        bad.at = start
        raise


def _tag(raw: bytes, at: int) -> tuple[int, int, int]:
    """Number and wire type of the field at `at`, and the position after its tag."""
    tag, at = _varint(raw, at)
    number = tag >> 3
    if tag >= _TAG_LIMIT or not number:
        raise Malformed("invalid field number")
    return number, tag & 7, at


def _sized(raw: bytes, at: int, size: int) -> tuple[int, int]:
    """Begin and end of the content whose length is at `at`."""
    length, at = _varint(raw, at)
    if at + length > size:
        raise Malformed("field longer than its message")
    return at, at + length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    """A varint and the position after it; accepts padding, truncates to 64 bits."""
    try:
        byte = raw[at]
        if byte < 0x80:
            return byte, at + 1
        value, shift = byte & 0x7F, 7
        for place in range(at + 1, at + 10):
            byte = raw[place]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, place + 1
            shift += 7
    except IndexError:
        raise Malformed("truncated number") from None
    raise Malformed("varint longer than ten bytes")


def _after_fixed(size: int, at: int, wire_type: int) -> int:
    if wire_type not in {FIXED64, FIXED32}:
        raise Malformed("invalid wire type")
    end = at + (8 if wire_type == FIXED64 else 4)
    if end > size:
        raise Malformed("truncated number")
    return end


def _after_group(raw: bytes, at: int, number: int) -> int:
    """The position after a group; OTLP has none, so its content is unknown and skipped."""
    size = len(raw)
    open_groups = [number]
    while open_groups:
        number, wire_type, at = _tag(raw, at)
        if wire_type == VARINT:
            _, at = _varint(raw, at)
        elif wire_type == LENGTH:
            _, at = _sized(raw, at, size)
        elif wire_type == GROUP:
            open_groups.append(number)
            if len(open_groups) > MAX_GROUP_DEPTH:
                raise Malformed("groups nested too deeply")
        elif wire_type == END_GROUP:
            if open_groups.pop() != number:
                raise Malformed("mismatched end of group")
        else:
            at = _after_fixed(size, at, wire_type)
    return at
