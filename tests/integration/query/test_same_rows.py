"""Leaves and packs give equal rows: random records, random filters, pages in both orders."""

import asyncio
import os
import random
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from ipaddress import ip_address, ip_network
from unittest.mock import patch

import pytest

from config.levels import Level
from query.planning.compile import RECORD, RECORD_COLUMNS, Columns, Order
from query.planning.counting import BY, CountRequest, count_records
from query.planning.faceting import COLUMNS, FacetRequest, count_facets
from query.planning.packed.reading import PackReader
from query.planning.pages import Pages, Query, key_of
from storage.database.read import Reader
from storage.database.statements import statement
from storage.filtering.filters import (
    EVERYTHING,
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
)
from storage.packs import writer as pack_writer
from storage.packs.rewrite import merge
from storage.packs.writer import PackWriter
from storage.record import fields
from storage.record.canonical import canonical
from storage.record.fields import Kind
from storage.record.record_ids import id_of
from storage.segments.catalogue import Segment
from tests.support.querying import Packing, Storehouse
from tests.support.records import make_record, make_stream
from tests.unit.storage.packs.packing import STREAMS, leaf_of_both

pytestmark = pytest.mark.leaves_only

BASE_NS = 1_790_000_000_123_000_000
FILTERS = int(os.environ.get("OPSLOG_TEST_FILTERS", "30"))
"""Random filters of each run."""
MESSAGES = (
    *(
        "order {n} placed",
        "Order {n} PLACED by u-{m}",
        "GET /cart/{n} took {m} ms",
        "",
        " ",
        "100%",
    ),
    *(
        "Straße İstanbul café cafe\u0301 Σς ΣΣ",
        "line\nline {n}",
        "\\ backslash_{m}",
        "K \u212a kelvin",
    ),
    *(
        "\u2028 \U0001f600 \x01 \ud7ff",
        "ﬁ ǅ ẞ ß I ı i",
        "tab\there {n}",
        '"quoted" {m}',
        "{n}" * 30,
    ),
)
VALUES = (
    *("x", "X", "", "true", "1", "1.0", "u-1", "u-2", "é", "e\u0301", "a b", "%", "_", "\\"),
    *(1, 1.0, 2.5, -5, 0, 100, 10**18, 2**63 - 1, 1e-7, 1e21, 0.1, True, False, None),
    *(
        [],
        [1, 2],
        ["x", "u-1"],
        [1, "2", 3.5],
        [True],
        {},
        {"k": 1},
        {"k": {"k": [1]}},
        [[1]],
        [None],
    ),
)
NAMES = ("k", "K", "user.id", "é", 'q"', "a\\b", "deep", "")


class Fixed:
    """A catalogue that does not change."""

    def __init__(self, segments):
        self._segments = tuple(segments)

    def segments(self):
        return self._segments

    async def refresh(self):
        pass


