"""AnyValue and KeyValue from bytes: common forms, all that protobuf allows, and invalid ones."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from otlp_receiver.protobuf.wire import Malformed, any_value, fields, key_value
from otlp_receiver.tally import MAX_NODES, TOO_DEEP, Tally, text_of
from tests.support.telemetry import any_proto

DEPTH = 64


def tag(number: int, wire_type: int) -> bytes:
    """The tag of a field."""
    return varint(number << 3 | wire_type)


def varint(number: int, length: int = 0) -> bytes:
    """A varint, padded to `length` bytes."""
    out = bytearray()
    while number >= 0x80 or len(out) + 1 < length:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def sized(number: int, content: bytes) -> bytes:
    """A length-delimited field."""
    return tag(number, 2) + varint(len(content)) + content


def text(content: str) -> bytes:
    """An AnyValue that is a text."""
    return sized(1, content.encode())


def read(raw: bytes) -> object:
    """The value of an AnyValue's bytes."""
    return any_value(raw, Tally(DEPTH))


SIZES = [0, 1, 2, 126, 127, 128, 129, 130, 16_383, 16_384, 16_385, 70_000]


@pytest.mark.parametrize("size", SIZES)
def test_texts_of_every_length(size):
    """The length's varint grows at 128 and at 16,384."""
    raw = AnyValue(string_value="x" * size).SerializeToString()

    assert read(raw) == "x" * size
    assert key_value(KeyValue(key="k" * size, value=AnyValue(string_value="x" * size))
                     .SerializeToString(), Tally(DEPTH)) == ("k" * size, "x" * size)  # fmt: skip


VALUES = [
    True,
    False,
    0,
    1,
    127,
    128,
    -1,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.5,
    5e-324,
    1.7976931348623157e308,
    float("inf"),
    float("-inf"),
    "",
    "é\u2028😀",
    b"",
    b"\x00\xff",
    [],
    {},
    [None, True, -5, 1.5, "x", b"y", [[]], {"a": {}}],
    {"": None, "a": [1, {"b": 2}], "c": "x" * 300},
    "x" * 300,
    b"x" * 300,
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_point_88_every_type_is_read(value):
    """As written by the real classes."""
    assert read(any_proto(value).SerializeToString()) == value


def test_nan_is_read():
    """Not equal to itself, so not in the table."""
    value = read(AnyValue(double_value=float("nan")).SerializeToString())

    assert isinstance(value, float)
    assert value != value  # noqa: PLR0124


KEY = sized(1, b"k")
SPELLINGS = [
    (b"", ("", None)),  # point 87: nothing at all
    (KEY, ("k", None)),
    (sized(2, text("v")), ("", "v")),
    (sized(2, text("v")) + KEY, ("k", "v")),  # point 81: any order
    (sized(1, b"old") + KEY + sized(2, text("v")), ("k", "v")),  # the last key counts
    (KEY + sized(2, b""), ("k", None)),
    (KEY + sized(2, text("a")) + sized(2, text("b")), ("k", "b")),  # point 82: merged
    (
        KEY + sized(2, sized(5, sized(1, text("a")))) + sized(2, sized(5, sized(1, text("b")))),
        ("k", ["a", "b"]),
    ),
    (KEY + varint(1 << 3 | 2, 3) + varint(1, 4) + b"K", ("K", None)),  # point 83: padded
    (KEY + sized(15, b"?") + tag(16, 0) + varint(5) + sized(2, text("v")), ("k", "v")),
    (KEY + tag(536_870_911, 5) + b"1234" + sized(2, text("v")), ("k", "v")),  # highest number
    (KEY + tag(9, 1) + b"12345678" + sized(2, text("v")), ("k", "v")),
    (KEY + tag(9, 3) + tag(1, 0) + b"\x01" + tag(9, 4) + sized(2, text("v")), ("k", "v")),
    (sized(99, b"x") + KEY, ("k", None)),
]


@pytest.mark.parametrize(("raw", "expected"), SPELLINGS, ids=lambda case: repr(case)[:40])
def test_points_80_to_87_every_form_of_a_pair(raw, expected):
    """With the same result as protobuf."""
    message = KeyValue.FromString(raw)

    assert key_value(raw, Tally(DEPTH)) == expected
    assert (message.key, expected[1] is not None) == (
        expected[0],
        bool(message.value.WhichOneof("value")),
    )


MEMBERS = [
    (text("a") + tag(3, 0) + varint(5), 5),  # of a oneof the last member counts
    (tag(3, 0) + varint(5) + text("a"), "a"),
    (tag(3, 0) + varint(2**64 - 7, 10), -7),  # point 83: negative in ten bytes
    (tag(3, 0) + varint(5, 10), 5),
    (tag(3, 0) + b"\xff" * 9 + b"\x7f", -1),  # more than 64 bits are cut
    (tag(2, 0) + varint(2), True),  # any number but 0
    (tag(2, 0) + varint(0, 3), False),
    (tag(4, 1) + struct.pack("<d", 2.5), 2.5),
    (sized(99, b"x") + tag(4, 1) + struct.pack("<d", 2.5), 2.5),
    (sized(7, b"\xff"), b"\xff"),
    (sized(5, sized(1, text("a"))) + sized(5, sized(1, text("b"))), ["a", "b"]),
    (sized(5, sized(1, text("a"))) + text("x") + sized(5, sized(1, text("b"))), ["b"]),
    (sized(6, sized(1, KEY)) + sized(6, sized(1, sized(1, b"l"))), {"k": None, "l": None}),
    (sized(6, sized(1, KEY) + sized(1, KEY + sized(2, text("v")))), {"k": "v"}),
    (sized(5, sized(2, b"?") + sized(1, text("a")) + tag(1, 0) + b"\x01"), ["a"]),
    (tag(8, 0) + b"\x01", None),
    (sized(99, b"x"), None),
]


@pytest.mark.parametrize(("raw", "expected"), MEMBERS, ids=lambda case: repr(case)[:40])
def test_points_80_to_85_every_form_of_a_value(raw, expected):
    """Merged, padded, unknown, mistyped."""
    AnyValue.FromString(raw)  # protobuf takes it as well

    assert read(raw) == expected


OTHER_TYPES = [
    (tag(2, 5) + b"1234" + KEY, ("k", "1234"), "value"),
    (tag(2, 0) + b"\x05" + KEY, ("k", "5"), "value"),
    (tag(1, 0) + b"\x05" + sized(2, text("v")), ("", "v"), "key"),
    (sized(3, b"x") + KEY + sized(2, text("v")), ("k", "v"), "key_strindex"),
    (KEY + sized(2, tag(1, 0) + b"\x01"), ("k", "1"), "value.string_value"),
    (KEY + sized(2, sized(3, b"\x01")), ("k", b"\x01"), "value.int_value"),
    (KEY + sized(2, sized(3, b"12")), ("k", "12"), "value.int_value"),
    (KEY + sized(2, sized(3, b"12") + text("v")), ("k", "v"), "value.int_value"),
]


@pytest.mark.parametrize(("raw", "expected", "where"), OTHER_TYPES, ids=repr)
def test_point_85_a_known_field_with_another_wire_type_is_kept_as_text(raw, expected, where):
    """Protobuf drops it silently; here it has a note."""
    tally = Tally(DEPTH)

    assert key_value(raw, tally) == expected
    assert [note.where for note in tally.notes] == [where]


def test_point_91_string_tables_are_read_as_empty_and_counted():
    """Logs and traces have no string table."""
    tally = Tally(DEPTH)

    value = key_value(tag(3, 0) + b"\x07" + sized(2, tag(8, 0) + b"\x05"), tally)

    assert value == ("", None)
    assert tally.strindexes == 2
    assert tally.touched


BAD_TEXTS = [
    (b"caf\xe9", "caf\ufffd", 1),  # latin-1
    (b"\xed\xa0\x80x", "\ufffd\ufffd\ufffdx", 3),  # a surrogate in UTF-8
    (b"a\x00b\x00", "a\ufffdb\ufffd", 2),
    (b"\x00\xff", "\ufffd\ufffd", 2),
    ("\ufffd".encode() + b"\xff", "\ufffd\ufffd", 1),  # one was sent
    ("\ufffd".encode(), "\ufffd", 0),
    (b"\xf0\x9f\x98", "\ufffd", 1),
]


@pytest.mark.parametrize(("raw", "expected", "count"), BAD_TEXTS)
def test_points_86_and_121_invalid_characters_are_replaced_and_counted(raw, expected, count):
    """U+FFFD for each invalid sequence and each NUL, in keys and values."""
    tally = Tally(DEPTH)

    assert text_of(raw, tally) == expected
    assert tally.replaced == count
    assert key_value(sized(1, raw) + sized(2, sized(1, raw)), Tally(DEPTH)) == (expected, expected)


def nested(levels: int, inner: bytes, member: int = 5) -> bytes:
    """`inner` in this many lists or maps."""
    raw = inner
    for _ in range(levels):
        raw = sized(5, sized(1, raw)) if member == 5 else sized(6, sized(1, KEY + sized(2, raw)))
    return raw


@pytest.mark.parametrize("member", [5, 6])
def test_point_89_64_levels_are_kept(member):
    """The specification's default limit of attributes."""
    value = read(nested(64, text("deep"), member))

    for _ in range(64):
        value = value[0] if member == 5 else value["k"]
    assert value == "deep"


@pytest.mark.parametrize("member", [5, 6])
@pytest.mark.parametrize("levels", [65, 8000])
def test_point_90_deeper_ones_are_replaced_by_a_marker(member, levels):
    """No recursion error at any depth."""
    tally = Tally(DEPTH)

    value = any_value(nested(levels, text("deep"), member), tally)

    for _ in range(64):
        value = value[0] if member == 5 else value["k"]
    assert value == TOO_DEEP
    assert tally.cuts == {"too_deep": 1}


def test_lists_are_bounded():
    """Two bytes on the wire can be an object in memory."""
    tally = Tally(DEPTH)

    value = any_value(sized(5, sized(1, b"") * (MAX_NODES + 5)), tally)

    assert len(value) == MAX_NODES
    assert tally.cuts == {"too_many_elements": 5}
    assert any_value(sized(5, sized(1, b"")), tally) == [None]  # the next value has room again


MALFORMED = [
    b"\x0a",
    b"\x0a\x05abc",
    b"\x0a\x80",
    b"\x18",
    b"\x18\x80",
    b"\x18" + b"\x80" * 10,
    b"\x18" + b"\xff" * 11,
    b"\x21\x00\x00",
    b"\x25\x00\x00",
    b"\x00",
    b"\x02\x00",
    b"\x06",
    b"\x07",
    b"\x0c",  # the end of a group that never began
    b"\x0b",  # a group that never ends
    b"\x0b\x14",  # a group that ends where another began
    b"\x0b\x0a\x05a",
    b"\x0b\x08",
    b"\x0b\x09\x00",
    b"\x0b\x00",
    b"\x0b\x0f",
    b"\x0b" * 200,
    b"\xff\xff\xff\xff\xff\x0f\x00",
    b"\x0b\xff\xff\xff\xff\xff\x0f\x00",
    b'{"a": 1}',
]


@pytest.mark.parametrize("raw", MALFORMED, ids=repr)
def test_point_84_invalid_protobuf_is_rejected(raw):
    """Truncated, overlong, invalid numbers and types."""
    with pytest.raises(Malformed):
        list(fields(raw))


def test_groups_are_skipped_whole():
    """With every wire type in them, and groups in groups."""
    inner = (
        tag(1, 0) + varint(300) + tag(2, 1) + b"12345678" + sized(3, b"abc") + tag(4, 5) + b"1234"
    )
    raw = tag(7, 3) + tag(8, 3) + inner + tag(8, 4) + inner + tag(7, 4) + text("v")

    assert read(raw) == "v"


texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=150)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | texts
    | st.binary(max_size=150),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@given(values, texts)
def test_values_written_by_protobuf_are_read_the_same(value, key):
    """Every value that its real classes can represent."""
    message = KeyValue(key=key, value=any_proto(value))

    assert key_value(message.SerializeToString(), Tally(DEPTH)) == (key, value)


@given(values, st.data())
def test_truncated_and_changed_bytes_are_read(value, data):
    """Never another exception, never an endless loop."""
    raw = bytearray(any_proto(value).SerializeToString())
    for _ in range(data.draw(st.integers(0, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    changed = bytes(raw[: data.draw(st.integers(0, len(raw)))])

    any_value(changed, Tally(DEPTH))
    key_value(changed, Tally(DEPTH))


@given(st.binary(max_size=40))
def test_any_bytes_are_read_as_by_protobuf(raw):
    """If protobuf reads a value of one scalar, so does any_value."""
    try:
        message = AnyValue.FromString(raw)
    except Exception:
        message = None
    value = any_value(raw, Tally(DEPTH))
    if message is not None and message.WhichOneof("value") in {"int_value", "bool_value"}:
        assert value == getattr(message, message.WhichOneof("value"))
