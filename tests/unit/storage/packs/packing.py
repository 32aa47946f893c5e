"""Rows for tests of packs, and packs built from them."""

import hmac
import random
import struct
from hashlib import sha256
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st

from storage.packs import writer as pack_writer
from storage.packs.pack import Pack
from storage.packs.writer import PackFacts, PackWriter
from storage.record.record_ids import TAIL_MASK, id_of

PG_EPOCH_US = 946_684_800_000_000
NULL = struct.pack(">i", -1)
STREAMS = {"resource": '{"service.name": "shop"}', "scope": '{"name": "s"}'}
BASE_NS = 1_796_070_000_000_000_123


def field(value: bytes | None) -> bytes:
    return NULL if value is None else struct.pack(">i", len(value)) + value


def inet(address: bytes, bits: int | None = None) -> bytes:
    family = 2 if len(address) == 4 else 3
    return bytes([family, len(address) * 8 if bits is None else bits, 0, len(address)]) + address


def make_tuple(number: int = 0, **given) -> bytes:
    """A COPY tuple; fields by the names of columns, texts as str."""
    created_ns = given.pop("created_unix_ns", BASE_NS + number * 1_000_003)
    position = given.pop("position", number)
    values = {
        "created_at": struct.pack(">q", created_ns // 1000 - PG_EPOCH_US),
        "received_at": struct.pack(">q", BASE_NS // 1000 - PG_EPOCH_US + 5),
        "batch_id": struct.pack(">q", given.pop("batch_id", 7_000 + number // 100)),
        "stream_id": struct.pack(">q", given.pop("stream_id", -5 - number % 3)),
        "duration_ns": None,
        "position": struct.pack(">i", position),
        "ingest_key_id": struct.pack(">i", 3),
        "tenant": struct.pack(">i", 0),
        "level": "INFO",
        "created_ns": struct.pack(">h", created_ns % 1000),
        "severity_number": struct.pack(">h", given.pop("severity_number", 9)),
        "kind": b"l",
        "id": id_of(created_ns % 2**64, ((position + 1) << 34 | 12345) & TAIL_MASK),
        "trace_id": None,
        "span_id": None,
        "parent_span_id": None,
        "nonce": sha256(b"%d" % number).digest()[:16],
        "ip_address": None,
        "source_module": "checkout",
        "action": "order.place",
        "resource_type": None,
        "resource_id": None,
        "actor_id": None,
        "correlation_id": None,
        "message": f"order {number} placed",
        "metadata": "{}",
    }
    duration = given.pop("duration_ns", None)
    if duration is not None:
        values["duration_ns"] = struct.pack(">q", duration)
    values |= given
    out = [struct.pack(">h", 26)]
    for name, value in values.items():
        raw = value.encode() if isinstance(value, str) else value
        if name == "metadata":
            raw = b"\x01" + raw
        out.append(field(raw))
    return b"".join(out)


def secret_nonce(class_name: str, batch_id: int, position: int) -> bytes:
    message = class_name.encode() + b"\0" + position.to_bytes(4, "big")
    return hmac.digest(b"secret %d" % batch_id, message, "sha256")[:16]


def leaf_of_both(class_name, batch_id, position, row, nonce):
    """Leaves of version 1, and of version 2 where the nonce's field is NULL."""
    from storage.record.copy_binary import fields_of

    if fields_of(row)["nonce"] is not None:
        return sha256(b"\0" + row).digest()
    return sha256(b"\0" + (nonce or secret_nonce(class_name, batch_id, position)) + row).digest()


def pack_of(
    folder: Path, rows: list[bytes], segment: int = 7, *, block_rows: int = 2048, **given
) -> tuple[Pack, PackFacts]:
    """A pack of these tuples."""
    writer = PackWriter(folder, segment, "info", lambda ids: dict.fromkeys(ids, STREAMS), **given)
    with patch.object(pack_writer, "ROWS", block_rows):
        writer.feed(b"".join(rows))
        facts = writer.finish()
    return Pack(folder, segment), facts


def tuples_of(pack: Pack) -> list[bytes]:
    found = []
    for block in pack.each_block():
        found += block.tuples()[0]
    return found


ODD_METADATA = [
    "{}",
    "[]",
    "null",
    '"a bare text"',
    "12",
    '{"attributes": {}}',
    '{"attributes": {"k": 1.0}}',
    '{"attributes": {"k": 100}}',
    '{"attributes": {"k": -0.0}}',
    '{"attributes": {"k": 10000000000000000000000000000000000000000}}',
    '{"attributes": {"k": 1.10}}',
    '{"attributes": {"k": 0.00001}}',
    '{"attributes": {"k": 9223372036854775807}}',
    '{"attributes": {"k": -9223372036854775808}}',
    '{"attributes": {"k": 9223372036854775808}}',
    '{"attributes": {"k": "NaN"}}',
    '{"attributes": {"k": null}}',
    '{"attributes": {"k": true}}',
    '{"attributes": {"k": ""}}',
    '{"attributes": {"k": [1, {"a": "]}"}]}}',
    '{"attributes": {"k": {"k": {"k": "}"}}}}',
    '{"attributes": {"": 1, "K": 1, "k": 1, "k ": 1, "k.k": 1}}',
    '{"": {"": ""}, "k": 1}',
    '{"attributes": {"k": "quote \\" and \\\\ and \\n \\u0001"}}',
    '{"attributes": {"k": "slash \\/ is not canonical"}}',
    '{"attributes": {"a\\"b": "key with an escape", "k": "v"}}',
    '{"attributes": {"k": "\u2028 \U0001f600 \u0130 \x7f"}}',
    '{"attributes": {"k": "@actor_id"}, "otel": {"observed_ns": 5}}',
    '{"attributes": {"k":"no blank"}}',
    '{"attributes": {"kk": 1, "k": 2}}',
    '{"attributes": {"k": 1, "k": 2}}',
    '{"body": "text", "attributes": {"k": "v", "other": {"deep": [1, 2.5]}}}',
]


def odd_rows() -> list[bytes]:
    """Rows with unusual values in each column."""
    rows = [make_tuple(n, metadata=text) for n, text in enumerate(ODD_METADATA)]
    nullable = (
        *("trace_id", "span_id", "parent_span_id", "resource_type", "resource_id"),
        *("actor_id", "correlation_id", "ip_address"),
    )
    full = {
        "trace_id": bytes(range(16)),
        "span_id": b"12345678",
        "parent_span_id": b"87654321",
        "ip_address": inet(b"\x0a\x00\x00\x01"),
    }
    for name in nullable:
        number = len(rows)
        rows.append(make_tuple(number, **{name: full.get(name, "x" * number)}))
        if name not in {"trace_id", "ip_address"}:
            rows.append(make_tuple(number + 1, **{name: b""}))
    number = len(rows)
    rows += [
        make_tuple(number, id=bytes(16)),
        make_tuple(number + 1, id=b"\xff" * 16),
        make_tuple(number + 2, ip_address=inet(b"\x0a\0\0\0", 8)),
        make_tuple(number + 3, ip_address=inet(bytes(15) + b"\1")),
        make_tuple(number + 4, ip_address=inet(b"\x20\x01" + bytes(14), 32)),
        make_tuple(number + 5, created_unix_ns=2**64 - 1, duration_ns=2**63 - 1),
        make_tuple(number + 6, created_unix_ns=0, duration_ns=0),
        make_tuple(number + 7, stream_id=-(2**63), batch_id=2**63 - 1, position=2**31 - 1),
        make_tuple(number + 8, severity_number=-32768, position=0),
        make_tuple(number + 9, message=""),
        make_tuple(number + 10, message="\u0130\u2028\U0001f600 \x01 \ud7ff line\nline"),
        make_tuple(number + 11, nonce=None),
        make_tuple(number + 12, created_at=struct.pack(">q", 2**63 - 1), created_ns=b"\xff\xff"),
        make_tuple(number + 13, created_at=struct.pack(">q", -(2**63))),
        make_tuple(number + 14, level="CRITICAL", kind=b"s", message="span", action=""),
    ]
    return rows


def shop_rows(count: int, seed: int = 1) -> list[bytes]:
    """Rows as a shop's services log them, with attributes, links and a few odd ones."""
    chance = random.Random(seed)
    rows = []
    for n in range(count):
        user, order = f"u-{chance.randrange(50)}", f"{chance.randrange(10**8):08d}"
        ip = f"10.0.{chance.randrange(4)}.{chance.randrange(250)}"
        number = chance.choice(["12.5", "0.125", "7.0", "3"])
        trace = chance.randbytes(2) + bytes(14)
        created = BASE_NS + n * 1_000_000 + chance.randrange(1_000_000)
        members = [
            f'"k": {chance.choice(["1", "2.5", chr(34) + "x" + chr(34), "true", "null", "[1, 2]"])}',
            f'"user.id": "{user}"',
            f'"order.id": "{order}"',
            f'"duration_ms": {number}',
            f'"client.address": "{ip}"',
        ]
        if chance.random() < 0.2:
            members.pop(2)
        metadata = (
            f'{{"otel": {{"flags": 1, "observed_ns": {created + chance.randrange(3) * 1000}}},'
            f' "attributes": {{{", ".join(members)}}}}}'
        )
        rows.append(
            make_tuple(
                n,
                created_unix_ns=created,
                level=chance.choice(["INFO", "WARN", "ERROR"]),
                kind=chance.choice([b"l", b"s"]),
                duration_ns=chance.choice([None, n * 10, 5]),
                trace_id=chance.choice([None, trace]),
                span_id=chance.randbytes(8),
                actor_id=user if chance.random() < 0.995 else None,
                ip_address=inet(bytes(map(int, ip.split(".")))),
                correlation_id=f"c{n // 5}",
                message=chance.choice(
                    [
                        f"Order {order} placed by {user}",
                        f"GET /cart/{order} took {n} ms from {ip}",
                        "Cache refreshed; nothing evicted",
                        "Stra\u00dfe \u0130stanbul caf\u00e9 CAFE\u0301 \u03a3\u03c2",
                    ]
                ),
                metadata=metadata,
                nonce=None if n % 7 == 0 else b"n" * 16,
            )
        )
    return rows


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
    | st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["a", "b", "aa", "k\u00e9", 'q"', ""]), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip
