"""Scans of packs with many blocks give what sorting all their rows gives."""

import random
from collections import Counter

import pytest

from query.planning.compile import RECORD, LeafFilter, Order
from query.planning.counting import bucket_of
from query.planning.explain import Explain, Skipped, Stage
from query.planning.packed.batches import BatchScan
from query.planning.packed.counts import CountScan
from query.planning.packed.filtering import Wanted
from query.planning.packed.pages import PageScan, PieceScan
from query.planning.packed.reading import PackReader
from query.planning.packed.values import with_defaults
from storage.filtering.filters import (
    EVERYTHING,
    NOTHING,
    FieldEquals,
    Not,
    Text,
    TimeRange,
    all_of,
)
from storage.filtering.prune import Leaf
from storage.packs.index.bloom import ClassFilters
from storage.packs.pack import Pack
from storage.record.fields import ACTOR_ID, CORRELATION_ID, LEVEL, SOURCE_MODULE
from storage.record.times import microseconds_of
from tests.unit.storage.packs.packing import leaf_of_both, pack_of, shop_rows

ROWS = 1000
EMPTY = (
    '{"body": null, "otel": {}, "span": null, "exception": null, "redaction": [], "attributes": {}}'
)
FILTERS = [
    EVERYTHING,
    NOTHING,
    FieldEquals(ACTOR_ID, "u-7"),
    Text("evicted"),
    all_of(Text("placed"), Not(FieldEquals(ACTOR_ID, "u-7"))),
]


