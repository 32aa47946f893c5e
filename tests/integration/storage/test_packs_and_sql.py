"""Filters select the same rows from a pack as from the leaf that it was made of."""

import io
import itertools
import random
from ipaddress import ip_network

import pytest

from config.levels import Level
from storage.filtering.conditions import Arguments, condition_of, leaf_table
from storage.filtering.filters import (
    And,
    AttrCompare,
    AttrEquals,
    AttrPrefix,
    AttrPresent,
    AttrRegex,
    Comparison,
    FieldCompare,
    FieldEquals,
    FieldIn,
    FieldPrefix,
    FieldPresent,
    IpIn,
    Not,
    Or,
    Regex,
    Text,
    TimeRange,
    ValueAt,
    ValueTest,
)
from storage.packs.pack import Pack
from storage.packs.writer import PackWriter
from storage.record import fields
from storage.record.columns import COPY_COLUMNS
from storage.record.copy_binary import HEADER, TRAILER
from storage.record.fields import Kind
from storage.segments.rollover import enter_segments, open_segment
from tests.unit.storage.packs.packing import BASE_NS, STREAMS, inet, make_tuple

MESSAGES = [
    "Order 4711 placed by u-7",
    "order 4712 PLACED by u-8",
    "100% of C:\\temp_1 done",
    "Stra\u00dfe nach \u0130stanbul",
    "STRASSE NACH ISTANBUL",
    "\u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2 \u03a3\u0391\u03a3",
    "\u03c3\u03b1\u03c2 \u03c3\u03b1\u03c3",
    "300 \u212a, \u00c5ngstr\u00f6m \u212b, lon\u017f",
    "cafe\u0301 caf\u00e9 CAF\u00c9 CAFE\u0301",
    "\u01c5 \u01c4 \u01c6 \u1e9e \ufb01",
    "line one\nline two",
    "tab\there\vand\u00a0there",
    "\u212a",
    "\u017f",
    "\u00c9",
    "",
]
PHRASES = [
    *("placed", "ORDER 47", "u-7", "0%", "C:\\temp_", "_", "%", "\\", "stra\u00dfe", "strasse"),
    *("istanbul", "\u0130STANBUL", "\u0131", "\u03c3\u03b1\u03c2", "\u03a3\u0391\u03a3", "\u03c2"),
    *("k,", "K", "\u212a", "\u00e5", "\u212b", "lons", "LON\u017f", "caf\u00e9", "CAFE\u0301", "e\u0301"),
    *("\u01c6", "\u00df", "\ufb01", "fi", "one\nline", "i", "absent", "", "47", " by u"),
]  # fmt: skip
PATTERNS = [
    *("placed", "^order [0-9]+", "u-[78]$", "a|b", "O.der", "one.line", r"\ymap", r"\ynach\y"),
    *("stra(ss|\u00df)e", "caf.", "[k-l]", "k", "s", "\u03c3", "\u03a3", "i", "\u0130", "x{2,3}", "^$", r"\d{4}"),
    *(r"^\w+$", r"\W", r"\s\S", r"[\w-]+\s", "[[:upper:]]", "[^[:alpha:] ]", r"[\]a-]", "[^a-z]$"),
    *("[\u00e0-\u00ff]", "[\u0130]", "\u212a", "\u01c5", r"\u0041", r"p\.", "(?:u-)+7", "\u017f", "\u00df$"),
]  # fmt: skip
VALUES = [
    *("1", "1.0", "2.50", "-0.125", "10", "100", "1e3", "0.0001", "12345678901234567890"),
    *('"1"', '"2.5"', '" 5 "', '"+5"', '".5"', '"5."', '"1e400"', '"1e-400"', '"0e-400"', '"NaN"'),
    *(
        '"Infinity"',
        '"0x10"',
        '"0x.8p1"',
        '"0x1p-2000"',
        '"0x1p9999"',
        '"1_0"',
        '"x"',
        '""',
        '"u-7"',
        '"U-7"',
        '"\u0130"',
        '"a\\"b"',
    ),
    *('{"k": [1, {"n": "x"}]}', '[{"k": "u-7"}, {"k": 2.50}]', '["U-7 and more", null]'),
    *("true", "false", "null", "[]", "[1, 20]", '[1, "x"]', '["3", 4]', "[[5]]", '{"k": 1}'),
]
NUMBERS = ["0", "1", "2.5", "-5", "16", "5", "1e3", "1e30", "0.5"]
TEXTS = ["1", "1.0", "2.5", "true", "x", "", "u-7", "100", "1e2", "NaN", 'a"b', "12345678901234567890"]  # fmt: skip
ADDRESSES = [
    *(b"\x0a\0\0\x01", b"\x0a\0\1\x07", b"\xc0\xa8\0\1", bytes(4)),
    *(b"\x20\x01\x0d\xb8" + bytes(12), bytes(15) + b"\1", bytes(10) + b"\xff\xff\x0a\0\0\1"),
]
NETWORKS = [
    *("10.0.0.1/32", "10.0.0.0/24", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::/32", "::1/128"),
    *("::/0", "10.0.1.7/32", "::ffff:10.0.0.1/128"),
]


def rows(chance: random.Random, count: int) -> list[bytes]:
    """Random rows; every nullable column is sometimes NULL."""
    made = []
    for number in range(count):
        members = [
            f'"{key}": {chance.choice(VALUES)}' for key in ("a", "k", "n") if chance.random() < 0.7
        ]
        if chance.random() < 0.3:
            members.append(f'"user.id": "{chance.choice(["u-7", "u-8"])}"')
        tops = [f'"attributes": {{{", ".join(members)}}}'] if members else []
        tops += [
            f'"{top}": {chance.choice(VALUES)}' for top in ("body", "otel") if chance.random() < 0.4
        ]
        address = chance.choice([None, *ADDRESSES])
        bits = chance.choice([None, None, 8, 24, 32])
        made.append(
            make_tuple(
                number,
                created_unix_ns=BASE_NS + number // 3 * 1_000 + chance.randrange(3),
                level=chance.choice(["DEBUG", "INFO", "WARN", "ERROR", "CRITICAL"]),
                kind=chance.choice([b"l", b"s"]),
                duration_ns=chance.choice([None, 0, 5, 10**12]),
                trace_id=chance.choice([None, bytes(15) + bytes([number % 5])]),
                span_id=chance.choice([None, bytes([number % 7]) * 8]),
                ip_address=None if address is None else inet(address, bits),
                action=chance.choice(["order.place", "Order.place", "", "\u00e9"]),
                resource_id=chance.choice([None, "", "r-1", "R-1"]),
                actor_id=chance.choice([None, "u-7", "u-8", "\u0130"]),
                message=chance.choice(MESSAGES),
                metadata=f"{{{', '.join(tops)}}}",
            )
        )
    return made


def leaf_filters(chance: random.Random, some: list[dict]) -> list:
    """One filter of each kind."""
    pick, name = chance.choice, chance.choice(["a", "k", "n", "user.id", "none"])
    field = pick([fields.ID, fields.TRACE_ID, fields.SPAN_ID, fields.ACTOR_ID, fields.ACTION,
                  fields.RESOURCE_ID, fields.MESSAGE, fields.DURATION_NS])  # fmt: skip
    found = [other[field.column] for other in some if other[field.column] is not None]
    start, end = (BASE_NS + chance.randrange(-10, 120_000) for _ in range(2))
    text_field = pick([fields.MESSAGE, fields.ACTOR_ID, fields.ACTION])
    filters = [
        Text(pick(PHRASES), ignores_case=True),
        Text(pick(PHRASES)),
        FieldCompare(fields.LEVEL, pick(list(Comparison)), pick(list(Level))),
        FieldCompare(fields.DURATION_NS, pick(list(Comparison)), pick([0, 5, 6, 10**12])),
        FieldCompare(fields.ACTION, pick(list(Comparison)), pick(["order.place", "", "p"])),
        FieldEquals(fields.KIND, pick([Kind.LOG, Kind.SPAN])),
        FieldEquals(fields.LEVEL, Level.WARN),
        FieldPrefix(text_field, pick(PHRASES)),
        FieldPresent(field),
        Regex(pick(PATTERNS), chance.random() < 0.5, text_field),
        AttrEquals(name, pick(TEXTS)),
        AttrCompare(name, pick(list(Comparison)), pick(NUMBERS)),
        AttrPrefix(name, pick(["1", "u", "", "2.5", "[1", '{"k', "t"])),
        AttrRegex(name, pick(["^u-", "x|1", "0$", "^.$"]), chance.random() < 0.5),
        AttrPresent(name),
        *(value_at(chance, test) for test in ValueTest),
        IpIn(ip_network(pick(NETWORKS))),
        TimeRange(min(start, end), max(start, end)),
        TimeRange(None, end),
    ]
    if found:
        filters.append(FieldEquals(field, pick(found)))
        filters.append(FieldIn(field, (pick(found), pick(found))))
    return filters


def value_at(chance: random.Random, test: ValueTest) -> ValueAt:
    """A test of values at some paths."""
    numbers = {
        ValueTest.LESS,
        ValueTest.LESS_OR_EQUAL,
        ValueTest.GREATER,
        ValueTest.GREATER_OR_EQUAL,
    }
    pick = chance.choice
    paths = {
        *(("attributes", pick(["a", "k", "n", "user.id"]), *pick([(), ("k",), ("k", "n")])),),
        *((pick(["body", "otel", "attributes"]), *pick([(), ("k",), ("k", "k"), ("k", "n")])),),
    }
    is_deep = test is ValueTest.CONTAINS and chance.random() < 0.5
    if is_deep and chance.random() < 0.3:
        paths = {()}
    text = {
        **dict.fromkeys(numbers, pick(NUMBERS)),
        ValueTest.EQUALS: pick(TEXTS),
        ValueTest.PREFIX: pick(["1", "u", "U", "", "2.5", "t", "x"]),
        ValueTest.REGEX: pick(["^u-", "x|1", "0$", "^.$", "^t"]),
        ValueTest.CONTAINS: pick(["u-7", "AND", "x", '"', "-", "\u0130", "", "absent", 'A"b']),
        ValueTest.PRESENT: "",
    }[test]
    ignores_case = test is ValueTest.REGEX and chance.random() < 0.5
    is_beyond = not is_deep and chance.random() < 0.5
    return ValueAt(tuple(sorted(paths)), test, text, ignores_case, is_deep, is_beyond)


def every_text_and_number() -> list:
    """Every phrase, pattern and number, where letters and numbers have special cases."""
    cases, comparisons = (False, True), list(Comparison)
    return [
        *(Text(phrase, ignores) for phrase in PHRASES for ignores in cases),
        *(Regex(pattern, ignores) for pattern in PATTERNS for ignores in cases),
        *(AttrEquals("k", text) for text in TEXTS),
        *(AttrCompare("k", each, number) for each in comparisons for number in NUMBERS),
    ]


@pytest.fixture
async def stored(tmp_path, writer_pool, owner_pool):
    """A leaf, and the pack made of its rows."""
    chance = random.Random(17)
    async with writer_pool.acquire() as conn:
        await open_segment(conn, "info")
        async with conn.transaction():
            segment = (await enter_segments(conn, ["info"]))["info"]
            await conn.copy_to_table(
                leaf_table(segment),
                source=io.BytesIO(HEADER + b"".join(rows(chance, 300)) + TRAILER),
                columns=COPY_COLUMNS,
                format="binary",
            )
    async with owner_pool.acquire() as conn:
        writer = PackWriter(tmp_path, segment, "info", lambda ids: dict.fromkeys(ids, STREAMS))

        async def feed(data):
            writer.feed(data)

        await conn.copy_from_table(
            leaf_table(segment), output=feed, columns=COPY_COLUMNS, format="binary"
        )
        writer.finish()
        yield Pack(tmp_path, segment), conn


async def test_random_filters_select_the_same_rows(stored) -> None:
    pack, conn = stored
    chance = random.Random(5)
    table = leaf_table(pack.segment)
    records = pack.rows(0, range(pack.rows_total))
    keys = [(record["batch_id"], record["position"]) for record in records]
    assert len(set(keys)) == 300
    filters = itertools.chain.from_iterable(leaf_filters(chance, records) for _ in range(40))
    of_each = list(filters)
    combined = [And((chance.choice(of_each), Not(chance.choice(of_each)))) for _ in range(100)] + [
        Or((chance.choice(of_each), Not(And((chance.choice(of_each),))))) for _ in range(100)
    ]
    wrong = {}
    for condition in [*of_each, *every_text_and_number(), *combined, And(()), Or(())]:
        arguments = Arguments()
        where = condition_of(condition, arguments)
        found = await conn.fetch(
            f"SELECT batch_id, position FROM {table} WHERE {where}", *arguments.values()
        )
        expected = {tuple(row) for row in found}
        selected = {keys[row] for row in pack.matches(0, condition)}
        is_candidate = pack.candidate_blocks(condition) == [0]
        if selected != expected or (expected and not is_candidate):
            wrong[repr(condition)] = [
                (record["message"], record["metadata"], record["actor_id"], key in selected)
                for record, key in zip(records, keys, strict=True)
                if key in selected ^ expected
            ][:2]

    assert wrong == {}
