"""Structure-preserving mutations of protobuf and JSON, so that fuzzing gets past the parsers.

They map bytes and a seed to other bytes; without a recognized structure they change nothing.
"""

import gzip
import json
import random
import struct
import zlib
from collections.abc import Callable

import zstandard

from otlp_receiver.protobuf.wire import LENGTH, Malformed, fields
from tests.fuzz.seeds import KEYS, ODD_JSON, ODD_VALUES
from tests.fuzz.targets import FRAMES, INFLATE, JSON, PROTOBUF, field, varint
from tests.support.telemetry import any_json, any_proto

Node = tuple[int, int, "int | bytes | list[Node]"]
"""Field number, wire type, content."""

_SCRAPS = [
    b"", b"\0", b"\xff", b"\xed\xa0\x80", b"\xc3", bytes(16), bytes(8), b"t" * 16, b"a" * 200,
    *[key.encode() for key in KEYS],
    *[any_proto(value).SerializeToString() for value in ODD_VALUES],
]  # fmt: skip
_NUMBERS = [0, 1, 2, 9, 24, 99, 127, 128, 2**31 - 1, 2**31, 2**32 - 1, 2**53 + 1, 2**63 - 1, 2**63,
            2**64 - 1]  # fmt: skip


def mutated(data: bytes, chance: random.Random) -> bytes:
    """The input, with some changes in its structure."""
    target, food = data[0] % 10, data[1:]
    if target in PROTOBUF:
        return data[:1] + _protobuf(food, chance)
    if target in JSON:
        return data[:1] + _json(food, chance)
    if target == INFLATE:
        return data[:1] + _packed(food, chance)
    return data[:1] + (_frame(food, chance) if target == FRAMES else food)


# -- protobuf -------------------------------------------------------------------------------


def _tree(raw: bytes, depth: int = 0) -> "list[Node]":
    nodes: list[Node] = []
    for number, wire_type, content in fields(raw):
        if wire_type == LENGTH and isinstance(content, bytes) and depth < 12 and len(content) > 1:
            try:
                nodes.append((number, wire_type, _tree(content, depth + 1)))
                continue
            except Malformed:
                pass
        nodes.append((number, wire_type, content))
    return nodes


def _bytes(nodes: "list[Node]") -> bytes:
    out = []
    for number, wire_type, content in nodes:
        if isinstance(content, list):
            out.append(field(number, _bytes(content)))
        elif isinstance(content, int):
            out.append(varint(number << 3 | wire_type) + varint(content))
        elif wire_type == LENGTH:
            out.append(field(number, content))
        else:
            out.append(varint(number << 3 | wire_type) + content)
    return b"".join(out)


def _protobuf(raw: bytes, chance: random.Random) -> bytes:
    try:
        nodes = _tree(raw)
    except Malformed:
        return raw
    for _ in range(chance.randrange(1, 5)):
        message = _some_message(nodes, chance)
        chance.choice(_NODE_CHANGES)(message, chance)
    return _bytes(nodes)


def _some_message(nodes: "list[Node]", chance: random.Random) -> "list[Node]":
    while chance.random() < 0.8:
        inner = [content for _, _, content in nodes if isinstance(content, list)]
        if not inner:
            break
        nodes = chance.choice(inner)
    return nodes


def _drop(nodes: "list[Node]", chance: random.Random) -> None:
    if nodes:
        del nodes[chance.randrange(len(nodes))]


def _double(nodes: "list[Node]", chance: random.Random) -> None:
    if nodes:
        nodes.insert(chance.randrange(len(nodes) + 1), chance.choice(nodes))


def _shuffle(nodes: "list[Node]", chance: random.Random) -> None:
    chance.shuffle(nodes)


def _renumber(nodes: "list[Node]", chance: random.Random) -> None:
    if nodes:
        at = chance.randrange(len(nodes))
        number = chance.choice([chance.randrange(1, 20), 1000, 2**29 - 1])
        nodes[at] = (number, nodes[at][1], nodes[at][2])


def _scrap(nodes: "list[Node]", chance: random.Random) -> None:
    scrap = chance.choice(_SCRAPS)
    if nodes and chance.random() < 0.7:
        at = chance.randrange(len(nodes))
        number, _, content = nodes[at]
        if isinstance(content, int):
            nodes[at] = (number, 0, chance.choice(_NUMBERS))
        else:
            nodes[at] = (number, LENGTH, scrap)
    else:
        nodes.append((chance.randrange(1, 17), LENGTH, scrap))


def _number(nodes: "list[Node]", chance: random.Random) -> None:
    wire_type = chance.choice([0, 1, 5])
    value = chance.choice(_NUMBERS)
    packed = {1: struct.pack("<Q", value), 5: struct.pack("<I", value & 0xFFFFFFFF)}
    nodes.append((chance.randrange(1, 17), wire_type, packed.get(wire_type, value)))


def _nest(nodes: "list[Node]", chance: random.Random) -> None:
    """Lists in lists, around a value."""
    raw = any_proto(chance.choice(ODD_VALUES)).SerializeToString()
    outer = chance.choice([5, 6])
    for _ in range(chance.choice([1, 3, 63, 64, 65, 300])):
        raw = field(outer, field(1, raw if outer == 5 else field(1, b"k") + field(2, raw)))
    nodes.append((chance.choice([2, 5]), LENGTH, raw))