class Store:
    """Packs in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.opened = []
        self.rows = {}

    def open(self, class_name, segment, data_hash=None):
        del class_name, data_hash
        self.opened.append(segment)
        return Pack(self.folder, segment)

    def forget(self, segment):
        pass

    def keep_only(self, segments):
        pass

    def filters(self, class_name):
        assert class_name == "info"
        return ClassFilters(self.folder)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """Three packs of many blocks: two at the same time, one before them."""
    folder = tmp_path_factory.mktemp("packs")
    rows = shop_rows(2 * ROWS, seed=4)
    parts = [rows[:ROWS], rows[ROWS::2], rows[ROWS + 1 :: 2]]
    leaves = []
    for segment, part in enumerate(parts, 1):
        pack, facts = pack_of(folder, part, segment, block_rows=32, leaf=leaf_of_both)
        assert len(pack.blocks) > 10
        span = (facts.min_created_us, facts.max_created_us)
        leaves.append(
            Leaf(
                segment,
                None,
                None,
                (span,),
                facts.rows,
                is_packed=True,
                class_name="info",
                data_hash=bytes.fromhex(facts.data_sha256),
            )
        )
    return Store(folder), leaves


def every_row(packed, where):
    """(key, message, record) of all rows that the filter selects."""
    store, leaves = packed
    known = store.rows.get((where, len(leaves)))
    if known is not None:
        return known
    found = []
    for leaf in leaves:
        pack = Pack(store.folder, leaf.segment)
        for number in range(len(pack.blocks)):
            for row in pack.rows(number, pack.matches(number, where)):
                key = (
                    microseconds_of(row["created_at"]),
                    *(row["created_ns"], row["batch_id"], row["position"]),
                )
                found.append((key, row))
    found.sort(key=lambda item: item[0])
    store.rows[where, len(leaves)] = found
    return found


def parts_of(leaves, where):
    return [LeafFilter(leaf, where) for leaf in leaves]


def finished(scan):
    while not scan.step():
        pass
    return scan


@pytest.mark.parametrize("where", FILTERS)
@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("limit", [1, 10, 200, 5000])
def test_pages_of_many_blocks(packed, where, order, limit):
    store, leaves = packed
    rows = every_row(packed, where)
    if order is Order.NEWEST:
        rows = rows[::-1]
    chance = random.Random(limit)
    for _ in range(4):
        at = chance.randrange(len(rows)) if rows and chance.random() < 0.7 else -1
        after = rows[at][0] if at >= 0 else None
        expected = rows[at + 1 : at + 1 + limit]
        scan = PageScan(
            PackReader(store), parts_of(leaves, where), Wanted(order, limit, after, RECORD)
        )
        finished(scan)
        got = sorted(scan.rows, key=lambda item: item[0], reverse=order is Order.NEWEST)
        assert [key for key, _ in got] == [key for key, _ in expected]
        assert [row["message"] for _, row in got] == [row["message"] for _, row in expected]


@pytest.mark.parametrize("order", list(Order))
def test_rows_that_were_found_elsewhere_take_their_places(packed, order):
    store, leaves = packed
    rows = every_row(packed, EVERYTHING)
    if order is Order.NEWEST:
        rows = rows[::-1]
    others, mine = rows[10:130:3], leaves[1:]
    scan = PageScan(
        PackReader(store),
        parts_of(mine, EVERYTHING),
        Wanted(order, 50, None, RECORD),
    )
    scan.offer([key for key, _ in others])
    finished(scan)

    inside = {key for key, _ in every_row((store, mine), EVERYTHING)}
    # Rows elsewhere are of other segments: here they are in packs as well, so both count.
    together = sorted([*(key for key, _ in others), *inside], reverse=order is Order.NEWEST)[:50]
    found = sorted([*(key for key, _ in scan.rows), *scan.others])
    assert found == sorted(together)


def test_only_packs_that_can_have_rows_of_the_page_are_opened(packed):
    store, leaves = packed
    store.opened.clear()
    finished(
        PageScan(
            PackReader(store), parts_of(leaves, EVERYTHING), Wanted(Order.NEWEST, 100, None, RECORD)
        )
    )

    assert set(store.opened) == {2, 3}


@pytest.mark.parametrize("has_filters", [True, False])
def test_packs_without_an_id_are_not_opened(packed, monkeypatch, has_filters):
    store, leaves = packed
    monkeypatch.setattr("query.planning.packed.pages._FEW", 1)
    if not has_filters:
        monkeypatch.setattr(store, "filters", lambda _: ClassFilters(store.folder / "none"))
    key, row = every_row(packed, EVERYTHING)[5]
    store.opened.clear()
    explain = Explain()
    scan = PageScan(
        PackReader(store),
        parts_of(leaves, FieldEquals(CORRELATION_ID, row["correlation_id"])),
        Wanted(Order.NEWEST, 100, None, RECORD),
        explain=explain,
    )
    finished(scan)

    assert key in [key for key, _ in scan.rows]
    skipped = explain.segments_skipped.get(Skipped.BLOOM, 0)
    assert len(store.opened) == len(leaves) - skipped
    assert (skipped > 0) is has_filters


def test_what_was_read_is_counted(packed):
    store, leaves = packed
    explain = Explain()
    where = all_of(FieldEquals(ACTOR_ID, "u-7"), TimeRange(None, leaves[0].latest_us * 1000))
    scan = PageScan(
        PackReader(store),
        parts_of(leaves, where),
        Wanted(Order.NEWEST, 3, None, RECORD),
        explain=explain,
    )
    finished(scan)

    skipped = explain.blocks_skipped
    assert explain.blocks == explain.blocks_read + sum(skipped.values())
    assert skipped[Skipped.ZONE_MAP] > 10
    assert skipped[Skipped.PAGE_FULL] > 0
    assert 32 <= explain.rows_scanned == 32 * explain.blocks_read
    assert set(explain.stages_ms) == {Stage.OPEN, Stage.CANDIDATES, Stage.FILTER, Stage.ROWS}
    assert explain.shown()["blocks"]["read"] == explain.blocks_read


@pytest.mark.parametrize("order", list(Order))
@pytest.mark.parametrize("where", FILTERS)
def test_pieces_are_all_rows_in_order(packed, where, order):
    store, leaves = packed
    leaf = leaves[0]
    rows = every_row((store, leaves[:1]), where)
    if order is Order.NEWEST:
        rows = rows[::-1]
    after = rows[len(rows) // 3][0] if rows else None
    scan = PieceScan(
        PackReader(store),
        LeafFilter(leaf, where),
        Pack(store.folder, leaf.segment),
        Wanted(order, 100, after, RECORD),
    )
    found = []
    while finished(scan).rows:
        found += [row["message"] for row in scan.rows]

    assert found == [row["message"] for _, row in rows[len(rows) // 3 + 1 :]]


@pytest.mark.parametrize("by", [LEVEL, SOURCE_MODULE])
@pytest.mark.parametrize("step_s", [None, 1, 60, 7 * 86400])
@pytest.mark.parametrize("where", FILTERS)
def test_counts_are_of_all_rows(packed, where, by, step_s):
    store, leaves = packed
    origin_s = 4 * 86400 if step_s == 7 * 86400 else 0
    scan = CountScan(PackReader(store), parts_of(leaves, where), by, step_s, origin_s)
    finished(scan)

    expected = Counter(
        (0 if step_s is None else bucket_of(key[0] // 10**6, step_s), row[by.column])
        for key, row in every_row(packed, where)
    )
    assert dict(scan.counts) == dict(expected)


def test_counts_stop_at_the_budget(packed):
    store, leaves = packed
    scan = CountScan(PackReader(store), parts_of(leaves, Text("a")), LEVEL, 1, 0, most_scanned=500)
    finished(scan)

    assert scan.left


def test_batches_are_read_in_order_of_arrival(packed):
    store, leaves = packed
    pack = Pack(store.folder, leaves[0].segment)
    rows = every_row((store, leaves[:1]), EVERYTHING)
    ids = sorted({row["batch_id"] for _, row in rows})[2:9:2]
    wheres = [Text("placed"), FieldEquals(ACTOR_ID, "u-7")]
    scan = finished(BatchScan(pack, ids, wheres, 20))

    expected = sorted(
        (row["batch_id"], row["position"], "placed" in row["message"], row["actor_id"] == "u-7")
        for _, row in rows
        if row["batch_id"] in ids and ("placed" in row["message"] or row["actor_id"] == "u-7")
    )
    found = [(row["batch_id"], row["position"], row["m0"], row["m1"]) for row in scan.rows]
    assert found == expected[:20]
    assert scan.counts == [sum(item[2] for item in expected), sum(item[3] for item in expected)]


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (
            b"{}",
            EMPTY,
        ),
        (
            b'{"body": "}", "attributes": {"k": 1.50, "n": 1e400}}',
            EMPTY.replace("null", '"}"', 1).replace("{}}", '{"k": 1.50, "n": 1e400}}'),
        ),
        (
            b'{"x": [1], "level_source": "exception"}',
            '{"x": [1], ' + EMPTY[1:-1] + ', "level_source": "exception"}',
        ),
    ],
)
def test_metadata_has_all_members_in_jsonb_order(raw, text):
    assert with_defaults(raw) == text