def random_record(chance, stream):
    n, m = chance.randrange(200), chance.randrange(5)
    kind = chance.choice(["log", "log", "span", "audit"])
    attributes = {
        name: chance.choice(VALUES) for name in chance.sample(NAMES, chance.randrange(len(NAMES)))
    }
    if chance.random() < 0.5:
        attributes["user.id"] = f"u-{m}"
    document = {"attributes": attributes} if chance.random() < 0.9 else {}
    for name, values in {
        "body": ["text", {"a": 1}, [1], None, 5],
        "exception": [{"type": "E", "message": "x"}],
        "otel": [{"flags": 1}, {"observed_ns": BASE_NS + n}],
        "span": [{"name": "s", "events": []}],
        "redaction": [["email"]],
    }.items():
        if chance.random() < 0.4:
            document[name] = chance.choice(values)
    offset = chance.choice([0, 1, 999, 1000, 5_000_000, chance.randrange(10**11)])
    created = chance.choice([BASE_NS + offset] * 30 + [0, 2**64 - 1, BASE_NS - 500 * 86400 * 10**9])
    return make_record(
        kind=kind,
        level=chance.randrange(5),
        severity_number=chance.choice([0, 9, 17, -5]),
        created_unix_ns=created,
        odd_time=not BASE_NS <= created <= BASE_NS + 10**12,
        id=chance.choice(
            [
                os.urandom(16),
                (created // 10**6).to_bytes(6, "big") + os.urandom(10),
                id_of(created, chance.getrandbits(54)),
            ]
        ),
        stream_id=stream.id,
        duration_ns=chance.choice([None, 0, n * 10**6, 2**63 - 1]) if kind == "span" else None,
        trace_id=chance.choice([None, bytes([m]) * 16]),
        span_id=chance.choice([None, bytes([n]) * 8]),
        parent_span_id=chance.choice([None, bytes([m]) * 8]),
        ip_address=chance.choice(
            [
                *(None, bytes([10, 0, m, n]), bytes(15) + b"\1"),
                *(
                    b"\x20\x01" + bytes(13) + bytes([m]),
                    bytes(10) + b"\xff\xff\x0a\0\0" + bytes([n]),
                ),
            ]
        ),
        source_module=chance.choice(["checkout", "payments", "ünï"]),
        action=chance.choice(["order.place", "order.pay", "a"]),
        resource_type=chance.choice([None, "order"]),
        resource_id=chance.choice([None, f"o-{n}"]),
        actor_id=chance.choice([None, f"u-{m}", ""]),
        correlation_id=chance.choice([None, f"c-{n}"]),
        message=chance.choice(MESSAGES).format(n=n, m=m) + chance.choice(["", f" {m}{n}"]),
        metadata=canonical(document),
    )


def random_leaf(chance, rows):
    """A filter without others in it, often one that selects something."""
    row = chance.choice(rows)
    text = chance.choice(rows)["message"]
    start = chance.randrange(len(text) + 1)
    piece = text[start : start + chance.randrange(1, 12)]
    piece = chance.choice([piece, piece, piece.upper(), piece.lower(), "order", "placed", "ı", "k"])
    comparison, name = chance.choice(list(Comparison)), chance.choice([*NAMES, "none"])
    value = chance.choice(VALUES)
    if isinstance(value, bool):
        value = str(value).lower()
    value = str(Decimal(str(value))) if isinstance(value, int | float) else value
    value = value if isinstance(value, str) else "u-1"
    column = chance.choice(
        [
            *(fields.ID, fields.SOURCE_MODULE, fields.ACTION, fields.ACTOR_ID, fields.TRACE_ID),
            *(fields.SPAN_ID, fields.MESSAGE, fields.DURATION_NS, fields.STREAM_ID),
            *(fields.RESOURCE_ID, fields.RESOURCE_TYPE, fields.PARENT_SPAN_ID),
            fields.CORRELATION_ID,
        ]
    )
    nullable = chance.choice([item for item in fields.FIELDS.values() if item.is_nullable])
    pattern = chance.choice(["placed", "^GET .*ms$", "o.d", "[0-9]{2}", "u-[12]|x", "é", r"\d+"])
    at = chance.choice(rows)
    at_ns = microseconds(at) * 1000 + at["created_ns"]
    match chance.randrange(18):
        case 0 | 1:
            return Text(piece, chance.random() < 0.5)
        case 2 | 3:
            known = row[column.column]
            return FieldPresent(column) if known is None else FieldEquals(column, known)
        case 4:
            known = {item[column.column] for item in chance.sample(rows, 4)} - {None}
            return FieldIn(column, tuple(sorted(known, key=str)))
        case 5:
            return FieldCompare(fields.LEVEL, comparison, chance.choice(list(Level)))
        case 6:
            return FieldCompare(fields.DURATION_NS, comparison, chance.choice([0, 10**8, -1]))
        case 7:
            of = chance.choice([fields.ACTOR_ID, fields.MESSAGE, fields.RESOURCE_ID])
            return FieldPrefix(of, chance.choice(["u-", "o-1", "order", "%", piece]))
        case 8:
            return FieldPresent(nullable)
        case 9:
            of = chance.choice([fields.MESSAGE, fields.ACTOR_ID, fields.ACTION])
            return Regex(pattern, chance.random() < 0.5, of)
        case 10:
            return AttrEquals(name, value)
        case 11:
            return AttrCompare(name, comparison, chance.choice(["1", "2.5", "-5", "1e18", "0.1"]))
        case 12:
            return AttrPrefix(name, chance.choice(["u-", "", "1", "[", "x"]))
        case 13:
            return AttrRegex(name, chance.choice(["^u-", "1|x", "é"]), chance.random() < 0.5)
        case 14:
            return AttrPresent(name)
        case 15:
            networks = ("10.0.1.0/24", "10.0.0.0/8", "::/0", "2001::/16", "::ffff:10.0.0.0/104")
            own = [ip_network(ip_address(row["ip_address"]))] if row["ip_address"] else []
            return IpIn(chance.choice([*map(ip_network, networks), *own]))
        case 16:
            return chance.choice(
                [
                    FieldEquals(fields.LEVEL, chance.choice(list(Level))),
                    FieldEquals(fields.KIND, chance.choice(list(Kind))),
                    FieldIn(fields.KIND, (Kind.LOG, Kind.SPAN)),
                ]
            )
        case _:
            ends = sorted([at_ns, at_ns + chance.choice([0, 1, 10**9, -(10**9)])])
            return TimeRange(*chance.choice([ends, [ends[0], None], [None, ends[1]]]))


def microseconds(row):
    return key_of(row).created_us


def random_filter(chance, rows, depth=2):
    kind = chance.randrange(8) if depth else 9
    if kind in {0, 1}:
        return And(tuple(random_filter(chance, rows, depth - 1) for _ in range(2)))
    if kind == 2:
        return Or(tuple(random_filter(chance, rows, depth - 1) for _ in range(2)))
    if kind == 3:
        return Not(random_filter(chance, rows, depth - 1))
    return random_leaf(chance, rows)


def plain(rows):
    return [
        {name: row[name] for name in dict(row) if name not in {"newest_segment", "has_opened"}}
        for row in rows
    ]


def merge_all(segments, store):
    """The catalogue with all packs of a class merged into one with many small blocks."""
    kept = [item for item in segments if not item.is_packed]
    newest = max(item.number for item in segments)
    for name in sorted({item.class_name for item in segments if item.is_packed}):
        of = [item for item in segments if item.is_packed and item.class_name == name]
        newest += 1
        writer = PackWriter(
            store.folder(name),
            newest,
            name,
            lambda ids: dict.fromkeys(ids, STREAMS),
            leaf=leaf_of_both,
        )
        with patch.object(pack_writer, "ROWS", 24):
            merge([store.open(name, item.number) for item in of], writer)
            facts = writer.finish()
        assert facts.blocks > facts.rows // 24
        moments = [(item.min_created_at, item.max_created_at) for item in of if item.max_created_at]
        kept.append(
            replace(
                of[0],
                number=newest,
                rows=facts.rows,
                min_created_at=min(first for first, _ in moments),
                max_created_at=max(last for _, last in moments),
                odd_times=sum(item.odd_times for item in of),
                min_received_at=min(item.min_received_at for item in of),
                max_received_at=max(item.max_received_at for item in of),
                data_hash=bytes.fromhex(facts.data_sha256),
            )
        )
    return kept


class Tiers:
    """Readers of the same records: from leaves, from packs, from both, from merged packs."""

    def __init__(self, segments, store):
        packed = {item.number for item in segments if item.is_packed}
        some = sorted(packed)[::2]
        packs = PackReader(store)

        def without(numbers):
            return [
                replace(item, state="closed") if item.number in numbers else item
                for item in segments
            ]

        self.leaves = Pages(Fixed(without(packed)), packs)
        self.packs = Pages(Fixed(segments), packs)
        self.both = Pages(Fixed(without(some)), packs)
        self.merged = Pages(Fixed(merge_all(segments, store)), packs)
        self.others = (self.packs, self.both, self.merged)


@pytest.fixture
async def tiers(tmp_path, owner_pool, writer_pool):
    """Records in segments that are packed, but whose leaves are still there."""
    chance = random.Random(11)
    streams = [make_stream(b'{"service.name": "%s"}' % name) for name in (b"a", b"b")]
    async with Storehouse.open(tmp_path / "spool", writer_pool) as store:
        for number in range(24):
            stream = chance.choice(streams)
            records = [random_record(chance, stream) for _ in range(chance.randrange(1, 60))]
            await store.put(*records, stream=stream)
            if number % 8 == 7:
                for name in ("debug", "info", "warn", "error", "audit"):
                    await store.roll(name)
        await store.put(*[random_record(chance, streams[0]) for _ in range(5)], stream=streams[0])
    packing = Packing(tmp_path / "packs")
    async with owner_pool.acquire() as owner:
        await packing.pack(owner, keeps_leaves=True, keeps_open=True)
        rows = await owner.fetch(statement("catalogue"))
    return Tiers([Segment(**row) for row in rows], packing.store)


@pytest.fixture
def reader(reader_pool):
    return Reader(reader_pool, limit_s=20)


async def test_all_values_are_equal_row_by_row(tiers, reader):
    columns = Columns(RECORD_COLUMNS, NAMES)
    async with reader.session() as session:
        query = Query(EVERYTHING, Order.NEWEST, 10_000, columns=columns)
        one, other, third = [
            await pages.read(session, query) for pages in (tiers.leaves, tiers.packs, tiers.both)
        ]

    assert len(one.rows) > 500
    for mine, yours in zip(plain(one.rows), plain(other.rows), strict=True):
        assert yours == mine
    assert plain(third.rows) == plain(one.rows)
    assert one.missing is other.missing is third.missing is None
    types = [{name: type(value) for name, value in row.items()} for row in plain(one.rows)]
    assert types == [{n: type(v) for n, v in row.items()} for row in plain(other.rows)]


async def test_pages_of_random_filters_are_equal(tiers, reader):
    chance = random.Random(int(os.environ.get("OPSLOG_TEST_SEED", "1")))
    found: Counter[int] = Counter()
    async with reader.session() as session:
        everything = (
            await tiers.leaves.read(session, Query(EVERYTHING, Order.OLDEST, 10_000))
        ).rows
    for _ in range(FILTERS):
        where = random_filter(chance, everything)
        order, limit = chance.choice(list(Order)), chance.choice([1, 2, 7, 40, 1000])
        after = key_of(chance.choice(everything)) if chance.random() < 0.3 else None
        columns = chance.choice([RECORD, Columns(RECORD_COLUMNS, ("k", "user.id"))])
        for _ in range(3):
            query = Query(where, order, limit, after, columns)
            async with reader.session() as session:
                expected = await tiers.leaves.read(session, query)
                for pages in tiers.others:
                    page = await pages.read(session, query)
                    assert plain(page.rows) == plain(expected.rows), query
                    assert page.has_more == expected.has_more, query
                    assert page.missing is None
            found[min(len(expected.rows), 2)] += 1
            if not expected.has_more:
                break
            after = key_of(expected.rows[-1])
    assert found[2] > FILTERS / 4  # else the filters select nothing


async def test_a_cursor_stays_good_whatever_is_packed_and_merged_meanwhile(tiers, reader):
    chance = random.Random(int(os.environ.get("OPSLOG_TEST_SEED", "3")))
    async with reader.session() as session:
        everything = (
            await tiers.leaves.read(session, Query(EVERYTHING, Order.OLDEST, 10_000))
        ).rows
    pages_read = 0
    for _ in range(FILTERS // 3):
        where, order = random_filter(chance, everything, depth=1), chance.choice(list(Order))
        async with reader.session() as session:
            whole = await tiers.leaves.read(session, Query(where, order, 10_000))
        limit = max(1, len(whole.rows) // chance.choice([2, 5, 9]))
        found, after, has_more = [], None, True
        while has_more:
            pages = chance.choice([tiers.leaves, *tiers.others])
            async with reader.session() as session:
                page = await pages.read(session, Query(where, order, limit, after))
            found += page.rows
            has_more = page.has_more
            after = key_of(page.rows[-1]) if page.rows else None
            pages_read += 1
        assert plain(found) == plain(whole.rows), where
    assert pages_read > FILTERS


async def test_counts_of_random_filters_are_equal(tiers, reader):
    chance = random.Random(2)
    async with reader.session() as session:
        everything = (
            await tiers.leaves.read(session, Query(EVERYTHING, Order.OLDEST, 10_000))
        ).rows
    for _ in range(FILTERS // 3):
        where = random_filter(chance, everything)
        by, step_s = chance.choice(list(BY.values())), chance.choice([None, 1, 60, 3600, 7 * 86400])
        end_ns = chance.choice([BASE_NS + 10**12, BASE_NS + 10**9 + 1, 2**64])
        request = CountRequest(where, BASE_NS - chance.choice([0, 10**18]), end_ns, by, step_s)
        async with reader.session() as session:
            expected = await count_records(session, tiers.leaves, request)
            for pages in tiers.others:
                counts = await count_records(session, pages, request)
                assert dict(counts.counts) == dict(expected.counts), request
                assert counts.missing is None


async def test_facets_of_random_filters_are_equal(tiers, reader):
    chance = random.Random(4)
    async with reader.session() as session:
        everything = (
            await tiers.leaves.read(session, Query(EVERYTHING, Order.OLDEST, 10_000))
        ).rows
    for _ in range(FILTERS // 3):
        where = random_filter(chance, everything)
        columns = tuple(chance.sample(list(COLUMNS), chance.randrange(1, 6)))
        names = tuple(chance.sample([*NAMES, "none"], chance.randrange(4)))
        begin_ns = BASE_NS - chance.choice([0, 10**18])
        request = FacetRequest(where, begin_ns, BASE_NS + 10**12, columns, names)
        async with reader.session() as session:
            expected = await count_facets(session, tiers.leaves, request)
            for pages in tiers.others:
                found = await count_facets(session, pages, request)
                assert [+counts for counts in found.counts] == expected.counts, request
                assert found.missing is None
                assert not found.cut


async def test_a_cancelled_page_ends_soon(tiers, reader):
    async with reader.session() as session:
        query = Query(Regex("x", True), Order.NEWEST, 10_000)
        task = asyncio.create_task(tiers.packs.read(session, query))
        await asyncio.sleep(0.005)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