_NODE_CHANGES: list[Callable[["list[Node]", random.Random], None]] = [
    _drop, _double, _shuffle, _renumber, _scrap, _scrap, _number, _nest,
]  # fmt: skip


# -- JSON -----------------------------------------------------------------------------------

_NAMES = [
    "timeUnixNano", "observedTimeUnixNano", "severityNumber", "severityText", "body", "attributes",
    "traceId", "spanId", "parentSpanId", "eventName", "flags", "name", "kind", "events", "links",
    "status", "code", "message", "key", "value", "values", "stringValue", "intValue", "doubleValue",
    "boolValue", "bytesValue", "arrayValue", "kvlistValue", "resource", "scope", "schemaUrl",
    "resourceLogs", "scopeLogs", "logRecords", "resourceSpans", "scopeSpans", "spans", "version",
    "droppedAttributesCount", "trace_id", "string_value", "unknown", "keyStrindex",
]  # fmt: skip
_TEXTS = [b'"\\ud800"', b'"\\u0000"', b"1e400", b"9007199254740993", b"-0.0", b"1e300", b"NaN",
          b"18446744073709551616", b'"NaN"', b"5.0", b'"1e2"', b"null", b'"\xff"']  # fmt: skip
_MARK = "\ufdd0"


def _json(raw: bytes, chance: random.Random) -> bytes:
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return raw
    if not isinstance(document, list | dict):
        return json.dumps(_some_json(chance)).encode()
    for _ in range(chance.randrange(1, 5)):
        _change_json(document, chance)
    text = json.dumps(document, ensure_ascii=chance.random() < 0.5)
    return text.encode("utf-8", "surrogatepass").replace(
        f'"{_MARK}"'.encode(), chance.choice(_TEXTS)
    ).replace(b'"\\ufdd0"', chance.choice(_TEXTS))  # fmt: skip


def _change_json(node: "list | dict", chance: random.Random) -> None:
    while chance.random() < 0.8:
        inner = node.values() if isinstance(node, dict) else node
        containers = [item for item in inner if isinstance(item, list | dict)]
        if not containers:
            break
        node = chance.choice(containers)
    places = list(node) if isinstance(node, dict) else list(range(len(node)))
    action = chance.randrange(5)
    if action == 0 and places:
        del node[chance.choice(places)]
    elif action == 1 and isinstance(node, dict):
        node[chance.choice(_NAMES)] = _some_json(chance)
    elif action == 2 and isinstance(node, list) and node:
        node.append(chance.choice(node))
    elif places:
        node[chance.choice(places)] = _some_json(chance)


def _some_json(chance: random.Random) -> object:
    pick = chance.randrange(6)
    if pick == 0:
        return any_json(chance.choice(ODD_VALUES))
    if pick == 1:
        return json.loads(chance.choice(ODD_JSON))
    if pick == 2:
        return _MARK  # becomes something that json.dumps would not write
    if pick == 3:
        return chance.choice([*KEYS, "ab" * 16, "cd" * 8, str(chance.choice(_NUMBERS))])
    if pick == 4:
        return chance.choice([[], {}, None, True, 1.5, [[]], *_NUMBERS])
    return [{"key": chance.choice(KEYS), "value": any_json(chance.choice(ODD_VALUES))}]


# -- compressed bodies and frames -----------------------------------------------------------

_PACK: list[Callable[[bytes], bytes]] = [
    lambda body: gzip.compress(body, mtime=0),
    zlib.compress,
    zstandard.compress,
]


def _packed(raw: bytes, chance: random.Random) -> bytes:
    if len(raw) < 3:
        return raw
    pack = _PACK[raw[0] % 3]
    body = chance.randbytes(chance.randrange(40)) * chance.choice([1, 2, 5000])
    whole = pack(body) if chance.random() < 0.5 else raw[2:]
    whole += chance.choice([b"", b"", pack(body), b"x", raw[2:]])
    if chance.random() < 0.3:
        whole = whole[: chance.randrange(len(whole) + 1)]
    return bytes([raw[0], chance.randrange(256)]) + whole


_PREFIX = struct.Struct(">4sHHIQI")


def _frame(raw: bytes, chance: random.Random) -> bytes:
    """A frame with a changed header or payload, and correct checksums."""
    if len(raw) < _PREFIX.size:
        return raw
    magic, version, encoding, header_size, size, _ = _PREFIX.unpack_from(raw)
    end = _PREFIX.size + header_size
    header, payload, rest = raw[_PREFIX.size : end], raw[end : end + size], raw[end + size + 4 :]
    if chance.random() < 0.6:
        header = _json(header, chance)
    else:
        payload = payload[: chance.randrange(len(payload) + 1)] + chance.randbytes(4)
    if chance.random() < 0.2:
        version, encoding = chance.randrange(3), chance.randrange(3)
    prefix = struct.pack(">4sHHIQ", magic, version, encoding, len(header), len(payload))
    head_crc = struct.pack(">I", zlib.crc32(header, zlib.crc32(prefix)))
    return prefix + head_crc + header + payload + struct.pack(">I", zlib.crc32(payload)) + rest
